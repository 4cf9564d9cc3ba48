/**
 * Debian's host-local and ours on one folder: neither gives what the other gave, each releases the
 * other's, and a host can change from one to the other and back.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { obtain, verifyLeases } from '../../src/ipam/ipam.ts'
import { cidrOf, parseIp } from '../../src/model/address/address.ts'
import { messageOf } from '../../src/model/errors.ts'
import { hostLocalAnswers, hostLocalCall } from '../support/host-local.ts'
import {
  addressesOf,
  type HostLocal,
  hostLocal,
  leaseFiles,
  NETWORK,
  owner,
  type RangeText,
  recordFiles,
  release,
  take,
} from '../support/leases.ts'
import { leaseWorker, runProgram } from '../support/processes.ts'

t.setTimeout(600_000)

t.test(
  'in turn, on both families, no address is given twice and each releases what the other gave',
  async t => {
    const options = hostLocal(t.testdir(), ['10.1.0.0/26', '10.2.0.0/26'], ['fd00:0:0:7::/64'])
    const given = new Map<string, string[]>()
    for (let i = 0; i < 80; i++) {
      const who = `c${i}`
      given.set(who, i % 2 === 0 ? await take(options, who) : await hostLocalCall('ADD', options, who))
    }
    const all = [...given.values()].flat()
    t.equal(all.length, 160)
    t.equal(new Set(all).size, 160)
    t.same(all.slice(0, 6), [
      '10.1.0.2',
      'fd00:0:0:7::2',
      '10.1.0.3',
      'fd00:0:0:7::3',
      '10.1.0.4',
      'fd00:0:0:7::4',
    ])
    const files = leaseFiles(options.dataDir)
    t.same(Object.keys(files).sort(), all.toSorted(), 'files are named alike')
    for (const [who, ips] of given)
      t.same(
        ips.map(ip => files[ip]),
        [`${who}\r\neth0`, `${who}\r\neth0`],
      )
    for (let i = 0; i < 80; i++) {
      if (i % 2 === 0) await hostLocalCall('DEL', options, `c${i}`)
      else await release(options, `c${i}`)
    }
    t.same(leaseFiles(options.dataDir), {})
    for (let i = 0; i < 80; i++) await release(options, `c${i}`)
    t.same(recordFiles(options.dataDir), [], 'a DEL of ours clears what we remembered')
  },
)

t.test('both go on where the other stopped', async t => {
  const options = hostLocal(t.testdir(), ['10.1.0.0/29'])
  const order: string[] = []
  for (let i = 0; i < 8; i++) {
    const who = `c${i}`
    order.push(...(i % 2 === 0 ? await take(options, who) : await hostLocalCall('ADD', options, who)))
    if (i % 2 === 0) await hostLocalCall('DEL', options, who)
    else await release(options, who)
  }
  t.same(
    order,
    [2, 3, 4, 5, 6, 2, 3, 4].map(host => `10.1.0.${host}`),
  )
})

t.test('each refuses a requested address that the other gave, and CHECKs what the other gave', async t => {
  const options = hostLocal(t.testdir(), ['10.1.0.0/24'])
  await take(options, 'ours', '10.1.0.50')
  await hostLocalCall('ADD', options, 'theirs', { args: 'IP=10.1.0.60' })
  const words = (ip: string) =>
    `failed to allocate for range 0: requested IP address ${ip} is not available in range set 10.1.0.1-10.1.0.254`
  t.same(await hostLocalAnswers('ADD', options, 'x', { args: 'IP=10.1.0.50' }), { error: words('10.1.0.50') })
  await t.rejects(take(options, 'x', '10.1.0.60'), { message: words('10.1.0.60') })
  t.same(await hostLocalAnswers('CHECK', options, 'ours'), { ips: [] })
  const lease = { address: cidrOf(parseIp('10.1.0.60'), 24) }
  t.same(await verifyLeases(options, owner('theirs'), undefined, [lease]), [])
})

t.test('host-local sees a duplicate of ours, and none of our other files', async t => {
  const options = hostLocal(t.testdir(), ['10.1.0.0/24'])
  await take(options, 'web')
  t.same(await hostLocalAnswers('ADD', options, 'web'), {
    error:
      'failed to allocate for range 0: 10.1.0.2 has been allocated to web, duplicate allocation is not allowed',
  })
  await hostLocalCall('DEL', options, 'web')
  t.same(await take(options, 'web'), ['10.1.0.3'])
})

t.test('side by side in twenty processes each, no address is given twice', async t => {
  const dataDir = t.testdir()
  const options = hostLocal(dataDir, ['10.1.0.0/24'])
  const ours = Array.from({ length: 20 }, async (_, i) => {
    const { stdout } = await runProgram(
      process.execPath,
      leaseWorker(dataDir, '10.1.0.0/24', 'take', `o${i}x`, '6'),
    )
    return JSON.parse(stdout) as string[]
  })
  const theirs = Array.from({ length: 20 }, async (_, i) => {
    const ips: string[] = []
    for (let j = 0; j < 6; j++) ips.push(...(await hostLocalCall('ADD', options, `t${i}x${j}`)))
    return ips
  })
  const all = (await Promise.all([...ours, ...theirs])).flat()
  t.equal(all.length, 240)
  t.equal(new Set(all).size, 240)
})

t.test('after a reboot our pool is free again; the control, host-local, stays exhausted', async t => {
  const folder = t.testdir({ ours: {}, theirs: {} })
  const [ours, theirs] = ['ours', 'theirs'].map(name => hostLocal(join(folder, name), ['10.1.0.0/29'])) as [
    HostLocal,
    HostLocal,
  ]
  for (let i = 0; i < 5; i++) {
    await obtain(ours, owner(`c${i}`, { bootId: 'yesterday' }), [])
    await hostLocalCall('ADD', theirs, `c${i}`)
  }
  const full = 'no IP addresses available in range set: 10.1.0.1-10.1.0.6'
  await t.rejects(obtain(ours, owner('new', { bootId: 'yesterday' }), []), { message: new RegExp(full) })
  const later = await Promise.all(
    [0, 1, 2, 3, 4].map(async i =>
      addressesOf((await obtain(ours, owner(`d${i}`, { bootId: 'today' }), [])).leases),
    ),
  )
  t.equal(new Set(later.flat()).size, 5)
  for (let i = 0; i < 3; i++) {
    t.same(await hostLocalAnswers('ADD', theirs, `d${i}`), {
      error: `failed to allocate for range 0: ${full}`,
    })
  }
})

t.test(
  'what a killed host-local left is free again; the control, host-local, has lost it for ever',
  async t => {
    const options = hostLocal(t.testdir(), ['10.1.0.0/30'])
    const path = join(options.dataDir, NETWORK, '10.1.0.2')
    // strace follows the threads; only the write to the lease file is hit.
    const by = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'inject=write:signal=KILL:when=1', '-P', path]
    const killed = await hostLocalAnswers('ADD', options, 'a', { by })
    t.ok('error' in killed)
    t.equal(readFileSync(path, 'utf8'), '', 'an empty lease')
    await hostLocalCall('DEL', options, 'a')
    t.match(await hostLocalAnswers('ADD', options, 'b'), { error: /no IP addresses available/ })
    t.same(await take(options, 'b'), ['10.1.0.2'])
  },
)

const configurations: (string | RangeText)[][][] = [
  [['10.1.0.0/24']],
  [['10.1.0.0/30']],
  [['10.1.0.0/31']],
  [['10.1.0.1/32']],
  [['10.1.0.5/24']],
  [['10.1.0.0/24', '10.2.0.0/24']],
  [['10.1.0.0/24', '10.1.0.0/25']],
  [['10.1.0.0/24'], ['10.1.0.128/25']],
  [['10.1.0.0/24'], ['10.2.0.0/24'], ['fd00::/64']],
  [['10.1.0.0/24', 'fd00::/64']],
  [['fd00::/126']],
  [['fd00::/127']],
  [['fd00::1/64']],
  [['2001:db8:0:0:1::/80']],
  [['2001:db8::/32']],
  [[{ subnet: '2001:db8:0:1:1::/80', rangeStart: '2001:db8:0:1:1:0:0:0' }]],
  [[{ subnet: '2001:db8::/64', rangeStart: '2001:db8::1:0:0:1' }]],
  [[{ subnet: '10.1.0.0/24', gateway: '10.1.0.254' }]],
  [[{ subnet: '10.1.0.0/24', gateway: '10.2.0.1' }]],
  [[{ subnet: '10.1.0.0/24', rangeStart: '10.1.0.9' }]],
  [[{ subnet: '10.1.0.0/24', rangeStart: '10.1.0.9', rangeEnd: '10.1.0.9' }]],
  [[{ subnet: '10.1.0.0/24', rangeStart: '10.1.0.9', rangeEnd: '10.1.0.8' }]],
  [[{ subnet: '10.1.0.0/24', rangeStart: '10.2.0.9' }]],
  [[{ subnet: '10.1.0.0/24', rangeEnd: '10.2.0.9' }]],
  [[{ subnet: '10.1.0.0/24', rangeEnd: '10.1.0.1' }]],
  [
    [
      { subnet: '10.1.0.0/24', rangeEnd: '10.1.0.9' },
      { subnet: '10.1.0.0/24', rangeStart: '10.1.0.10' },
    ],
  ],
  [
    [
      { subnet: '10.1.0.0/24', rangeEnd: '10.1.0.9' },
      { subnet: '10.1.0.0/24', rangeStart: '10.1.0.9' },
    ],
  ],
  [[]],
  [],
]

t.test('a configuration is accepted by both or by neither, and gives the same addresses', async t => {
  const folder = t.testdir()
  for (const [i, sets] of configurations.entries()) {
    const [ours, theirs] = ['ours', 'theirs'].map(name =>
      hostLocal(join(folder, `${name}${i}`), ...sets),
    ) as [HostLocal, HostLocal]
    for (const who of ['a', 'b', 'c']) {
      const mine = await take(ours, who).then(
        ips => ({ ips }),
        (thrown: unknown) => ({ error: messageOf(thrown) }),
      )
      const reference = await hostLocalAnswers('ADD', theirs, who)
      if ('ips' in reference) t.same(mine, reference, JSON.stringify(sets))
      else t.ok('error' in mine, `${JSON.stringify(sets)}: ${reference.error}`)
    }
    t.same(leaseFiles(ours.dataDir), leaseFiles(theirs.dataDir))
  }
})
