/**
 * One container comes and goes: bridge, address, masquerade and one published port.
 *
 * The peer is the chain of reference plugins, run as a runtime's library runs it: `bridge` (which runs
 * `host-local`) and then `portmap`, each with the result of the one before; DEL the other way round. Ours
 * is one process, with each backend: once done by the daemon, once without one. Every turn does ADD and
 * DEL of each side, and who goes first alternates.
 *
 * Twice: for a container beside another one that stays, as on a host that works; and for the only container
 * of its network, which makes the bridge and takes it away again (ours does; the reference leaves it).
 */

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import type { NatBackend } from '../src/model/network.ts'
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

/** How many times the peer's median a call may take. */
const BUDGETS = {
  'with the daemon': { iptables: { ADD: 0.3, DEL: 0.35 }, nftables: { ADD: 0.15, DEL: 0.2 } },
  'without the daemon': { iptables: { ADD: 1, DEL: 0.5 }, nftables: { ADD: 1, DEL: 0.5 } },
} as const

/** Of its own, so that calls without the daemon do not find it. */
const DAEMON_FOLDER = '/run/tsnet-daemon'

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
  /** Beside what every call has. */
  env: Record<string, string>
  budget?: { ADD: number; DEL: number }
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
    ...(['iptables', 'nftables'] as const).flatMap((backend, index) => [
      ourSide(backend, 'with the daemon', 2 * index + 2),
      ourSide(backend, 'without the daemon', 2 * index + 3),
    ]),
  ]
  const [peer, ...ours] = sides
  if (peer === undefined) throw new Error('no peer')

  const measure = async (suffix: string) => {
    // The first turn warms the file cache, and makes what stays.
    for (let round = -1; round < rounds; round++) {
      for (const side of rotate(sides, round)) await turn(side, round < 0 ? undefined : suffix)
    }
  }
  const daemon = await startDaemon()
  await measure(', alone')
  for (const side of sides) await addNetworkList(side.list, side.neighbour, executeOf(side))
  await measure('')
  daemon.kill()

  const lines = ['ADD', 'DEL', 'ADD, alone', 'DEL, alone'].flatMap(work => {
    const reference = summaryOf(peer, work)
    return [
      { work, by: peer.name, summary: reference },
      ...ours.map((side): Line => {
        const summary = summaryOf(side, work)
        const budget = side.budget?.[work.startsWith('ADD') ? 'ADD' : 'DEL']
        const ratio = summary.median / reference.median
        return { work, by: side.name, summary, ratio, ...(budget !== undefined && { budget }) }
      }),
    ]
  })
  return {
    title: 'CNI: bridge, address, masquerade, one port',
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

async function startDaemon(): Promise<ChildProcess> {
  const daemon = spawn(`${OURS}/tsnet`, ['daemon'], {
    env: { ...process.env, TSNET_RUN_DIR: DAEMON_FOLDER },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(daemon.stdout, 'data')
  return daemon
}

const ipam = (subnet: string) => ({
  type: 'host-local',
  ranges: [[{ subnet }]],
  routes: [{ dst: '0.0.0.0/0' }],
})

const executeOf =
  ({ folder, env: own }: Side): Execute =>
  (type, environment, input) => {
    const env = { ...process.env, ...own, ...environment, CNI_PATH: folder }
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
