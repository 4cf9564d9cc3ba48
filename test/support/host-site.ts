/**
 * Several hosts on one wire, each with a daemon, and an etcd between them.
 *
 *     etcd 192.168.77.1 ── sw0 ─┬─ eth0 192.168.77.11 one ── containers
 *     fd77::1                   ├─ eth0 192.168.77.12 two ── …
 *                               └─ …
 */

import { writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Test } from 'tap'
import { type Finished, type Host, lab, type Namespace, type Running, type World, waitFor } from 'tsnet/lab'
import type { HostRow } from '../../src/hosts/hosts.ts'
import type { NatBackend } from '../../src/model/network.ts'
import { Command, EXECUTABLE } from './daemon.ts'

const ETCD = '192.168.77.1'
export const SUBNETS = ['10.200.0.0/16', 'fd00:200::/48'] as const
/** Where containers answer. */
export const PORT = 7777

export interface HostsConfig {
  hosts?: Record<string, unknown>
  [key: string]: unknown
}

export interface Machine {
  name: string
  host: Host
  tsnet: Command
  daemon: Running
  addresses: [v4: string, v6: string]
}

export class HostSite {
  readonly world: World
  readonly middle: Host
  readonly backend: NatBackend
  readonly machines: Machine[] = []
  readonly config: HostsConfig
  etcd: Running | undefined

  private constructor(world: World, middle: Host, backend: NatBackend, config: HostsConfig) {
    this.world = world
    this.middle = middle
    this.backend = backend
    this.config = config
  }

  static async open(
    t: Test,
    backend: NatBackend,
    names: string[],
    config: HostsConfig = {},
  ): Promise<HostSite> {
    const world = await lab()
    t.teardown(() => world.end())
    const middle = await world.host('middle')
    await middle.tmpfs('/var/lib/etcd')
    middle.bridge('sw0', { addresses: [`${ETCD}/24`, 'fd77::1/64'] })
    const site = new HostSite(world, middle, backend, config)
    await site.startEtcd()
    await Promise.all(names.map(name => site.add(name)))
    return site
  }

  async startEtcd(): Promise<void> {
    const [client, peer] = [`http://${ETCD}:2379`, 'http://127.0.0.1:2380']
    this.etcd = this.middle.start(
      ...['etcd', '--data-dir', '/var/lib/etcd/data', '--logger', 'zap', '--log-level', 'error'],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', `default=${peer}`],
    )
    await waitFor(async () => (await this.middle.fetch(`${client}/health`)).body.includes('true'), {
      what: 'etcd answers',
    })
  }

  /** The list of the network as hosts have it. */
  list(more: HostsConfig = this.config): string {
    const { hosts, ...plugin } = more
    return JSON.stringify({
      cniVersion: '1.0.0',
      name: 'front',
      plugins: [
        {
          type: 'tsnet',
          bridge: 'front0',
          isDefaultGateway: true,
          ...plugin,
          hosts: {
            engine: 'etcd',
            endpoints: [`http://${ETCD}:2379`],
            subnet: SUBNETS[0],
            hostPrefix: 24,
            subnet6: SUBNETS[1],
            hostPrefix6: 64,
            ...hosts,
          },
        },
      ],
    })
  }

  /** Another host, whose daemon is ready. */
  async add(name: string): Promise<Machine> {
    const host = await this.world.host(name)
    await host.tmpfs('/var/lib/tsnet')
    const n = 11 + this.machines.length
    const addresses: Machine['addresses'] = [`192.168.77.${n}`, `fd77::${n}`]
    const tsnet = new Command(host, this.backend)
    const machine: Machine = { name, host, tsnet, daemon: undefined as never, addresses }
    this.machines.push(machine)
    this.world.wire([this.middle, `p${n}`], [host, 'eth0', `${addresses[0]}/24`, `${addresses[1]}/64`])
    await this.middle.run('ip', 'link', 'set', 'dev', `p${n}`, 'master', 'sw0')
    await host.run('mkdir', '-p', '/etc/cni/net.d')
    writeFileSync(host.path('/etc/cni/net.d/front.conflist'), this.list())
    machine.daemon = await tsnet.daemon()
    return machine
  }

  /** What `tsnet host ls` knows. */
  async hostsOf({ tsnet }: Machine): Promise<{ hosts: HostRow[]; troubles: string[] }> {
    return (await tsnet.ask('hosts')) as { hosts: HostRow[]; troubles: string[] }
  }

  /** Every host has a prefix, and knows all others. @returns what each knows, itself first */
  async settled(machines = this.machines, count = this.machines.length): Promise<HostRow[][]> {
    return await waitFor(
      async () => {
        const all = await Promise.all(machines.map(each => this.hostsOf(each)))
        for (const { hosts, troubles } of all) {
          const there = hosts.filter(
            ({ state, prefixes }) => ['self', 'up'].includes(state) && prefixes.length > 0,
          )
          if (there.length !== count || troubles.length > 0)
            throw new Error(JSON.stringify([troubles, hosts]))
        }
        return all.map(({ hosts }) => hosts)
      },
      { what: 'all hosts know each other', withinMs: 60_000 },
    )
  }

  /** What stands in etcd below `/tsnet/`: keys and values. */
  async written(prefix: string): Promise<string> {
    return (await this.#ctl('get', '--prefix', `/tsnet/${prefix}`)).trim()
  }

  async write(key: string, value: string): Promise<void> {
    await this.#ctl('put', `/tsnet/${key}`, value)
  }

  async #ctl(...words: string[]): Promise<string> {
    const env = { ETCDCTL_API: '3' }
    return (await this.middle.run('etcdctl', '--endpoints', `http://${ETCD}:2379`, ...words, { env })).stdout
  }

  /** What a runtime is told that asks whether the network is ready. */
  status({ host }: Machine): Promise<Finished> {
    const [plugin] = JSON.parse(this.list()).plugins
    return host.run(EXECUTABLE, {
      env: { CNI_COMMAND: 'STATUS', CNI_PATH: dirname(EXECUTABLE), TSNET_NAT: this.backend },
      stdin: JSON.stringify({ ...plugin, cniVersion: '1.1.0', name: 'front' }),
      mayFail: true,
    })
  }

  /** A container that answers. @returns it, and its addresses, IPv4 first */
  async container({ host, tsnet }: Machine, name: string, ...aliases: string[]): Promise<Container> {
    const namespace = await host.namespace(name)
    const called = aliases.flatMap(alias => ['--alias', alias])
    const { stdout } = await tsnet.run('attach', 'front', `netns:${name}`, ...called)
    const [v4 = '', v6 = ''] = stdout
      .trim()
      .split(' ')
      .slice(3)
      .map(address => address.split('/')[0] ?? '')
    namespace.listen('tcp', PORT)
    namespace.listen('udp', PORT)
    return { namespace, v4, v6 }
  }
}

export interface Container {
  namespace: Namespace
  v4: string
  v6: string
}
