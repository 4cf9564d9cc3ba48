import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Publication } from '../../src/model/publication/publication.ts'
import { readLasting, writeLasting } from '../../src/records/lasting.ts'
import {
  listPublications,
  publicationIndex,
  readPublication,
  writePublication,
} from '../../src/records/publications.ts'
import { publication } from '../support/publications.ts'

const id = '0123456789abcdef'
const guest = {
  owner: 'fedcba9876543210',
  bridge: 'br0',
  addresses: ['10.0.0.2/24'],
  ipMasq: false,
  guardDirect: false,
  ports: [],
  part: 'guest',
}

t.test('what a build wrote for which a container was one guest is read as one of several', async t => {
  process.env.TSNET_RUN_DIR = t.testdir()
  mkdirSync(join(process.env.TSNET_RUN_DIR, 'publications'))
  const write = (nat: object) =>
    writeFileSync(
      join(process.env.TSNET_RUN_DIR ?? '', 'publications', `${id}.json`),
      JSON.stringify(publication({ id, nat: nat as Publication['nat'] & object })),
    )
  const nat = { backend: 'iptables', ports: { ...guest, owner: id, part: 'ports' } }
  for (const written of [
    { ...nat, guest },
    { ...nat, guests: [guest] },
  ]) {
    write(written)
    const expected = publication({ id, nat: { ...nat, guests: [guest] } as Publication['nat'] & object })
    t.strictSame(readPublication(id), expected)
    t.strictSame(listPublications(), [expected])
    const index = publicationIndex()
    t.strictSame([...index.list()], [expected])
  }
  t.equal(readPublication('0000000000000000'), undefined)
})

t.test('one in reverse is read as it was written, and has no target that builds before it know', async t => {
  const folder = t.testdir()
  process.env.TSNET_RUN_DIR = folder
  const reversed = publication({ id, reverse: true, target: { port: 15_432 } })
  writePublication(reversed)
  t.same(readPublication(id), reversed)
  t.same(listPublications(), [reversed])
  writeLasting({ ...reversed, keep: true })
  t.same(readLasting(id), { ...reversed, keep: true })
  for (const file of ['publications', 'lasting/publications']) {
    const written = JSON.parse(readFileSync(join(folder, file, `${id}.json`), 'utf8'))
    t.same(written.target, { reverse: 15_432 })
    t.notOk('reverse' in written)
  }
})
