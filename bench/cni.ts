/**
 * One container comes and goes: bridge, address, masquerade and one published port.
 *
 * The peer is the chain of reference plugins, run as a runtime's library runs it: `bridge` (which runs
 * `host-local`) and then `portmap`, each with the result of the one before; DEL the other way round. Ours
 * is one process. Every turn does ADD and DEL of each side, and who goes first alternates.
 *
 * Twice: for a container beside another one that stays, as on a host that works; and for the only container
 * of its network, which makes the bridge and takes it away again (ours does; the reference leaves it).
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import {
  addNetworkList,
  type Call,
  deleteNetworkList,
  type Execute,
  type NetworkList,
} from '../test/support/libcni.ts'
import type { Line, Report } from './report.ts'
import { furnishSandbox, ip } from './sandbox.ts'
import { type Summary, summarize } from './statistics.ts'

/** A call without the daemon may take this many times the peer's median. */
const BUDGET = { ADD: 1, DEL: 0.5 }

const REFERENCE = '/usr/lib/cni'
const OURS = resolve('dist/bin')

interface Side {
  name: string
  list: NetworkList
  folder: string
  /** Of the container that comes and goes. */
  call: Call
  /** Of the one that stays. */
  neighbour: Call
  times: Record<string, number[]>
}

export async function benchCni(rounds: number): Promise<Report> {
  const versions = versionsOfPeers()
  furnishSandbox()
  const sides = [
    side('bridge → host-local → portmap', REFERENCE, 1, subnet => [
      {
        type: 'bridge',
        bridge: 'ref0',
        isGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: ipam(subnet),
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ]),
    ...(['iptables', 'nftables'] as const).map((ipMasqBackend, index) =>
      side(`tsnet, ${ipMasqBackend}`, OURS, index + 2, subnet => [
        {
          type: 'tsnet',
          bridge: `ts${index}`,
          isGateway: true,
          ipMasq: true,
          hairpinMode: true,
          ipMasqBackend,
          capabilities: { portMappings: true },
          ipam: ipam(subnet),
        },
      ]),
    ),
  ]
  const [peer, ...ours] = sides
  if (peer === undefined) throw new Error('no peer')

  const measure = async (suffix: string) => {
    // The first turn warms the file cache, and makes what stays.
    for (let round = -1; round < rounds; round++) {
      for (const side of rotate(sides, round)) await turn(side, round < 0 ? undefined : suffix)
    }
  }
  await measure(', alone')
  for (const side of sides) await addNetworkList(side.list, side.neighbour, executeOf(side))
  await measure('')

  const lines = ['ADD', 'DEL', 'ADD, alone', 'DEL, alone'].flatMap(work => {
    const reference = summaryOf(peer, work)
    const budget = work.startsWith('ADD') ? BUDGET.ADD : BUDGET.DEL
    return [
      { work, by: peer.name, summary: reference },
      ...ours.map((side): Line => {
        const summary = summaryOf(side, work)
        return { work, by: side.name, summary, ratio: summary.median / reference.median, budget }
      }),
    ]
  })
  return {
    title: 'CNI without the daemon: bridge, address, masquerade, one port',
    unit: 'ms',
    versions,
    lines,
    notes: [
      `${rounds} turns in turn; starting a process that does nothing takes ${startTime()} ms of each exec`,
    ],
  }
}

function side(
  name: string,
  folder: string,
  index: number,
  plugins: (subnet: string) => NetworkList['plugins'],
): Side {
  const call = (who: string, hostPort: number): Call => {
    ip('netns', 'add', `${who}${index}`)
    return {
      containerId: `${who}${index}`,
      netns: `/run/netns/${who}${index}`,
      ifname: 'eth0',
      capabilities: { portMappings: [{ hostPort, containerPort: 80, protocol: 'tcp' }] },
    }
  }
  return {
    name,
    folder,
    list: { cniVersion: '1.0.0', name: `bench${index}`, plugins: plugins(`10.88.${index}.0/24`) },
    call: call('guest', 8080 + index),
    neighbour: call('neighbour', 9080 + index),
    times: {},
  }
}

const ipam = (subnet: string) => ({
  type: 'host-local',
  ranges: [[{ subnet }]],
  routes: [{ dst: '0.0.0.0/0' }],
})

const executeOf =
  ({ folder }: Side): Execute =>
  (type, environment, input) => {
    const env = { ...process.env, ...environment, CNI_PATH: folder }
    const { status, stdout, stderr } = spawnSync(`${folder}/${type}`, [], { input, encoding: 'utf8', env })
    return { code: status, stdout, stderr }
  }

/** @param suffix of what the times are kept under; undefined: not at all */
async function turn(side: Side, suffix: string | undefined): Promise<void> {
  const start = performance.now()
  const result = await addNetworkList(side.list, side.call, executeOf(side))
  const added = performance.now()
  await deleteNetworkList(side.list, side.call, result, executeOf(side))
  const deleted = performance.now()
  if (suffix === undefined) return
  const { times } = side
  times[`ADD${suffix}`] = [...(times[`ADD${suffix}`] ?? []), added - start]
  times[`DEL${suffix}`] = [...(times[`DEL${suffix}`] ?? []), deleted - added]
}

const summaryOf = (side: Side, work: string): Summary => summarize(side.times[work] ?? [])

/** The list, begun somewhere else each time. */
const rotate = <T>(list: T[], by: number): T[] => {
  const start = (by + list.length) % list.length
  return [...list.slice(start), ...list.slice(0, start)]
}

function startTime(): string {
  const times = Array.from({ length: 20 }, () => {
    const start = performance.now()
    spawnSync('/bin/true')
    return performance.now() - start
  })
  return summarize(times).median.toFixed(1)
}

/** Asked before the sandbox hides Debian's records. */
function versionsOfPeers(): Record<string, string> {
  const ask = (file: string, ...args: string[]) => execFileSync(file, args, { encoding: 'utf8' }).trim()
  return {
    'containernetworking-plugins': ask('dpkg-query', '-W', 'containernetworking-plugins').replace(
      /^.*\t/,
      '',
    ),
    iptables: ask('iptables', '--version').replace(/^iptables /, ''),
    node: process.version,
    linux: ask('uname', '-r'),
  }
}
