/**
 * Hosts of a benchmark on one wire, and an etcd between them.
 *
 *     etcd 192.168.77.1 ── sw0 ─┬─ eth0 192.168.77.11 ── a daemon of its own, containers
 *                               └─ eth0 192.168.77.12 ── …
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd } from '../../src/hosts/etcd/etcd.ts'
import type { Carrier } from '../../src/model/hosts/hosts.ts'
import { type Daemon, startDaemon } from '../daemon.ts'
import { furnishSandbox, ip } from '../sandbox.ts'

export const ENDPOINT = 'http://192.168.77.1:2379'
export const SUBNETS: Record<Carrier, string> = { vxlan: '10.200.0.0/13', routes: '10.216.0.0/13' }
export const networkOf = (carrier: Carrier): string => `over-${carrier}`

/**
 * A plugin of a list that speaks of hosts.
 * @param keys begins those in etcd: under each is a world of its own
 */
export const pluginOf = (carrier: Carrier, keys: string): object => ({
  type: 'tsnet',
  bridge: `${carrier}0`,
  isDefaultGateway: true,
  ipMasq: true,
  hosts: {
    engine: 'etcd',
    endpoints: [ENDPOINT],
    prefix: keys,
    subnet: SUBNETS[carrier],
    hostPrefix: 24,
    carrier,
  },
})

/** Begins all: nothing is on this machine but the wire and etcd. */
export async function openSite(): Promise<{ etcd: ChildProcess; store: Etcd }> {
  furnishSandbox()
  ip('link', 'add', 'sw0', 'type', 'bridge')
  ip('address', 'add', '192.168.77.1/22', 'dev', 'sw0')
  ip('link', 'set', 'sw0', 'up')
  const peer = 'http://127.0.0.1:2380'
  const etcd = spawn(
    'etcd',
    [
      ...['--data-dir', '/run/etcd', '--logger', 'zap', '--log-level', 'error'],
      ...['--listen-client-urls', ENDPOINT, '--advertise-client-urls', ENDPOINT],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', `default=${peer}`],
    ],
    { stdio: 'ignore' },
  )
  const store = new Etcd({ endpoints: [ENDPOINT], keys: '/none' })
  await until(
    () =>
      store.range('/health').then(
        () => true,
        () => false,
      ),
    'etcd',
  )
  return { etcd, store }
}

export interface BenchHost {
  name: string
  address: string
  netns: string
  env: Record<string, string>
  daemon: Daemon | undefined
}

/** On the wire, with a list for each carrier; its daemon is yet to be started. */
export function addHost(
  name: string,
  n: number,
  keys: string,
  carriers: readonly Carrier[] = ['vxlan'],
): BenchHost {
  const address = `192.168.${77 + (n >> 8)}.${n & 255}`
  const folder = `/run/hosts/${name}`
  mkdirSync(`${folder}/net.d`, { recursive: true })
  for (const carrier of carriers) {
    const list = { cniVersion: '1.0.0', name: networkOf(carrier), plugins: [pluginOf(carrier, keys)] }
    writeFileSync(`${folder}/net.d/${carrier}.conflist`, JSON.stringify(list))
  }
  onWire(name, address, `p${n}`)
  const env = { TSNET_RUN_DIR: `${folder}/run`, NETCONFPATH: `${folder}/net.d`, TSNET_NAT: 'nftables' }
  return { name, address, netns: `/run/netns/${name}`, env, daemon: undefined }
}

/** A namespace with one link to the wire. */
export function onWire(name: string, address: string, port: string): void {
  ip('netns', 'add', name)
  ip('-n', name, 'link', 'set', 'lo', 'up')
  ip('link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
  ip('link', 'set', port, 'master', 'sw0', 'up')
  ip('-n', name, 'address', 'add', `${address}/22`, 'dev', 'eth0')
  ip('-n', name, 'link', 'set', 'eth0', 'up')
}

export async function startOn(host: BenchHost): Promise<void> {
  host.daemon = await startDaemon(host.env, { before: ['nsenter', `--net=${host.netns}`] })
}

/** What a program says on a host. */
export const said = ({ netns }: Pick<BenchHost, 'netns'>, ...words: string[]): string =>
  execFileSync('nsenter', [`--net=${netns}`, ...words], { encoding: 'utf8', maxBuffer: 1 << 26 })

/** Ours, without those of what has no host. */
export const routesOn = (host: BenchHost): number =>
  said(host, 'ip', 'route', 'show', 'proto', '116')
    .split('\n')
    .filter(line => line.includes(' via ')).length

export async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = performance.now() + 60_000; performance.now() < end; ) {
    if (await isSo()) return
    await sleep(20)
  }
  throw new Error(`it took too long: ${what}`)
}

export async function end(process: ChildProcess): Promise<void> {
  process.kill('SIGKILL')
  if (process.exitCode === null && process.signalCode === null) await once(process, 'exit')
}
