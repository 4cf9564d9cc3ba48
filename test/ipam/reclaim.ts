import { readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { collectLeases, giveBack, ipamStatus, type LeaseOwner, obtain } from '../../src/ipam/ipam.ts'
import { parseIp } from '../../src/model/address/address.ts'
import { currentBootId } from '../../src/netns/alive.ts'
import {
  addressesOf,
  type HostLocal,
  hostLocal,
  leaseFiles,
  NETWORK,
  owner,
  plantLease,
  recordFiles,
  recordOf,
  tear,
} from '../support/leases.ts'

/** A network of five addresses, 10.1.0.2 to 10.1.0.6. */
const network = (t: Test): HostLocal => hostLocal(t.testdir(), ['10.1.0.0/29'])
const bootId = currentBootId()

/** What takes a namespace's place: any file has a path and an inode of its own. */
function namespaceAt(path: string): NonNullable<LeaseOwner['netns']> {
  writeFileSync(path, '')
  const { dev, ino } = statSync(path)
  return { path, dev, ino }
}

async function fill(options: HostLocal, more: Partial<LeaseOwner>, names = ['a', 'b', 'c', 'd', 'e']) {
  for (const name of names) await obtain(options, owner(name, more), [])
}
const holders = (options: HostLocal) =>
  Object.values(leaseFiles(options.dataDir))
    .map(text => text.split('\r')[0])
    .sort()

t.test('after a reboot all leases of before are free again, as soon as they are needed', async t => {
  const options = network(t)
  await fill(options, { bootId: 'yesterday' }, ['a', 'b', 'c', 'd'])
  await obtain(options, owner('e', { bootId }), [])
  t.equal(holders(options).length, 5, 'and not before')
  const { leases } = await obtain(options, owner('f', { bootId }), [])
  t.same(addressesOf(leases), ['10.1.0.2'])
  t.same(holders(options), ['e', 'f'])
  t.equal(recordFiles(options.dataDir).length, 2)
})

t.test('the same container comes back after a reboot without having left', async t => {
  const options = network(t)
  await fill(options, { bootId: 'yesterday' }, ['a'])
  const { leases } = await obtain(options, owner('a', { bootId }), [])
  t.same(addressesOf(leases), ['10.1.0.3'])
  t.same(leaseFiles(options.dataDir), { '10.1.0.3': 'a\r\neth0' })
})

t.test('the leases of a namespace that is gone are free again, but not in passing', async t => {
  const options = network(t)
  const path = join(options.dataDir, 'gone')
  await fill(options, { bootId, netns: namespaceAt(path) }, ['a', 'b'])
  await fill(options, { bootId, netns: namespaceAt(join(options.dataDir, 'alive')) }, ['c', 'd', 'e'])
  t.same(await collectLeases(options, NETWORK, undefined), [], 'not while it is there')
  rmSync(path)
  const full = obtain(options, owner('f', { bootId }), [])
  await t.rejects(full, { code: 'exhausted' }, 'rules may still lead to them')
  await ipamStatus(options, NETWORK)
  await collectLeases(options, NETWORK, undefined, [{ containerId: 'a', ifname: 'eth0' }])
  t.same(holders(options), ['a', 'c', 'd', 'e'], 'who is kept is kept')
  await obtain(options, owner('f', { bootId }), [])
  t.same(holders(options), ['a', 'c', 'd', 'e', 'f'])
})

t.test('another namespace at the same path does not keep the leases of the one before', async t => {
  const options = network(t)
  const path = join(options.dataDir, 'pod')
  await fill(options, { bootId, netns: namespaceAt(path) })
  // Made while the old one is there, so that the inode cannot be the same.
  const another = join(options.dataDir, 'another')
  namespaceAt(another)
  renameSync(another, path)
  await collectLeases(options, NETWORK, undefined)
  t.same(holders(options), [])
})

t.test('a namespace whose path is gone keeps its leases while a process is in it', async t => {
  const options = network(t)
  const { dev, ino } = statSync('/proc/self/ns/net')
  await fill(options, { bootId, netns: { path: '/run/netns/removed', dev, ino } })
  await t.rejects(ipamStatus(options, NETWORK), { code: 'exhausted' })
  t.same(await collectLeases(options, NETWORK, undefined), [])
  t.same(holders(options), ['a', 'b', 'c', 'd', 'e'])
})

t.test('an owner without a namespace is dead after a reboot only', async t => {
  const options = network(t)
  await fill(options, { bootId })
  await t.rejects(obtain(options, owner('f', { bootId }), []), { code: 'exhausted' })
  await obtain(options, owner('f', { bootId: 'tomorrow' }), [])
  t.same(holders(options), ['f'])
})

t.test('leases of host-local are left alone, however short the pool', async t => {
  const options = network(t)
  for (let host = 2; host < 7; host++) plantLease(options.dataDir, `10.1.0.${host}`, `theirs${host}\r\neth0`)
  await t.rejects(obtain(options, owner('f', { bootId }), []), { code: 'exhausted' })
  t.equal(holders(options).length, 5)
})

t.test('lease files that name nobody are free again', async t => {
  const options = network(t)
  plantLease(options.dataDir, '10.1.0.2', '')
  plantLease(options.dataDir, '10.1.0.3', '\n')
  plantLease(options.dataDir, '10.1.0.4', '\0\0\0\0\0\0\0\0\0')
  plantLease(options.dataDir, '10.1.0.5', 'reserved for the printer')
  const { leases } = await obtain(options, owner('a', { bootId }), [])
  t.same(addressesOf(leases), ['10.1.0.6'], 'but last')
  for (const name of ['b', 'c', 'd']) await obtain(options, owner(name, { bootId }), [])
  await t.rejects(obtain(options, owner('e', { bootId }), []), { code: 'exhausted' })
  t.equal(leaseFiles(options.dataDir)['10.1.0.5'], 'reserved for the printer')
})

t.test('a lease whose record a power loss tore is free again', async t => {
  const options = network(t)
  const torn = {
    a: '',
    b: '\0'.repeat(200),
    c: '{"network":"net"',
    d: '{"network":"net","containerId":"e","ifname":"eth0","bootId":"x","addresses":["10.1.0.2"]}',
  }
  await fill(options, { bootId: 'yesterday' }, Object.keys(torn))
  await obtain(options, owner('e', { bootId }), [])
  for (const [who, text] of Object.entries(torn)) tear(recordOf(options.dataDir, who), text)
  await obtain(options, owner('f', { bootId }), [])
  t.same(holders(options), ['e', 'f'])
})

t.test('the owner of a torn record can be released and can come back', async t => {
  const options = network(t)
  await fill(options, { bootId: 'yesterday' }, ['a', 'b'])
  for (const who of ['a', 'b']) tear(recordOf(options.dataDir, who), '')
  await giveBack(options, owner('a'), undefined)
  t.same(holders(options), ['b'])
  await obtain(options, owner('b', { bootId }), [])
  t.same(leaseFiles(options.dataDir), { '10.1.0.4': 'b\r\neth0' })
})

t.test('a requested address is taken from an owner of an earlier boot, and from nobody else', async t => {
  const options = network(t)
  await fill(options, { bootId: 'yesterday' }, ['a'])
  await fill(options, { bootId }, ['b'])
  plantLease(options.dataDir, '10.1.0.4', '')
  plantLease(options.dataDir, '10.1.0.5', 'theirs')
  const ask = (who: string, ip: string) => obtain(options, owner(who, { bootId }), [parseIp(ip)])
  await ask('x', '10.1.0.2')
  await t.rejects(ask('y', '10.1.0.3'), { code: 'exhausted', details: 'container b has it' })
  await ask('y', '10.1.0.4')
  await t.rejects(ask('z', '10.1.0.5'), { code: 'exhausted', details: 'container theirs has it' })
  t.same(holders(options), ['b', 'theirs', 'x', 'y'])
})

t.test('STATUS counts what could be taken back as free, and takes nothing', async t => {
  const options = network(t)
  await fill(options, { bootId: 'yesterday' }, ['a'])
  await fill(options, { bootId }, ['b', 'c', 'd', 'e'])
  await ipamStatus(options, NETWORK)
  t.equal(holders(options).length, 5)
  await giveBack(options, owner('a'), undefined)
  plantLease(options.dataDir, '10.1.0.2', '')
  await ipamStatus(options, NETWORK)
  rmSync(join(options.dataDir, NETWORK, '10.1.0.2'))
  await fill(options, { bootId }, ['f'])
  await t.rejects(ipamStatus(options, NETWORK), {
    code: 'exhausted',
    message: 'no IP addresses available in range set: 10.1.0.1-10.1.0.6',
  })
})

t.test('STATUS asks each set', async t => {
  const options = hostLocal(t.testdir(), ['10.1.0.0/24'], ['fd00::/126'])
  await fill(options, { bootId }, ['a', 'b'])
  await t.rejects(ipamStatus(options, NETWORK), { code: 'exhausted', message: /fd00::1-fd00::3/ })
})

t.test('GC with a list frees all that is not in it, those of host-local too', async t => {
  const options = network(t)
  await fill(options, { bootId }, ['a', 'b'])
  plantLease(options.dataDir, '10.1.0.4', 'b\r\neth1')
  plantLease(options.dataDir, '10.1.0.5', 'old')
  plantLease(options.dataDir, '10.1.0.6', '')
  const freed = await collectLeases(options, NETWORK, [
    { containerId: 'b', ifname: 'eth0' },
    { containerId: 'old', ifname: 'eth0' },
  ])
  t.same(leaseFiles(options.dataDir), { '10.1.0.3': 'b\r\neth0', '10.1.0.5': 'old' })
  t.same(freed, [
    { network: NETWORK, containerId: 'a', ifname: 'eth0' },
    { network: NETWORK, containerId: 'b', ifname: 'eth1' },
  ])
  t.equal(recordFiles(options.dataDir).length, 1)
})

t.test('GC with a list spares those that must be kept', async t => {
  const options = network(t)
  await fill(options, { bootId }, ['a', 'b'])
  await collectLeases(options, NETWORK, [], [{ containerId: 'b', ifname: 'eth0' }])
  t.same(holders(options), ['b'])
  t.equal(recordFiles(options.dataDir).length, 1)
})

t.test('GC with an empty list frees all', async t => {
  const options = network(t)
  await fill(options, { bootId }, ['a', 'b'])
  plantLease(options.dataDir, '10.1.0.4', 'old')
  const freed = await collectLeases(options, NETWORK, [])
  t.same(
    freed.map(({ containerId, ifname }) => [containerId, ifname]),
    [
      ['a', 'eth0'],
      ['b', 'eth0'],
      ['old', ''],
    ],
  )
  t.same(leaseFiles(options.dataDir), {})
  t.same(recordFiles(options.dataDir), [])
})

t.test('GC without a list frees only what is provably dead', async t => {
  const options = network(t)
  const path = join(options.dataDir, 'gone')
  await fill(options, { bootId }, ['a'])
  await fill(options, { bootId: 'yesterday' }, ['b'])
  await fill(options, { bootId, netns: namespaceAt(path) }, ['c'])
  plantLease(options.dataDir, '10.1.0.5', 'theirs\r\neth0')
  plantLease(options.dataDir, '10.1.0.6', '')
  rmSync(path)
  const freed = await collectLeases(options, NETWORK, undefined)
  t.same(
    freed.map(({ containerId }) => containerId),
    ['b', 'c'],
  )
  t.same(holders(options), ['a', 'theirs'])
})

t.test('GC removes what killed writers left beside the records', async t => {
  const options = network(t)
  await fill(options, { bootId }, ['a'])
  const folder = join(options.dataDir, '.tsnet', NETWORK)
  const [kept] = readdirSync(folder)
  for (const name of [
    '0123456789abcdef',
    '0123456789abcdef.new',
    '0123456789abcdef.lease',
    `${kept}.lease`,
  ]) {
    writeFileSync(join(folder, name), 'half')
  }
  t.same(await collectLeases(options, NETWORK, undefined), [])
  t.same(readdirSync(folder), [kept])
})
