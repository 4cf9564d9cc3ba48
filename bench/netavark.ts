/**
 * One container with one published port comes and goes: netavark beside ours.
 *
 * netavark does with one exec what we do with one exec, so each of its commands stands beside one of ours:
 * setup and ADD, teardown and DEL. It gets its addresses from its caller, ours takes one from files; 1.x
 * works with iptables. Each turn does both commands of each side, and who goes first alternates.
 */

import { type ExecFileSyncOptions, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Daemon, startDaemon } from './daemon.ts'
import type { Line, Report } from './report.ts'
import { furnishSandbox, ip } from './sandbox.ts'
import { summarize } from './statistics.ts'
import { COUNTED, canCount, countCalls, NOT_COUNTED } from './system-calls.ts'
import { versionsOf } from './versions.ts'

const NETAVARK = ['/usr/lib/podman/netavark', '/usr/libexec/podman/netavark'].find(existsSync)
const BUDGETS = { setup: 1, teardown: 1 }
const DAEMON_FOLDER = '/run/tsnet-daemon'

const COMMANDS = ['setup', 'teardown'] as const
const NAMES = { setup: 'setup, ADD', teardown: 'teardown, DEL' }

type Command = (typeof COMMANDS)[number]

interface Side {
  name: string
  /** @param before puts words before the command line */
  run(command: Command, before?: Before): void
  hasDaemon: boolean
  times: Record<Command, number[]>
  /** System calls of each. */
  calls: Record<Command, number[]>
}

type Before = (command: string[]) => string[]

export async function benchNetavark(rounds: number): Promise<Report> {
  const versions = versionsOf('netavark', 'iptables', 'strace', 'node', 'linux')
  const title = 'netavark: bridge, address, masquerade, one port'
  if (NETAVARK === undefined) {
    return {
      title,
      unit: 'ms',
      versions,
      lines: [],
      notes: ['netavark is not installed: nothing was measured'],
    }
  }
  furnishSandbox()
  const sides = [netavark(NETAVARK), ours(true), ours(false)]
  const counts = canCount()
  const daemon = await startDaemon({ TSNET_RUN_DIR: DAEMON_FOLDER })
  try {
    // The first turn warms the file cache.
    for (let round = -1; round < rounds; round++) {
      for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
        for (const command of COMMANDS) {
          const began = performance.now()
          side.run(command)
          if (round >= 0) side.times[command].push(performance.now() - began)
        }
      }
    }
    if (counts) for (const side of sides) await count(side, daemon)
  } finally {
    await daemon.stop()
  }
  return {
    title,
    unit: 'ms',
    versions,
    lines: [
      ...COMMANDS.flatMap(command => linesOf(sides, command)),
      ...(counts ? COMMANDS.flatMap(command => countsOf(sides, command)) : []),
    ],
    notes: [
      `${rounds} turns in turn; the only container of its network, which comes and goes with it`,
      counts ? COUNTED : NOT_COUNTED,
    ],
  }
}

async function count(side: Side, { pid }: Daemon): Promise<void> {
  for (const command of COMMANDS) {
    const work = (before: Before) => side.run(command, before)
    side.calls[command] = [await countCalls(work, side.hasDaemon ? pid : undefined)]
  }
}

function linesOf(sides: readonly Side[], command: Command): Line[] {
  const [peer] = sides
  const reference = summarize(peer?.times[command] ?? [])
  return sides.map(side => {
    const summary = summarize(side.times[command])
    const line = { work: NAMES[command], by: side.name, summary }
    if (side === peer) return line
    return { ...line, ratio: summary.median / reference.median, budget: BUDGETS[command] }
  })
}

function countsOf(sides: readonly Side[], command: Command): Line[] {
  const reference = sides[0]?.calls[command][0]
  return sides.map((side, index) => {
    const summary = summarize(side.calls[command])
    const line = { work: `${NAMES[command]}, system calls`, by: side.name, unit: '', summary }
    return index === 0 || reference === undefined ? line : { ...line, ratio: summary.median / reference }
  })
}

function netavark(file: string): Side {
  ip('netns', 'add', 'theirs')
  const input = JSON.stringify({
    container_id: 'theirs',
    container_name: 'theirs',
    port_mappings: [{ container_port: 80, host_ip: '', host_port: 8080, protocol: 'tcp', range: 1 }],
    networks: { podman: { interface_name: 'eth0', static_ips: ['10.91.0.2'] } },
    network_info: {
      podman: {
        name: 'podman',
        id: '0'.repeat(64),
        driver: 'bridge',
        network_interface: 'theirs0',
        subnets: [{ subnet: '10.91.0.0/16', gateway: '10.91.0.1' }],
        ipv6_enabled: false,
        internal: false,
        dns_enabled: false,
        ipam_options: { driver: 'host-local' },
      },
    },
  })
  return {
    name: 'netavark',
    run: (command, before) =>
      execute([file, '--config', '/run/netavark', command, '/run/netns/theirs'], { input }, before),
    hasDaemon: false,
    times: { setup: [], teardown: [] },
    calls: { setup: [], teardown: [] },
  }
}

function ours(daemon: boolean): Side {
  const id = daemon ? 'warm' : 'cold'
  ip('netns', 'add', id)
  const input = JSON.stringify({
    cniVersion: '1.1.0',
    name: id,
    type: 'tsnet',
    bridge: id,
    isGateway: true,
    ipMasq: true,
    ipMasqBackend: 'iptables',
    ipam: { type: 'host-local', ranges: [[{ subnet: daemon ? '10.92.0.0/16' : '10.93.0.0/16' }]] },
    runtimeConfig: {
      portMappings: [{ hostPort: daemon ? 8081 : 8082, containerPort: 80, protocol: 'tcp' }],
    },
  })
  const env = {
    ...process.env,
    CNI_CONTAINERID: id,
    CNI_IFNAME: 'eth0',
    CNI_NETNS: `/run/netns/${id}`,
    CNI_PATH: '/opt/cni/bin',
    ...(daemon ? { TSNET_DAEMON: 'on', TSNET_RUN_DIR: DAEMON_FOLDER } : { TSNET_DAEMON: 'off' }),
  }
  return {
    name: `tsnet, iptables, ${daemon ? 'with' : 'without'} the daemon`,
    run: (command, before) => {
      const CNI_COMMAND = command === 'setup' ? 'ADD' : 'DEL'
      execute([resolve('dist/bin/tsnet')], { input, env: { ...env, CNI_COMMAND } }, before)
    },
    hasDaemon: daemon,
    times: { setup: [], teardown: [] },
    calls: { setup: [], teardown: [] },
  }
}

function execute(command: string[], options: ExecFileSyncOptions, before: Before = words => words): void {
  const [file = '', ...args] = before(command)
  execFileSync(file, args, options)
}
