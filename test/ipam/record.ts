import { linkSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type LeaseRecord, RecordStore } from '../../src/ipam/record.ts'
import { parseIp } from '../../src/model/address/address.ts'
import { ownerTag } from '../../src/model/network.ts'
import { currentBootId } from '../../src/netns/alive.ts'
import { owner, tear } from '../support/leases.ts'

const storeIn = (t: Test) => new RecordStore(join(t.testdir(), '.tsnet', 'net'))
const web: LeaseRecord = {
  ...owner('web'),
  netns: { path: '/run/netns/web', dev: 4, ino: 4026532000 },
  addresses: [parseIp('10.1.0.2'), parseIp('fd00::2')],
}

t.test('a record comes back as it was written, under the tag of its owner', async t => {
  const store = storeIn(t)
  t.equal(store.read(web), undefined)
  store.write(web)
  t.same(store.read(owner('web')), web)
  t.same(readdirSync(store.directory), [ownerTag(web)])
  const { netns: _, ...without } = web
  store.write(without)
  t.same(store.read(web), without)
  t.equal(store.read(owner('db')), undefined)
})

t.test(
  'a record that is not whole, or is that of somebody else, is lost, or torn where an earlier boot wrote it',
  async t => {
    const store = storeIn(t)
    store.write(web)
    const path = join(store.directory, ownerTag(web))
    const whole = readFileSync(path, 'utf8')
    const broken = ['', 'null', '[]', '7', whole.slice(0, -1), whole.replace('"web"', '"db"')]
    broken.push(whole.replace('10.1.0.2', '10.1.0.256'), whole.replace('"dev":4', '"dev":"4"'))
    broken.push(whole.replace('"netns":{', '"netns":7,"x":{'), whole.replace('"this boot"', '1'))
    broken.push(whole.replace(/"addresses":.*/, '"addresses":"10.1.0.2"}'))
    for (const text of broken) {
      store.write(web)
      tear(path, text)
      t.equal(store.read(web), 'torn', text)
      writeFileSync(path, text)
      t.equal(store.read(web), 'lost', `${text}, by somebody`)
      store.write({ ...web, bootId: currentBootId() })
      tear(path, text)
      t.equal(store.read(web), 'lost', `${text}, in this boot`)
    }
  },
)

t.test('no bytes make reading a record fail', async t => {
  const store = storeIn(t)
  store.write(web)
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), text => {
      writeFileSync(join(store.directory, ownerTag(web)), text)
      return store.read(web) === 'lost'
    }),
    { numRuns: 200 },
  )
})

t.test('the text of a lease is never written into a file that is a lease already', async t => {
  const store = storeIn(t)
  store.write(web)
  const first = store.prepareLease(web)
  const lease = join(store.directory, '..', '10.1.0.2')
  linkSync(first, lease)
  const second = store.prepareLease({ ...web, ifname: 'eth0' })
  t.equal(second, first)
  writeFileSync(second, 'changed')
  t.equal(readFileSync(lease, 'utf8'), 'web\r\neth0')
})

t.test('removing an owner leaves nothing of it, and nobody else out', async t => {
  const store = storeIn(t)
  store.write(web)
  store.write({ ...web, containerId: 'db' })
  store.prepareLease(web)
  writeFileSync(join(store.directory, `${ownerTag(web)}.new`), 'half')
  store.remove(web)
  store.remove(web)
  t.same(readdirSync(store.directory), [ownerTag(owner('db'))])
})

t.test('all but some owners can be removed at once', async t => {
  const store = storeIn(t)
  store.keepOnly([web])
  for (const containerId of ['a', 'b', 'c']) store.write({ ...web, containerId })
  mkdirSync(store.directory, { recursive: true })
  writeFileSync(join(store.directory, `${ownerTag(owner('b'))}.lease`), 'half')
  store.keepOnly([owner('b'), owner('never seen')])
  t.same(readdirSync(store.directory), [ownerTag(owner('b'))])
})
