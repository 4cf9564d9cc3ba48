/**
 * dist/drop-in/host-local beside Debian's host-local: the same calls on a folder each, the same answers and
 * the same files; and both in turn on one folder.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { callDropIn, type DropInAnswer, type DropInCall, type Whose } from '../support/drop-in.ts'

t.setTimeout(600_000)

const NAME = 'mynet'

/** One implementation with a folder of its own. */
interface Seat {
  whose: Whose
  dataDir: string
  call(command: string, ipam: object, more?: Partial<DropInCall> & { top?: object }): Promise<DropInAnswer>
}

function seat(whose: Whose, dataDir: string): Seat {
  return {
    whose,
    dataDir,
    call: (command, ipam, { top, ...more } = {}) =>
      callDropIn(whose, {
        plugin: 'host-local',
        command,
        config: {
          cniVersion: '1.0.0',
          name: NAME,
          type: 'ipvlan',
          prevResult: { cniVersion: '1.0.0' },
          ...top,
          ipam: { type: 'host-local', dataDir, ...ipam },
        },
        ...more,
      }),
  }
}

const seatsIn = (t: Test): [Seat, Seat] => {
  const folder = t.testdir({ reference: {}, tsnet: {} })
  return [seat('reference', join(folder, 'reference')), seat('tsnet', join(folder, 'tsnet'))]
}

/** What is on disk for the network; without the lock, which is ours and theirs alike. */
function filesOf({ dataDir }: Seat): Record<string, string> {
  const folder = join(dataDir, NAME)
  if (!existsSync(folder)) return {}
  const names = readdirSync(folder).filter(name => name !== 'lock')
  return Object.fromEntries(names.map(name => [name, readFileSync(join(folder, name), 'utf8')]))
}

/** Plays the same scene on both seats and compares all that was said and is left. */
async function compare(t: Test, scene: (seat: Seat) => Promise<DropInAnswer[]>): Promise<DropInAnswer[]> {
  const [theirs, ours] = seatsIn(t)
  const expected = await scene(theirs)
  const found = await scene(ours)
  t.strictSame(found, expected)
  t.same(filesOf(ours), filesOf(theirs))
  return found
}

const ips = (answer: DropInAnswer | undefined): unknown[] =>
  ((answer?.result?.ips ?? []) as { address: string }[]).map(({ address }) => address)

const v4 = { subnet: '10.1.2.0/24' }
const both = { ranges: [[v4], [{ subnet: '2001:db8:1::/64' }]] }

for (const cniVersion of ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0']) {
  t.test(`${cniVersion}: addresses of both families, a route and resolvers come in its shape`, async t => {
    const resolvConf = join(
      t.testdir({ 'resolv.conf': 'nameserver 192.0.2.3\nsearch a b\noptions c\n' }),
      'resolv.conf',
    )
    const ipam = {
      ...both,
      routes: [{ dst: '0.0.0.0/0' }, { dst: '2001:db8:2::/48', gw: '2001:db8:1::9' }],
      resolvConf,
    }
    const [theirs, ours] = [
      seat('reference', join(t.testdirName, 'r')),
      seat('tsnet', join(t.testdirName, 'o')),
    ]
    const answers = await Promise.all(
      [theirs, ours].map(each => each.call('ADD', ipam, { top: { cniVersion } })),
    )
    t.strictSame(answers[1], answers[0])
    t.equal(answers[1]?.code, 0)
    t.same(filesOf(ours), filesOf(theirs))
    for (const each of [theirs, ours])
      t.same(await each.call('DEL', ipam, { top: { cniVersion } }), { code: 0 })
    t.same(Object.keys(filesOf(ours)), ['last_reserved_ip.0', 'last_reserved_ip.1'])
  })
}

t.test('0.2.0 has no room for two addresses of one family', async t => {
  const [answer] = await compare(t, async ({ call }) => [
    await call('ADD', { ranges: [[v4], [{ subnet: '10.1.3.0/24' }]] }, { top: { cniVersion: '0.2.0' } }),
  ])
  t.equal(answer?.error, 'CNI version 0.2.0 does not support more than 1 address per family')
})

t.test('each interface of a container has an address; DEL of one leaves the other', async t => {
  await compare(t, async ({ call }) => [
    await call('ADD', v4, { ifname: 'eth0' }),
    await call('ADD', v4, { ifname: 'eth1' }),
    await call('DEL', v4, { ifname: 'eth0' }),
    await call('CHECK', v4, { ifname: 'eth1' }),
    await call('CHECK', v4, { ifname: 'eth0' }),
  ])
})

t.test('the same container and interface a second time is refused', async t => {
  const answers = await compare(t, async ({ call }) => [await call('ADD', v4), await call('ADD', v4)])
  t.match(answers[1]?.error, /10\.1\.2\.2 has been allocated to web, duplicate allocation is not allowed$/)
})

t.test('a lease of the oldest form, white space around it, is given back', async t => {
  await compare(t, async ({ call, dataDir }) => {
    mkdirSync(join(dataDir, NAME), { recursive: true })
    writeFileSync(join(dataDir, NAME, '10.1.2.9'), ' web\n\n')
    writeFileSync(join(dataDir, NAME, '10.1.2.8'), 'other\r\neth0')
    return [await call('DEL', v4)]
  })
})

t.test('DEL of somebody unknown succeeds, on a folder that does not exist too', async t => {
  await compare(t, async ({ call }) => [await call('DEL', v4, { containerId: 'stranger' })])
})

t.test('the lock and the mark of the round robin are no addresses', async t => {
  await compare(t, async ({ call }) => {
    const ipam = { subnet: '10.1.2.0/30' }
    const answers = [await call('ADD', ipam), await call('DEL', ipam), await call('ADD', ipam)]
    return [...answers, await call('ADD', ipam, { containerId: 'late' })]
  })
})

t.test('a full pool says which ranges it has', async t => {
  const ipam = {
    ranges: [[{ ...v4, rangeStart: '10.1.2.4', rangeEnd: '10.1.2.5' }, { subnet: '10.1.3.0/30' }]],
  }
  const answers = await compare(t, async ({ call }) => {
    const said: DropInAnswer[] = []
    for (const containerId of ['a', 'b', 'c', 'd']) said.push(await call('ADD', ipam, { containerId }))
    return said
  })
  t.equal(
    answers[3]?.error,
    'failed to allocate for range 0: no IP addresses available in range set: 10.1.2.4-10.1.2.5,10.1.3.1-10.1.3.2',
  )
})

t.test('round robin: an address that was given back comes last', async t => {
  const ipam = { subnet: '10.1.2.0/29' }
  await compare(t, async ({ call }) => {
    const said: DropInAnswer[] = []
    for (let i = 0; i < 12; i++) {
      const containerId = `c${i}`
      said.push(await call('ADD', ipam, { containerId }))
      if (i % 3 !== 0) await call('DEL', ipam, { containerId })
    }
    return said
  })
})

const requests: [string, Partial<DropInCall> & { top?: object }, object][] = [
  ['CNI_ARGS', { args: 'IP=10.1.2.77' }, v4],
  ['CNI_ARGS with others', { args: 'IgnoreUnknown=1;K8S_POD_NAME=x;IP=10.1.2.77' }, v4],
  ['args.cni.ips', { top: { args: { cni: { ips: ['10.1.2.88'] } } } }, v4],
  ['args.cni.ips with a prefix', { top: { args: { cni: { ips: ['10.1.2.88/24'] } } } }, v4],
  ['runtimeConfig.ips', { top: { runtimeConfig: { ips: ['10.1.2.99'] } } }, v4],
  [
    'one of each set',
    { top: { args: { cni: { ips: ['10.1.2.88', '10.1.3.77'] } } } },
    { ranges: [[v4], [{ subnet: '10.1.3.0/24' }]] },
  ],
  ['one of each family', { top: { args: { cni: { ips: ['10.1.2.88', '2001:db8:1::999'] } } } }, both],
  ['one that fits nowhere', { args: 'IP=10.9.9.9' }, v4],
  ['two of which one fits', { top: { args: { cni: { ips: ['10.1.2.88', '10.1.2.77'] } } } }, v4],
  ['the gateway', { args: 'IP=10.1.2.1' }, v4],
]

for (const [way, more, ipam] of requests) {
  t.test(`an address asked for by ${way}`, async t => {
    const [theirs, ours] = seatsIn(t)
    const [expected, found] = await Promise.all([theirs, ours].map(each => each.call('ADD', ipam, more)))
    t.equal(found?.code, expected?.code)
    if (found?.code === 0) t.strictSame(found, expected)
    else t.equal(found?.error?.split(': ')[0], expected?.error?.split(': ')[0])
    const leases = (files: object) => Object.keys(files).filter(name => !name.startsWith('last'))
    t.same(leases(filesOf(ours)), leases(filesOf(theirs)))
  })
}

t.test('an address that somebody has is refused in the same words', async t => {
  await compare(t, async ({ call }) => [
    await call('ADD', v4, { args: 'IP=10.1.2.7' }),
    await call('ADD', v4, { args: 'IP=10.1.2.7', containerId: 'late' }),
  ])
})

const refused: Record<string, object> = {
  'no range': {},
  'an address in place of a subnet': { subnet: '10.1.2.0' },
  'host bits': { subnet: '10.1.2.1/24' },
  'a subnet of 31 bits': { subnet: '10.1.2.0/31' },
  'a start outside': { ...v4, rangeStart: '10.1.3.1' },
  'an end outside': { ...v4, rangeEnd: '10.1.3.1' },
  'an end before the start': { ...v4, rangeStart: '10.1.2.9', rangeEnd: '10.1.2.8' },
  'families mixed in a set': { ranges: [[v4, { subnet: '2001:db8:1::/64' }]] },
  'ranges of a set that overlap': { ranges: [[v4, { subnet: '10.1.0.0/16' }]] },
  'sets that overlap': { ranges: [[v4], [{ subnet: '10.1.2.128/25' }]] },
  'an empty set': { ranges: [[]] },
}

for (const [what, ipam] of Object.entries(refused)) {
  t.test(`${what}: both refuse it, and nothing is left`, async t => {
    const [theirs, ours] = seatsIn(t)
    for (const each of [theirs, ours]) t.equal((await each.call('ADD', ipam)).code, 1, each.whose)
    t.same(filesOf(ours), {})
  })
}

t.test('the old keys come before ranges, and what the runtime asks for before both', async t => {
  const ipam = { subnet: '10.2.0.0/24', ranges: [[{ subnet: '10.3.0.0/24' }]] }
  const top = { runtimeConfig: { ipRanges: [[{ subnet: '10.4.0.0/24', gateway: '10.4.0.254' }]] } }
  const [answer] = await compare(t, async ({ call }) => [await call('ADD', ipam, { top })])
  t.same(ips(answer), ['10.4.0.1/24', '10.2.0.2/24', '10.3.0.2/24'])
})

t.test('keys count in any case, as containerd writes them', async t => {
  const top = {
    runtimeConfig: { IPRanges: [[{ Subnet: '10.4.0.0/24', RangeStart: '10.4.0.9', Gateway: '' }]] },
  }
  const [answer] = await compare(t, async ({ call }) => [
    await call('ADD', {}, { top: { runtimeConfig: { ipRanges: top.runtimeConfig.IPRanges } } }),
  ])
  t.same(ips(answer), ['10.4.0.9/24'])
})

t.test('CHECK of a container without an address is refused in the same words', async t => {
  const [answer] = await compare(t, async ({ call }) => [await call('CHECK', v4)])
  t.equal(answer?.error, 'host-local: Failed to find address added by container web')
})

t.test('in turn on one folder, no address comes twice and each gives back what the other gave', async t => {
  const dataDir = t.testdir()
  const seats = [seat('reference', dataDir), seat('tsnet', dataDir)] as const
  const given: unknown[] = []
  for (let i = 0; i < 10; i++) {
    given.push(...ips(await seats[i % 2 === 0 ? 0 : 1].call('ADD', both, { containerId: `c${i}` })))
  }
  t.equal(new Set(given).size, 20)
  for (let i = 0; i < 10; i++) {
    t.same(await seats[i % 2 === 0 ? 1 : 0].call('CHECK', both, { containerId: `c${i}` }), { code: 0 })
    t.same(await seats[i % 2 === 0 ? 1 : 0].call('DEL', both, { containerId: `c${i}` }), { code: 0 })
  }
  t.same(Object.keys(filesOf(seats[1])), ['last_reserved_ip.0', 'last_reserved_ip.1'])
})

// What the reference leaves out.

t.test('DEL works although the ranges make no sense any more; the reference refuses it', async t => {
  const [theirs, ours] = seatsIn(t)
  for (const each of [theirs, ours]) await each.call('ADD', v4)
  t.equal((await theirs.call('DEL', { subnet: 'nonsense' })).code, 1)
  t.same(await ours.call('DEL', { subnet: 'nonsense' }), { code: 0 })
  t.same(Object.keys(filesOf(ours)), ['last_reserved_ip.0'])
})

t.test('GC frees what no valid attachment has, whoever gave it', async t => {
  const dataDir = t.testdir()
  const [theirs, ours] = [seat('reference', dataDir), seat('tsnet', dataDir)]
  for (const [containerId, by] of [
    ['a', theirs],
    ['b', ours],
    ['c', theirs],
    ['d', ours],
  ] as const) {
    await by.call('ADD', v4, { containerId })
  }
  const valid = ['c', 'd'].map(containerID => ({ containerID, ifname: 'eth0' }))
  t.same(await ours.call('GC', v4, { top: { cniVersion: '1.1.0', 'cni.dev/valid-attachments': valid } }), {
    code: 0,
  })
  t.same(Object.keys(filesOf(ours)), ['10.1.2.4', '10.1.2.5', 'last_reserved_ip.0'])
})

t.test('STATUS tells a full pool', async t => {
  const ours = seat('tsnet', t.testdir())
  const ipam = { subnet: '10.1.2.0/30' }
  const top = { cniVersion: '1.1.0' }
  t.same(await ours.call('STATUS', ipam, { top }), { code: 0 })
  await ours.call('ADD', ipam, { top })
  t.same(await ours.call('STATUS', ipam, { top }), {
    code: 1,
    error: 'no IP addresses available in range set: 10.1.2.1-10.1.2.2',
  })
})
