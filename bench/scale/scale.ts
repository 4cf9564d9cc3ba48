/**
 * What work costs as a host fills up.
 *
 *     npm run bench -- scale [--json]             with nftables
 *     npm run bench -- scale-iptables [--json]
 *
 * Several hosts of very different size are filled, side by side, and the same work is done on each in turn,
 * so that what disturbs the machine disturbs all of them. A *curve* is the median at each size; its slope
 * says how it grows: 0 not at all, 1 in proportion. What looks at one container has to be flat; what lists
 * or collects all of something may grow in proportion to it, no faster.
 *
 * Calls are also counted: system calls do not depend on what else the machine does.
 */

import type { NatBackend } from '../../src/model/network.ts'
import { type Curve, curveOf } from '../curve.ts'
import type { Line, Report } from '../report.ts'
import { versionsOf } from '../versions.ts'
import type { Count, Order, Size } from './host.ts'
import { BenchHost, type Done } from './hosts.ts'

const SIZES: readonly Size[] = [
  { ports: 10, leases: 10, attachments: 10, networks: 1 },
  { ports: 1_000, leases: 5_000, attachments: 500, networks: 10 },
  { ports: 10_000, leases: 50_000, attachments: 5_000, networks: 100 },
]

/** What a container's coming and going may cost on a full host, over an empty one. */
const FLAT = 1.2

/** What it asks again and again, and what its start waits for. */
const CRIO_MS = 50

interface Work {
  name: string
  order: Order
  /** Done before, without being counted. */
  before?: Order
  /** Instead of the number of turns: for what takes long. */
  rounds?: number
  budget?: number
  /** In milliseconds, on the largest host. */
  limit?: number
  value?: (done: Done) => number | undefined
  unit?: string
}

const call = (command: 'ADD' | 'CHECK' | 'DEL' | 'GC' | 'STATUS', daemon: boolean, count?: Count): Order => ({
  do: 'call',
  command,
  daemon,
  ...(count !== undefined && { count }),
})
const command = (daemon: boolean, ...words: string[]): Order => ({ do: 'command', words, daemon })

const calls = (daemon: boolean): Work[] => [
  { name: 'ADD', order: call('ADD', daemon), budget: FLAT },
  { name: 'CHECK', order: call('CHECK', daemon), budget: FLAT },
  { name: 'DEL', order: call('DEL', daemon), budget: FLAT },
]

const counted = (daemon: boolean): Work[] =>
  (['ADD', 'CHECK', 'DEL', 'STATUS', 'GC'] as const).map(name => ({
    name: `system calls of ${name}`,
    order: call(name, daemon, 'all'),
    rounds: 1,
    value: done => done.calls,
    unit: '',
    ...(name !== 'GC' && { budget: FLAT }),
  }))

/** One port is somewhere on hosts of all sizes. */
const listings = (daemon: boolean): Work[] =>
  [['ps'], ['ports'], ['inspect', '20000']].map(words => ({
    name: `tsnet ${words.join(' ')}`,
    order: command(daemon, ...words),
    rounds: 3,
  }))

const WITHOUT_DAEMON: readonly Work[] = [
  ...calls(false),
  ...counted(false),
  { name: 'STATUS', order: call('STATUS', false), budget: FLAT },
  { name: 'GC of a network', order: call('GC', false), rounds: 2 },
  ...listings(false),
]

const START: readonly Work[] = [
  { name: 'daemon start', order: { do: 'start-daemon' }, rounds: 1 },
  {
    name: 'daemon memory',
    order: { do: 'idle' },
    rounds: 1,
    value: done => done.memoryMib,
    unit: 'MiB',
  },
  // Of a processor, each second.
  { name: 'daemon at rest', order: { do: 'idle' }, rounds: 1, unit: 'ms/s' },
]

const WITH_DAEMON: readonly Work[] = [
  ...calls(true),
  { name: 'publish', order: command(true, 'publish', '9000:80', 'netns:probe'), budget: FLAT },
  { name: 'unpublish', order: command(true, 'unpublish', '9000'), budget: FLAT },
  ...listings(true),
  { name: 'STATUS, as CRI-O asks', order: { do: 'cri-o', command: 'STATUS' }, limit: CRIO_MS },
  { name: 'GC of a network, as CRI-O asks', order: { do: 'cri-o', command: 'GC' }, limit: CRIO_MS },
]

export const benchScale = (rounds: number): Promise<Report> => benchScaleOf('nftables', rounds)
export const benchScaleIptables = (rounds: number): Promise<Report> => benchScaleOf('iptables', rounds)

async function benchScaleOf(backend: NatBackend, rounds: number): Promise<Report> {
  const hosts = SIZES.map(size => new BenchHost(size))
  try {
    const began = performance.now()
    for (const host of hosts) await host.ask({ do: 'fill', size: host.size, backend })
    const filled = performance.now() - began
    const curves = [
      ...(await measure(hosts, WITHOUT_DAEMON, rounds, 'tsnet')),
      ...(await measure(hosts, START, rounds, 'tsnet daemon')),
      ...(await measure(hosts, WITH_DAEMON, rounds, 'tsnet, daemon up')),
    ]
    return {
      title: `What work costs by the number of published ports on the host, with ${backend}`,
      unit: 'ms',
      versions: versionsOf('node', backend === 'nftables' ? 'nft' : 'iptables', 'linux'),
      lines: limitsOf(WITH_DAEMON, curves),
      curves,
      notes: [
        ...SIZES.map(
          ({ ports, leases, attachments, networks }) =>
            `at ${ports}: ${ports} published ports, half by CNI and half by tsnet publish${backend === 'iptables' ? ' in ranges of 50' : ''}, ${leases} leases in the network of the call, ${attachments} attachments on ${networks} networks`,
        ),
        `${backend}; filled in ${(filled / 1000).toFixed(0)} s; the turns of all sizes alternate, ${rounds} of each`,
      ],
    }
  } finally {
    await Promise.all(hosts.map(host => host.end()))
  }
}

/** What is limited, on the largest host. */
const limitsOf = (works: readonly Work[], curves: readonly Curve[]): Line[] =>
  works.flatMap(({ name, limit }): Line[] => {
    const found = curves.findLast(({ work }) => work === name)
    const summary = found?.points.at(-1)?.summary
    if (limit === undefined || found === undefined || summary === undefined) return []
    return [{ work: name, by: found.by, unit: 'ms', summary, limit }]
  })

/** All works in turn on all hosts; the first round warms up, where there are several. */
async function measure(
  hosts: readonly BenchHost[],
  works: readonly Work[],
  rounds: number,
  by: string,
): Promise<Curve[]> {
  const values = new Map(works.map(work => [work, hosts.map((): number[] => [])]))
  for (let round = 0; round <= rounds; round++) {
    for (const work of works) {
      if (round >= (work.rounds ?? rounds + 1)) continue
      for (const [index, host] of hosts.entries()) {
        const done = await host.ask(work.order)
        const value = work.value === undefined ? done.ms : work.value(done)
        const warm = round > 0 || work.rounds !== undefined
        if (warm && value !== undefined) values.get(work)?.[index]?.push(value)
      }
    }
  }
  return works.map(({ name, unit = 'ms', budget }) => {
    const samples = [...values].find(([work]) => work.name === name)?.[1] ?? []
    const named = { work: name, by, unit, ...(budget !== undefined && { budget }) }
    return curveOf(
      named,
      hosts.map((host, index) => ({ size: host.size.ports, values: samples[index] ?? [] })),
    )
  })
}
