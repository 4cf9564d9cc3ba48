import { readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { collectLeases, giveBack, ipamStatus, obtain, verifyLeases } from '../../src/ipam/ipam.ts'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import {
  addressesOf,
  type HostLocal,
  hostLocal,
  leaseFiles,
  NETWORK,
  owner,
  plantLease,
  type RangeText,
  recordFiles,
  release,
  take,
} from '../support/leases.ts'

const network = (t: Test, ...sets: (string | RangeText)[][]): HostLocal =>
  hostLocal(t.testdir(), ...(sets.length > 0 ? sets : [['10.1.0.0/29']]))

const mark = (options: HostLocal, set: number) =>
  readFileSync(join(options.dataDir, NETWORK, `last_reserved_ip.${set}`), 'utf8')

t.test("a lease is a file as host-local writes it, and the round robin's mark beside it", async t => {
  const options = network(t, ['10.1.0.0/24'], ['fd00::/64'])
  const { leases, routes, dns } = await obtain(options, owner('web'), [])
  t.same(leases, [
    { address: '10.1.0.2/24', gateway: '10.1.0.1' },
    { address: 'fd00::2/64', gateway: 'fd00::1' },
  ])
  t.same(routes, [])
  t.equal(dns, undefined)
  t.same(leaseFiles(options.dataDir), { '10.1.0.2': 'web\r\neth0', 'fd00::2': 'web\r\neth0' })
  t.equal(mark(options, 0), '10.1.0.2')
  t.equal(mark(options, 1), 'fd00::2')
  for (const name of ['10.1.0.2', 'fd00::2', 'last_reserved_ip.0']) {
    t.equal(statSync(join(options.dataDir, NETWORK, name)).mode & 0o777, 0o600, name)
  }
  t.equal(recordFiles(options.dataDir).length, 1, 'one record, nothing left of writing')
})

t.test('each interface of a container has a lease of its own', async t => {
  const options = network(t)
  await obtain(options, owner('web', { ifname: 'eth0' }), [])
  await obtain(options, owner('web', { ifname: 'eth1' }), [])
  t.same(leaseFiles(options.dataDir), { '10.1.0.2': 'web\r\neth0', '10.1.0.3': 'web\r\neth1' })
  await giveBack(options, owner('web', { ifname: 'eth0' }), undefined)
  t.same(leaseFiles(options.dataDir), { '10.1.0.3': 'web\r\neth1' })
})

for (const when of ['before', 'after'] as const) {
  t.test(`a release frees what host-local gave the same interface ${when} us, and nothing else`, async t => {
    const options = network(t, ['10.1.0.0/24'])
    const plant = () => {
      plantLease(options.dataDir, '10.1.0.77', 'web\r\neth0')
      plantLease(options.dataDir, '10.1.0.78', 'web\r\neth1')
      plantLease(options.dataDir, '10.1.0.79', 'api\r\neth0')
    }
    if (when === 'before') plant()
    t.same(await take(options, 'other'), ['10.1.0.2'])
    t.same(await take(options, 'web'), ['10.1.0.3'])
    await release(options, 'other')
    if (when === 'after') plant()
    await release(options, 'web')
    t.same(Object.keys(leaseFiles(options.dataDir)), ['10.1.0.78', '10.1.0.79'])
    t.same(recordFiles(options.dataDir), [])
  })
}

t.test('a release where every lease is ours reads no other', async t => {
  const options = network(t, ['10.1.0.0/24'])
  for (const who of ['a', 'b', 'c', 'd']) await take(options, who)
  await release(options, 'a')
  // Written to without changing the folder: whoever looks for leases of `c` would see one.
  writeFileSync(join(options.dataDir, NETWORK, '10.1.0.3'), 'c\r\neth0')
  await release(options, 'c')
  t.same(Object.keys(leaseFiles(options.dataDir)), ['10.1.0.3', '10.1.0.5'])
})

t.test('networks of one folder do not know each other', async t => {
  const options = network(t)
  await obtain(options, owner('web'), [])
  const { leases } = await obtain(options, owner('web', { network: 'other' }), [])
  t.same(addressesOf(leases), ['10.1.0.2'])
})

t.test('the next lease is the address after the last, although that is free again', async t => {
  const options = network(t)
  t.same(await take(options, 'a'), ['10.1.0.2'])
  await release(options, 'a')
  t.same(await take(options, 'b'), ['10.1.0.3'])
  await take(options, 'c')
  await take(options, 'd')
  await take(options, 'e')
  await release(options, 'c')
  t.same(await take(options, 'f'), ['10.1.0.2'], 'around')
  t.same(await take(options, 'g'), ['10.1.0.4'], 'past what is taken')
})

t.test('ranges of a set are used up one after the other', async t => {
  const options = network(t, ['10.1.0.0/30', '10.2.0.0/30'])
  t.same(await take(options, 'a'), ['10.1.0.2'])
  const { leases } = await obtain(options, owner('b'), [])
  t.same(leases, [{ address: '10.2.0.2/30', gateway: '10.2.0.1' }], 'with its own gateway')
  await t.rejects(take(options, 'c'), { code: 'exhausted' })
})

t.test('a full pool says so in the words of host-local', async t => {
  const options = network(t, ['10.1.0.0/30'], ['fd00::/126'])
  await take(options, 'a')
  const before = leaseFiles(options.dataDir)
  await t.rejects(take(options, 'b'), {
    code: 'exhausted',
    message: 'failed to allocate for range 0: no IP addresses available in range set: 10.1.0.1-10.1.0.2',
  })
  t.same(leaseFiles(options.dataDir), before)
  t.equal(recordFiles(options.dataDir).length, 1)
})

t.test('when a later set is full, what earlier ones gave is free again', async t => {
  const options = network(t, ['10.1.0.0/24'], ['fd00::/126'])
  for (const who of ['a', 'b']) await take(options, who)
  await t.rejects(take(options, 'c'), {
    code: 'exhausted',
    message: 'failed to allocate for range 1: no IP addresses available in range set: fd00::1-fd00::3',
  })
  t.same(Object.keys(leaseFiles(options.dataDir)), ['10.1.0.2', '10.1.0.3', 'fd00::2', 'fd00::3'])
  t.equal(recordFiles(options.dataDir).length, 2)
})

t.test('an attachment gets its addresses once', async t => {
  const options = network(t)
  await take(options, 'web')
  await t.rejects(take(options, 'web'), {
    code: 'conflict',
    message:
      'failed to allocate for range 0: 10.1.0.2 has been allocated to web, duplicate allocation is not allowed',
  })
  t.same(Object.keys(leaseFiles(options.dataDir)), ['10.1.0.2'])
  await release(options, 'web')
  t.same(await take(options, 'web'), ['10.1.0.3'])
})

t.test('a requested address is given, wherever in its set', async t => {
  const options = network(t, ['10.1.0.0/24', '10.2.0.0/24'], ['fd00::/64'])
  t.same(await take(options, 'a', '10.2.0.77'), ['10.2.0.77', 'fd00::2'])
  t.same(await take(options, 'b', 'fd00::99', '10.1.0.254'), ['10.1.0.254', 'fd00::99'])
  t.equal(mark(options, 0), '10.1.0.254', 'and the round goes on from there')
})

t.test('a requested address that is taken is refused, with the name of who has it', async t => {
  const options = network(t, ['10.1.0.0/29'], ['fd00::/64'])
  await take(options, 'a', '10.1.0.4')
  await t.rejects(take(options, 'b', '10.1.0.4', 'fd00::9'), {
    code: 'exhausted',
    message:
      'failed to allocate for range 0: requested IP address 10.1.0.4 is not available in range set 10.1.0.1-10.1.0.6',
    details: 'container a has it',
  })
  t.same(Object.keys(leaseFiles(options.dataDir)), ['10.1.0.4', 'fd00::2'])
})

t.test('requests that make no sense change nothing at all', async t => {
  const options = network(t)
  await t.rejects(take(options, 'a', '10.9.0.1'), {
    code: 'invalid-config',
    message: 'failed to allocate all requested IPs: 10.9.0.1',
  })
  await t.rejects(take(options, 'a', '10.1.0.1'), { code: 'invalid-config', message: /subnet's gateway$/ })
  await t.rejects(obtain({ ...options, ranges: [[]] }, owner('a'), []), { code: 'invalid-config' })
  await t.rejects(obtain(options, owner('a', { network: '../x' }), []), { code: 'invalid-config' })
  await t.rejects(obtain(options, owner('a', { network: '.tsnet' }), []), { code: 'invalid-config' })
  t.throws(() => statSync(join(options.dataDir, NETWORK)), { code: 'ENOENT' })
})

t.test('routes and resolver settings of the configuration come with the addresses', async t => {
  const folder = t.testdir({ 'resolv.conf': 'nameserver 192.0.2.1\n' })
  const routes = [{ dst: parseCidr('0.0.0.0/0'), gw: parseIp('10.1.0.1'), mtu: 1400 }]
  const options = { ...hostLocal(folder, ['10.1.0.0/24']), routes, resolvConf: join(folder, 'resolv.conf') }
  const allocation = await obtain(options, owner('web'), [])
  t.same(allocation.routes, routes)
  t.same(allocation.dns, { nameservers: ['192.0.2.1'], search: [], options: [] })
  await t.rejects(obtain({ ...options, resolvConf: '/nonexistent' }, owner('b'), []), { code: 'io' })
  t.same(Object.keys(leaseFiles(folder)), ['10.1.0.2'], 'a failure takes no address')
})

t.test('giving back takes the lease and our memory of it, any number of times', async t => {
  const options = network(t, ['10.1.0.0/24'], ['fd00::/64'])
  await take(options, 'a')
  await take(options, 'b')
  for (let i = 0; i < 3; i++) await release(options, 'a')
  t.same(Object.keys(leaseFiles(options.dataDir)), ['10.1.0.3', 'fd00::3'])
  t.equal(recordFiles(options.dataDir).length, 1)
  await release(options, 'never seen')
  t.equal(Object.keys(leaseFiles(options.dataDir)).length, 2)
})

t.test('giving back where nothing ever was makes nothing', async t => {
  const options = network(t)
  await release(options, 'a')
  t.throws(() => statSync(join(options.dataDir, NETWORK)), { code: 'ENOENT' })
  t.same(await collectLeases(options, NETWORK, []), [])
  await ipamStatus(options, NETWORK)
  t.throws(() => statSync(join(options.dataDir, NETWORK)), { code: 'ENOENT' })
})

t.test('leases are given back although the ranges of the configuration have changed', async t => {
  const options = network(t)
  await take(options, 'a')
  await giveBack({ ...options, ranges: [] }, owner('a'), undefined)
  t.same(leaseFiles(options.dataDir), {})
})

t.test('leases of host-local are given back, also those of its oldest form, white space or not', async t => {
  const options = network(t)
  plantLease(options.dataDir, '10.1.0.2', 'a\r\neth0')
  plantLease(options.dataDir, '10.1.0.3', ' a\r\neth0 \n')
  plantLease(options.dataDir, '10.1.0.4', 'a\r\neth1')
  plantLease(options.dataDir, '10.1.0.5', 'a')
  plantLease(options.dataDir, '10.1.0.6', 'ab\r\neth0')
  await release(options, 'a')
  t.same(Object.keys(leaseFiles(options.dataDir)), ['10.1.0.4', '10.1.0.5', '10.1.0.6'])
  await release(options, 'a')
  t.same(
    Object.keys(leaseFiles(options.dataDir)),
    ['10.1.0.4', '10.1.0.6'],
    'the oldest form only without a better match',
  )
})

t.test('a lease that host-local gave back and gave anew is not ours any more', async t => {
  const options = network(t)
  await take(options, 'a')
  rmSync(join(options.dataDir, NETWORK, '10.1.0.2'))
  plantLease(options.dataDir, '10.1.0.2', 'b\r\neth0')
  t.same(await take(options, 'a'), ['10.1.0.3'], 'a may come back: it holds nothing')
  await release(options, 'a')
  t.same(leaseFiles(options.dataDir), { '10.1.0.2': 'b\r\neth0' })
})

t.test(
  'what host-local gave the same attachment since then is found although our record says otherwise',
  async t => {
    const options = network(t)
    await take(options, 'a')
    rmSync(join(options.dataDir, NETWORK, '10.1.0.2'))
    plantLease(options.dataDir, '10.1.0.5', 'a\r\neth0')
    await release(options, 'a')
    t.same(leaseFiles(options.dataDir), {})
    t.same(recordFiles(options.dataDir), [])
  },
)

t.test('CHECK finds every lease that is not as it should be', async t => {
  const options = network(t, ['10.1.0.0/24'], ['fd00::/64'])
  const { leases } = await obtain(options, owner('a'), [])
  const check = (who = 'a') => verifyLeases(options, owner(who), undefined, leases)
  t.same(await check(), [])
  t.same(await check('b'), [
    'ipam: address 10.1.0.2 is not leased to container b eth0: container a has it',
    'ipam: address fd00::2 is not leased to container b eth0: container a has it',
  ])
  rmSync(join(options.dataDir, NETWORK, '10.1.0.2'))
  writeFileSync(join(options.dataDir, NETWORK, 'fd00::2'), '')
  t.same(await check(), [
    'ipam: address 10.1.0.2 is not leased to container a eth0: nobody has it',
    'ipam: address fd00::2 is not leased to container a eth0: its lease file names nobody',
  ])
  writeFileSync(join(options.dataDir, NETWORK, '10.1.0.2'), 'a')
  writeFileSync(join(options.dataDir, NETWORK, 'fd00::2'), 'a\r\neth0\n')
  t.same(await check(), [], 'as host-local writes and wrote them')
  t.same(await verifyLeases(options, owner('a'), undefined, []), [
    'ipam: container a has no address in network net',
  ])
})

t.test('a lease that appears between the choice and the claim is passed over', async t => {
  const options = network(t)
  await take(options, 'a')
  // A dangling link is not seen by most, yet the name is taken.
  symlinkSync('/nonexistent', join(options.dataDir, NETWORK, '10.1.0.3'))
  t.same(await take(options, 'b'), ['10.1.0.4'])
})

t.test('a folder that cannot be worked with is an error that names it', async t => {
  const options = network(t)
  writeFileSync(join(options.dataDir, NETWORK), 'a file')
  await t.rejects(take(options, 'a'), {
    code: 'io',
    message: /^ipam: cannot work with the addresses in .*\/net: E/,
  })
})

t.test('a record of 10 000 bytes is read as well as a short one', async t => {
  const options = network(t)
  const netns = { path: `/run/${'x'.repeat(4000)}/${'y'.repeat(6000)}`, dev: 4, ino: 7 }
  await obtain(options, owner('a', { bootId: 'old', netns }), [])
  await obtain(options, owner('b'), [])
  await release(options, 'a')
  t.same(Object.keys(leaseFiles(options.dataDir)), ['10.1.0.3'])
  t.equal(recordFiles(options.dataDir).length, 1)
})

t.test('the folders are for root alone where they hold more than host-local tells', async t => {
  const options = network(t)
  const before = process.umask(0)
  await take(options, 'a')
  process.umask(before)
  t.equal(statSync(join(options.dataDir, '.tsnet', NETWORK)).mode & 0o777, 0o700)
  t.equal(statSync(join(options.dataDir, NETWORK)).mode & 0o777, 0o755)
})
