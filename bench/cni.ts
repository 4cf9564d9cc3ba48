/**
 * One container comes and goes: bridge, address, masquerade and one published port.
 *
 * The peer is the chain of reference plugins, run as a runtime's library runs it: `bridge` (which runs
 * `host-local`) and then `portmap`, each with the result of the one before; DEL the other way round. Ours
 * is one process. Every turn does ADD and DEL of each side, and who goes first alternates.
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
  call: Call
  add: number[]
  delete: number[]
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

  // The first turn makes the bridges and the chains that stay, and warms the file cache.
  for (let round = -1; round < rounds; round++) {
    for (const side of rotate(sides, round)) await turn(side, round >= 0)
  }

  const lines = (['ADD', 'DEL'] as const).flatMap(work => {
    const times = (side: Side): Summary => summarize(work === 'ADD' ? side.add : side.delete)
    const reference = times(peer)
    return [
      { work, by: peer.name, summary: reference },
      ...ours.map((side): Line => {
        const summary = times(side)
        return {
          work,
          by: side.name,
          summary,
          ratio: summary.median / reference.median,
          budget: BUDGET[work],
        }
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
  ip('netns', 'add', `bench${index}`)
  return {
    name,
    folder,
    list: { cniVersion: '1.0.0', name: `bench${index}`, plugins: plugins(`10.88.${index}.0/24`) },
    call: {
      containerId: `container${index}`,
      netns: `/run/netns/bench${index}`,
      ifname: 'eth0',
      capabilities: { portMappings: [{ hostPort: 8080 + index, containerPort: 80, protocol: 'tcp' }] },
    },
    add: [],
    delete: [],
  }
}

const ipam = (subnet: string) => ({
  type: 'host-local',
  ranges: [[{ subnet }]],
  routes: [{ dst: '0.0.0.0/0' }],
})

async function turn(side: Side, counts: boolean): Promise<void> {
  const execute: Execute = (type, environment, input) => {
    const env = { ...process.env, ...environment, CNI_PATH: side.folder }
    const { status, stdout, stderr } = spawnSync(`${side.folder}/${type}`, [], {
      input,
      encoding: 'utf8',
      env,
    })
    return { code: status, stdout, stderr }
  }
  const start = performance.now()
  const result = await addNetworkList(side.list, side.call, execute)
  const added = performance.now()
  await deleteNetworkList(side.list, side.call, result, execute)
  const deleted = performance.now()
  if (!counts) return
  side.add.push(added - start)
  side.delete.push(deleted - added)
}

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
