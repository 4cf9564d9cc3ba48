import { linkSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { LeaseStore, leaseText, parseLease } from '../../src/ipam/store.ts'
import { type Ip, parseIp } from '../../src/model/address/address.ts'

const two = parseIp('10.1.0.2')

function storeIn(t: Test): LeaseStore {
  const store = new LeaseStore(join(t.testdir(), 'net'))
  store.create()
  return store
}

t.test('the text of a lease is read back to who holds it', async () => {
  const word = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,80}$/)
  fc.assert(
    fc.property(word, word, fc.constantFrom('', ' ', '\n', '\r\n', '\t '), (containerId, ifname, space) => {
      const holder = parseLease(space + leaseText({ containerId, ifname }) + space)
      const old = parseLease(space + containerId + space)
      return (
        JSON.stringify(holder) === JSON.stringify({ containerId, ifname }) &&
        JSON.stringify(old) === JSON.stringify({ containerId })
      )
    }),
  )
})

t.test('nothing, white space and what a power loss leaves name nobody', async t => {
  for (const text of ['', ' ', '\r\n', '\0\0\0\0', 'web\0\0\0', 'web\r\n\0\0\0\0', '\x01']) {
    t.equal(parseLease(text), 'garbage', JSON.stringify(text))
  }
})

t.test('any bytes are a holder or garbage', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      const content = parseLease(Buffer.from(bytes).toString())
      return content === 'garbage' || content.containerId !== ''
    }),
    { numRuns: 1000 },
  )
})

t.test('a claim gives the address to the first, and tells the second', async t => {
  const store = storeIn(t)
  const written = join(store.directory, '..', 'written')
  writeFileSync(written, 'a\r\neth0')
  t.equal(store.isTaken(two), false)
  t.equal(store.claim(two, written), true)
  t.equal(store.isTaken(two), true)
  writeFileSync(join(store.directory, '..', 'second'), 'b\r\neth0')
  t.equal(store.claim(two, join(store.directory, '..', 'second')), false)
  t.same(store.read(two), { containerId: 'a', ifname: 'eth0' })
  store.free(two)
  store.free(two)
  t.equal(store.read(two), undefined)
  t.throws(() => store.claim(two, '/nonexistent'), { code: 'ENOENT' })
})

t.test('a list holds addresses and no other files', async t => {
  const store = storeIn(t)
  const files = [
    '10.1.0.2',
    'fd00::2',
    'lock',
    'last_reserved_ip.0',
    '10.1.0.2.old',
    'FD00::3',
    '10.1.0.02',
    '.x',
  ]
  for (const name of files) writeFileSync(join(store.directory, name), '')
  t.same([...store.list()].sort(), ['10.1.0.2', 'fd00::2'])
})

t.test('the mark of the round robin may be missing or torn', async t => {
  const store = storeIn(t)
  t.equal(store.last(0), undefined)
  store.setLast(0, two)
  store.setLast(1, parseIp('fd00::2') as Ip)
  t.equal(store.last(0), '10.1.0.2')
  t.equal(store.last(1), 'fd00::2')
  for (const torn of ['', '10.1.', 'fd00::2\0']) {
    writeFileSync(join(store.directory, 'last_reserved_ip.0'), torn)
    t.equal(store.last(0), undefined, JSON.stringify(torn))
  }
})

t.test('a claimed lease is the written file itself, so it was never half there', async t => {
  const store = storeIn(t)
  const written = join(store.directory, '..', 'written')
  writeFileSync(written, 'a\r\neth0')
  store.claim(two, written)
  t.throws(() => linkSync(written, join(store.directory, two)), { code: 'EEXIST' })
  writeFileSync(written, 'the same inode')
  t.equal(readFileSync(join(store.directory, two), 'utf8'), 'the same inode')
})
