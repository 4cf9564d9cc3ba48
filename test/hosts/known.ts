import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import {
  type Known,
  KnownFile,
  readKnown,
  readKnownNames,
  writeKnown,
  writeKnownNames,
} from '../../src/hosts/known.ts'
import { parseIp } from '../../src/model/address/address.ts'

const known: Known = {
  cluster: '9',
  revision: 7,
  address: parseIp('192.168.1.1'),
  members: [
    {
      id: '0000000000000001',
      name: 'one',
      addresses: [parseIp('192.168.1.2')],
      mac: '06:00:00:00:00:01',
      number: 7,
    },
  ],
}
let folder = ''
const path = () => join(folder, 'lasting/hosts/members/front.json')

t.beforeEach(t => {
  folder = mkdtempSync(join(tmpdir(), 'known-'))
  process.env.TSNET_RUN_DIR = folder
  t.teardown(() => rmSync(folder, { recursive: true }))
})

t.test('who is known outlives a boot, for root alone, until nobody is', async t => {
  t.equal(readKnown('front'), undefined)
  writeKnown('front', known)
  t.match(readKnown('front'), known)
  t.equal(statSync(path()).mode & 0o777, 0o600)
  writeKnown('front', undefined)
  t.equal(readKnown('front'), undefined)
})

t.test('a file that makes no sense is as good as none', async t => {
  for (const text of ['{', '{"format":1}', JSON.stringify({ ...known, members: [{ id: '../x' }] })]) {
    writeKnown('front', known)
    writeFileSync(path(), text)
    t.equal(readKnown('front'), undefined, text)
  }
})

t.test('what others said of their containers is kept as it was said', async t => {
  const names = [{ key: '/tsnet/_names/front/0000000000000001/0123456789abcdef', value: '{"names":["web"]}' }]
  t.strictSame(readKnownNames('front'), [])
  writeKnownNames('front', names)
  t.strictSame(readKnownNames('front'), names)
  writeKnownNames('front', undefined)
  t.strictSame(readKnownNames('front'), [])
})

t.test('it is written as it changes, not with each change, and in the end in any case', async t => {
  const file = new KnownFile<Known>(each => writeKnown('front', each))
  const at = (revision: number) => () => ({ ...known, revision })
  file.write(at(1))
  t.equal(readKnown('front'), undefined, 'nothing has changed')
  file.changed()
  file.write(at(2))
  file.changed()
  file.write(at(3))
  t.equal(readKnown('front')?.revision, 2)
  file.write(at(4), true)
  t.equal(readKnown('front')?.revision, 4)
})
