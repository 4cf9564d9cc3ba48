/**
 * What a call pays for a network of many hosts: ADD and DEL by the daemon, beside a network that differs in nothing but that
 * it is this host's alone. Time in turn, and system calls.
 */

import type { Call, NetworkList } from '../../test/support/libcni.ts'
import { callOf } from '../cni/calls.ts'
import { COUNTS, countSide } from '../cni/count.ts'
import { type Side, summaryOf, THIS } from '../cni/sides.ts'
import { measure } from '../meter/meter.ts'
import type { Line } from '../report.ts'
import { ip } from '../sandbox.ts'
import { rotate } from '../statistics.ts'
import { COUNTED, canCount, NOT_COUNTED } from '../system-calls.ts'
import { addHost, type BenchHost, networkOf, pluginOf, said, startOn, until } from './site.ts'

const KEYS = '/calls'
const WARM = 10
const PAUSE_MS = 20
/** Of the local one. */
const BUDGET = 1.05
const COMMANDS = ['ADD', 'DEL'] as const

export async function measureCalls(rounds: number): Promise<{ lines: Line[]; notes: string[] }> {
  const host = addHost('calls', 51, KEYS)
  await startOn(host)
  const { hosts: _, ...local } = pluginOf('vxlan', KEYS) as Record<string, unknown>
  const sides = [
    sideOf(host, 'a local network', 'alone', {
      ...local,
      bridge: 'alone0',
      ipam: { type: 'host-local', ranges: [[{ subnet: '10.232.1.0/24' }]] },
    }),
    sideOf(host, 'a network of many hosts', networkOf('vxlan'), pluginOf('vxlan', KEYS)),
  ] as const
  try {
    await until(() => isReady(host), 'a prefix')
    for (let i = 0; i < WARM; i++) measure(sides.flatMap(side => COMMANDS.map(each => callOf(side, each))))
    const pause = { steps: [{ pauseMs: PAUSE_MS }] }
    measure(
      Array.from({ length: rounds }, (_, round) =>
        rotate(sides, round).flatMap(side => COMMANDS.flatMap(each => [pause, callOf(side, each, each)])),
      ).flat(),
    )
    if (canCount()) for (const side of sides) await countSide(side, host.daemon)
  } finally {
    await host.daemon?.stop()
  }
  const [alone, many] = sides
  const lines = COMMANDS.flatMap((command): Line[] => {
    const works: [work: string, unit: string][] = [[command, 'ms']]
    if (canCount()) works.push([COUNTS[command], 'calls'])
    return works.flatMap(([work, unit]) => {
      const [peer, ours] = [summaryOf(alone, work), summaryOf(many, work)]
      return [
        { work, unit, by: alone.name, summary: peer },
        { work, unit, by: many.name, summary: ours, ratio: ours.median / peer.median, budget: BUDGET },
      ]
    })
  })
  return { lines, notes: [`${rounds} turns of ADD and DEL`, canCount() ? COUNTED : NOT_COUNTED] }
}

/** True once the network has addresses to give. */
const isReady = (host: BenchHost): boolean => {
  const [, prefix] = /inet (10\.\d+\.\d+)\.0\/32/.exec(said(host, 'ip', '-4', 'address')) ?? []
  return prefix !== undefined
}

function sideOf(host: BenchHost, name: string, network: string, plugin: object): Side {
  const call = (who: string): Call => {
    ip('netns', 'add', who)
    return { containerId: who, netns: `/run/netns/${who}`, ifname: 'eth0' }
  }
  return {
    name,
    host: { netns: host.netns, runDirectory: host.env.TSNET_RUN_DIR ?? '' },
    list: { cniVersion: '1.0.0', name: network, plugins: [plugin] } as NetworkList,
    folder: THIS.folder,
    call: call(`guest-${network}`),
    neighbour: call(`neighbour-${network}`),
    samples: new Map(),
    env: { PATH: process.env.PATH ?? '', ...host.env, TSNET_DAEMON: 'on' },
  }
}
