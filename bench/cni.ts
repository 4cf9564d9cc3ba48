/**
 * One container comes and goes: bridge, address, masquerade and one published port.
 *
 * The peer is the chain of reference plugins, run as a runtime's library runs it: `bridge` (which runs
 * `host-local`) and then `portmap`, each with the result of the one before; DEL the other way round. Ours
 * is one process, with each backend: once done by the daemon, once without one. Every turn does ADD and
 * DEL of each side, and who goes first alternates.
 *
 * After the timed turns, one ADD and one DEL of each side are done again with their system calls counted.
 *
 * Twice: for a container beside another one that stays, as on a host that works; and for the only container
 * of its network, which makes the bridge and takes it away again (ours does; the reference leaves it).
 */

import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import type { NatBackend } from '../src/model/network.ts'
import {
  addNetworkList,
  type Call,
  deleteNetworkList,
  type Execute,
  type NetworkList,
  type Result,
} from '../test/support/libcni.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import type { Line, Report } from './report.ts'
import { furnishSandbox, ip } from './sandbox.ts'
import { rotate, type Summary, summarize } from './statistics.ts'
import { COUNTED, canCount, countCalls, NOT_COUNTED } from './system-calls.ts'
import { hasReference, NO_REFERENCE, REFERENCE, versionsOf } from './versions.ts'

/** How many times the peer's median a call may take. */
const BUDGETS = {
  'with the daemon': { iptables: { ADD: 0.3, DEL: 0.35 }, nftables: { ADD: 0.15, DEL: 0.2 } },
  'without the daemon': { iptables: { ADD: 1, DEL: 0.5 }, nftables: { ADD: 1, DEL: 0.5 } },
} as const

/** Of its own, so that calls without the daemon do not find it. */
const DAEMON_FOLDER = '/run/tsnet-daemon'

/** What is counted. */
const CALLS = { ADD: 'ADD, system calls', DEL: 'DEL, system calls' }

const OURS = resolve('dist/bin')

interface Side {
  name: string
  list: NetworkList
  folder: string
  /** Of the container that comes and goes. */
  call: Call
  /** Of the one that stays. */
  neighbour: Call
  /** Of each work: milliseconds, or calls of the system. */
  samples: Record<string, number[]>
  /** Beside what every call has. */
  env: Record<string, string>
  budget?: { ADD: number; DEL: number }
}

export async function benchCni(rounds: number): Promise<Report> {
  // Asked before the sandbox hides Debian's records.
  const versions = versionsOf('reference plugins', 'iptables', 'nft', 'strace', 'node', 'linux')
  furnishSandbox()
  const peer = hasReference() ? referenceSide() : undefined
  const ours = (['iptables', 'nftables'] as const).flatMap((backend, index) => [
    ourSide(backend, 'with the daemon', 2 * index + 2),
    ourSide(backend, 'without the daemon', 2 * index + 3),
  ])
  const sides = peer === undefined ? ours : [peer, ...ours]
  const counts = canCount()

  const measure = async (suffix: string) => {
    // The first turn warms the file cache, and makes what stays.
    for (let round = -1; round < rounds; round++) {
      for (const side of rotate(sides, round)) await turn(side, round < 0 ? undefined : suffix)
    }
  }
  const daemon = await startDaemon({ TSNET_RUN_DIR: DAEMON_FOLDER })
  try {
    await measure(', alone')
    for (const side of sides) await addNetworkList(side.list, side.neighbour, executeOf(side))
    await measure('')
    if (counts) for (const side of sides) await count(side, daemon)
  } finally {
    await daemon.stop()
  }

  const works = ['ADD', 'DEL', 'ADD, alone', 'DEL, alone', ...(counts ? Object.values(CALLS) : [])]
  return {
    title: 'CNI: bridge, address, masquerade, one port',
    unit: 'ms',
    versions,
    lines: works.flatMap(work => linesOf(work, peer, ours)),
    notes: [
      `${rounds} turns in turn; starting a process that does nothing takes ${startTime()} ms of each exec`,
      counts ? COUNTED : NOT_COUNTED,
      ...(peer === undefined ? [NO_REFERENCE] : []),
    ],
  }
}

function linesOf(work: string, peer: Side | undefined, ours: Side[]): Line[] {
  const unit = Object.values(CALLS).includes(work) ? { unit: '' } : {}
  const reference = peer && summaryOf(peer, work)
  const lines = ours.map((side): Line => {
    const summary = summaryOf(side, work)
    const budget = unit.unit === undefined ? side.budget?.[work.startsWith('ADD') ? 'ADD' : 'DEL'] : undefined
    return {
      work,
      by: side.name,
      summary,
      ...unit,
      ...(reference && { ratio: summary.median / reference.median }),
      ...(reference && budget !== undefined && { budget }),
    }
  })
  return peer && reference ? [{ work, by: peer.name, summary: reference, ...unit }, ...lines] : lines
}

const referenceSide = (): Side =>
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
  ])

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
    samples: {},
    env: { TSNET_DAEMON: 'off' },
  }
}

function ourSide(backend: NatBackend, how: keyof typeof BUDGETS, index: number): Side {
  const made = side(`tsnet, ${backend}, ${how}`, OURS, index, subnet => [
    {
      type: 'tsnet',
      bridge: `ts${index}`,
      isGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipMasqBackend: backend,
      capabilities: { portMappings: true },
      ipam: ipam(subnet),
    },
  ])
  const env = how === 'with the daemon' ? { TSNET_DAEMON: 'on', TSNET_RUN_DIR: DAEMON_FOLDER } : made.env
  return { ...made, env, budget: BUDGETS[how][backend] }
}

const ipam = (subnet: string) => ({
  type: 'host-local',
  ranges: [[{ subnet }]],
  routes: [{ dst: '0.0.0.0/0' }],
})

/** @param before puts words before each command line */
const executeOf =
  ({ folder, env: own }: Side, before = (command: string[]) => command): Execute =>
  (type, environment, input) => {
    const env = { ...process.env, ...own, ...environment, CNI_PATH: folder }
    const [file = '', ...args] = before([`${folder}/${type}`])
    const { status, stdout, stderr } = spawnSync(file, args, { input, encoding: 'utf8', env })
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
  const { samples } = side
  samples[`ADD${suffix}`] = [...(samples[`ADD${suffix}`] ?? []), added - start]
  samples[`DEL${suffix}`] = [...(samples[`DEL${suffix}`] ?? []), deleted - added]
}

const summaryOf = (side: Side, work: string): Summary => summarize(side.samples[work] ?? [])

async function count(side: Side, daemon: Daemon): Promise<void> {
  const pid = side.env.TSNET_DAEMON === 'on' ? daemon.pid : undefined
  let result: Result | undefined
  const added = await countCalls(async prefix => {
    result = await addNetworkList(side.list, side.call, executeOf(side, prefix))
  }, pid)
  const deleted = await countCalls(
    prefix => deleteNetworkList(side.list, side.call, result, executeOf(side, prefix)),
    pid,
  )
  side.samples[CALLS.ADD] = [added]
  side.samples[CALLS.DEL] = [deleted]
}

function startTime(): string {
  const times = Array.from({ length: 20 }, () => {
    const start = performance.now()
    spawnSync('/bin/true')
    return performance.now() - start
  })
  return summarize(times).median.toFixed(1)
}
