/**
 * A hundred containers come at once, and go at once: how long until the last is done, and how long one waits.
 *
 * The peer is the chain of reference plugins, as in `cni/`; ours with each backend, by the daemon and without.
 * A turn is a hundred ADDs and then a hundred DELs of one side, and who goes first alternates. Every turn
 * also has to be right: no error, an address for each, and no interface left.
 */

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { NatBackend } from '../src/model/network.ts'
import {
  addNetworkList,
  type Call,
  deleteNetworkList,
  type Execute,
  type NetworkList,
  type PluginConfig,
  type Result,
} from '../test/support/libcni.ts'
import { startDaemon } from './daemon.ts'
import type { Line, Report } from './report.ts'
import { furnishSandbox, ip } from './sandbox.ts'
import { summarize } from './statistics.ts'
import { hasReference, NO_REFERENCE, REFERENCE, versionsOf } from './versions.ts'

const CROWD = 100
const BUDGET = 0.2

/** Of its own, so that calls without the daemon do not find it. */
const DAEMON_FOLDER = '/run/tsnet-daemon'

interface Side {
  name: string
  list: NetworkList
  execute: Execute
  calls: Call[]
  samples: Map<string, number[]>
  budget?: number
}

const WORKS = [
  `${CROWD} ADDs at once`,
  'the slowest but one of them',
  `${CROWD} DELs at once`,
  'the slowest but one of those',
  'ADDs, then DELs',
] as const

export async function benchCrowd(rounds: number): Promise<Report> {
  const versions = versionsOf('reference plugins', 'iptables', 'nft', 'node', 'linux')
  furnishSandbox()
  for (let i = 0; i < CROWD; i++) ip('netns', 'add', `guest${i}`)
  const sides = [
    ...(hasReference() ? [reference(0)] : []),
    ...(['iptables', 'nftables'] as const).flatMap((backend, i) => [
      ours(backend, true, 2 * i + 1),
      ours(backend, false, 2 * i + 2),
    ]),
  ]
  const daemon = await startDaemon({ TSNET_RUN_DIR: DAEMON_FOLDER })
  try {
    for (let round = 0; round < rounds; round++) {
      for (const side of round % 2 === 0 ? sides : sides.toReversed()) await turn(side)
    }
  } finally {
    await daemon.stop()
  }
  const peer = sides.find(({ name }) => !name.startsWith('tsnet'))
  return {
    title: `${CROWD} containers at once: bridge, address, masquerade, one port`,
    unit: 'ms',
    versions,
    lines: WORKS.flatMap(work => sides.map(side => lineOf(side, work, side === peer ? undefined : peer))),
    notes: [
      `${rounds} turns of each side in turn; no errors, ${CROWD} different addresses, no interface left`,
      ...(peer === undefined ? [NO_REFERENCE] : []),
    ],
  }
}

function lineOf(side: Side, work: string, peer: Side | undefined): Line {
  const summary = summarize(side.samples.get(work) ?? [])
  const detail = work === WORKS[1] || work === WORKS[3]
  const line = { work, by: side.name, summary, ...(detail && { detail }) }
  if (peer === undefined) return line
  const ratio = summary.median / summarize(peer.samples.get(work) ?? []).median
  const isBudgeted = work === WORKS[4] && side.budget !== undefined
  return { ...line, ratio, ...(isBudgeted && side.budget !== undefined && { budget: side.budget }) }
}

async function turn({ name, list, execute, calls, samples }: Side): Promise<void> {
  const adds = await atOnce(calls, call => addNetworkList(list, call, execute))
  const addresses = new Set(adds.results.map(result => result.ips?.[0]?.address))
  if (addresses.size !== CROWD)
    throw new Error(`${name}: ${addresses.size} addresses for ${CROWD} containers`)
  const dels = await atOnce(calls, (call, i) =>
    deleteNetworkList(list, call, adds.results[i] as Result, execute),
  )
  const left = [...readFileSync('/proc/thread-self/net/dev', 'utf8').matchAll(/veth\w+/g)]
  if (left.length > 0) throw new Error(`${name}: ${left.join(', ')} left`)
  const figures = [adds.ms, adds.p99, dels.ms, dels.p99, adds.ms + dels.ms]
  for (const [i, work] of WORKS.entries()) {
    samples.set(work, [...(samples.get(work) ?? []), figures[i] ?? Number.NaN])
  }
}

async function atOnce<T>(calls: readonly Call[], work: (call: Call, index: number) => Promise<T>) {
  const began = performance.now()
  const times: number[] = []
  const results = await Promise.all(
    calls.map(async (call, index) => {
      const result = await work(call, index)
      times.push(performance.now() - began)
      return result
    }),
  )
  return { results, ms: Math.max(...times), p99: summarize(times).p99 }
}

const ipam = (index: number) => ({ type: 'host-local', ranges: [[{ subnet: `10.${50 + index}.0.0/16` }]] })

const common = (index: number) => ({
  bridge: `crowd${index}`,
  isGateway: true,
  ipMasq: true,
  hairpinMode: true,
  ipam: ipam(index),
})

const reference = (index: number): Side =>
  side('bridge → host-local → portmap', index, REFERENCE, {}, [
    { type: 'bridge', ...common(index) },
    { type: 'portmap', capabilities: { portMappings: true } },
  ])

function ours(ipMasqBackend: NatBackend, daemon: boolean, index: number): Side {
  const how = daemon ? 'with the daemon' : 'without the daemon'
  const env = daemon ? { TSNET_RUN_DIR: DAEMON_FOLDER, TSNET_DAEMON: 'on' } : { TSNET_DAEMON: 'off' }
  const plugin = { type: 'tsnet', ...common(index), ipMasqBackend, capabilities: { portMappings: true } }
  const made = side(`tsnet, ${ipMasqBackend}, ${how}`, index, resolve('dist/bin'), env, [plugin])
  return daemon ? { ...made, budget: BUDGET } : made
}

function side(
  name: string,
  index: number,
  folder: string,
  env: Record<string, string>,
  plugins: PluginConfig[],
): Side {
  return {
    name,
    list: { cniVersion: '1.0.0', name: `crowd${index}`, plugins },
    execute: executeIn(folder, { ...process.env, ...env, CNI_PATH: folder }),
    calls: Array.from({ length: CROWD }, (_, i) => ({
      containerId: `guest${i}`,
      netns: `/run/netns/guest${i}`,
      ifname: `eth${index}`,
      capabilities: {
        portMappings: [{ hostPort: 20_000 + index * CROWD + i, containerPort: 80, protocol: 'tcp' }],
      },
    })),
    samples: new Map(),
  }
}

const executeIn =
  (folder: string, base: NodeJS.ProcessEnv): Execute =>
  (type, environment, stdin) =>
    new Promise((done, failed) => {
      const child = spawn(`${folder}/${type}`, [], { env: { ...base, ...environment } })
      let stdout = ''
      let stderr = ''
      child.stdout.on('data', chunk => {
        stdout += chunk
      })
      child.stderr.on('data', chunk => {
        stderr += chunk
      })
      child.on('error', failed)
      child.on('close', code => done({ code, stdout, stderr }))
      child.stdin.end(stdin)
    })
