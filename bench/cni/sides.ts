/** Who is measured: the chain of reference plugins, and ours by backend, with and without the daemon, of each build. */

import { basename, resolve } from 'node:path'
import type { NatBackend } from '../../src/model/network.ts'
import type { Call, NetworkList } from '../../test/support/libcni.ts'
import { ip } from '../sandbox.ts'
import { summarize } from '../statistics.ts'
import { REFERENCE } from '../versions.ts'
import { HOWS, type How } from './budgets.ts'
import type { Host } from './host.ts'

export interface Side {
  name: string
  host: Host
  list: NetworkList
  /** Where its plugins are. */
  folder: string
  /** Of the container that comes and goes. */
  call: Call
  /** Of the one that stays. */
  neighbour: Call
  /** Of each work: milliseconds, or calls of the system. */
  samples: Map<string, number[]>
  env: Record<string, string>
  /** Absent for the reference. */
  ours?: { how: How; backend: NatBackend; build: Build }
}

/** Executables of ours. */
export interface Build {
  /** By which its lines are told apart. */
  name: string
  folder: string
  /** Whether it is the one that budgets are for. */
  isThis: boolean
}

export const THIS: Build = { name: 'tsnet', folder: resolve('dist/bin'), isThis: true }

/** The one in another checkout. */
export const otherBuild = (checkout: string): Build => ({
  name: `${basename(resolve(checkout))}'s`,
  folder: resolve(checkout, 'dist/bin'),
  isThis: false,
})

/** Its own network, ports and namespaces. */
let last = 0

export function referenceSide(host: Host): Side {
  const plugins = (subnet: string) => [
    { type: 'bridge', bridge: 'ref0', isGateway: true, ipMasq: true, hairpinMode: true, ipam: ipam(subnet) },
    { type: 'portmap', capabilities: { portMappings: true } },
  ]
  return side('bridge → host-local → portmap', REFERENCE, host, { TSNET_DAEMON: 'off' }, plugins)
}

export const ourSides = (build: Build, host: Host): Side[] =>
  (['iptables', 'nftables'] as const).flatMap(backend => HOWS.map(how => ourSide(build, host, backend, how)))

/** @param where what its name says of the host */
export function ourSide(build: Build, host: Host, backend: NatBackend, how: How, where: string = how): Side {
  const env = { TSNET_RUN_DIR: `${host.runDirectory}-cold`, TSNET_DAEMON: 'off' }
  const asked = { TSNET_RUN_DIR: host.runDirectory, TSNET_DAEMON: 'on' }
  const plugins = (subnet: string, index: number) => [
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
  ]
  const name = `${build.name}, ${backend}, ${where}`
  const made = side(name, build.folder, host, how === 'with the daemon' ? asked : env, plugins)
  return { ...made, ours: { how, backend, build } }
}

function side(
  name: string,
  folder: string,
  host: Host,
  env: Record<string, string>,
  plugins: (subnet: string, index: number) => NetworkList['plugins'],
): Side {
  const index = ++last
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
    host,
    folder,
    list: { cniVersion: '1.0.0', name: `bench${index}`, plugins: plugins(`10.88.${index}.0/24`, index) },
    call: call('guest', 8000 + index),
    neighbour: call('neighbour', 9000 + index),
    samples: new Map(),
    env: { PATH: process.env.PATH ?? '', ...env },
  }
}

const ipam = (subnet: string) => ({
  type: 'host-local',
  ranges: [[{ subnet }]],
  routes: [{ dst: '0.0.0.0/0' }],
})

export function keepSample({ samples }: Side, work: string, value: number): void {
  const kept = samples.get(work) ?? []
  samples.set(work, [...kept, value])
}

export const summaryOf = (side: Side, work: string) => summarize(side.samples.get(work) ?? [])
