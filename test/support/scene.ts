/**
 * The scene that the tests of tsnet play on: a host with containers, and a client on the host's network.
 *
 *     client eth0 ───────────── lan0 host ───(what tsnet makes)─── containers
 *       192.168.50.2   192.168.50.1
 *       fd50::2             fd50::1
 */

import { resolve } from 'node:path'
import { diff, type Host, lab, type Namespace, type Snapshot, snapshot, type World, waitFor } from 'tsnet/lab'
import type { NatBackend } from '../../src/model/network.ts'
import { Plugin } from './plugin.ts'

export const BACKENDS: readonly NatBackend[] = ['iptables', 'nftables']

export const HOST = { 4: '192.168.50.1', 6: 'fd50::1' } as const
export const CLIENT = { 4: '192.168.50.2', 6: 'fd50::2' } as const

/** The port on which every container and the client answer, over TCP and UDP. */
export const ANSWERS = 80

export class Scene {
  readonly world: World
  readonly host: Host
  readonly client: Host
  readonly backend: NatBackend
  #before: Snapshot = {}

  private constructor(world: World, host: Host, client: Host, backend: NatBackend) {
    this.world = world
    this.host = host
    this.client = client
    this.backend = backend
  }

  /** @param containers names of namespaces, each with servers on port 80 */
  static async open(backend: NatBackend, ...containers: string[]): Promise<Scene> {
    const world = await lab()
    const host = await world.host('host')
    const client = await world.host('client')
    world.wire(
      [host, 'lan0', `${HOST[4]}/24`, `${HOST[6]}/64`],
      [client, 'eth0', `${CLIENT[4]}/24`, `${CLIENT[6]}/64`],
    )
    client.listen('tcp', ANSWERS)
    client.listen('udp', ANSWERS)
    const scene = new Scene(world, host, client, backend)
    for (const name of containers) await scene.container(name)
    await scene.remember()
    return scene
  }

  /** A container that answers on port 80. */
  async container(name: string): Promise<Namespace> {
    const container = await this.host.namespace(name)
    container.listen('tcp', ANSWERS)
    container.listen('udp', ANSWERS)
    return container
  }

  /** The container of this name. */
  get(name: string): Namespace {
    const container = this.host.namespaces.find(one => one.name === name)
    if (container === undefined) throw new Error(`there is no container ${name}`)
    return container
  }

  /** A network with an address of each family for everyone: 10.N.0.0/16 and fdN::/64. */
  network(name: string, n: number, config: Record<string, unknown> = {}): Plugin {
    return new Plugin(this.host, this.backend, {
      name,
      bridge: `br-${name}`,
      isDefaultGateway: true,
      ipMasq: true,
      ipam: { type: 'host-local', ranges: [[{ subnet: `10.${n}.0.0/16` }], [{ subnet: `fd${n}::/64` }]] },
      ...config,
    })
  }

  /** A drop-in of ours, to be called after what gave `prevResult`. */
  dropIn(plugin: string, config: Record<string, unknown>): Plugin {
    return new Plugin(this.host, this.backend, { ...config, type: plugin }, resolve(`dist/drop-in/${plugin}`))
  }

  /** Takes what the host holds now as what it shall hold in the end. */
  async remember(): Promise<void> {
    this.#before = await snapshot(this.host)
  }

  /** What is different on the host from what it held at the beginning, in words. */
  async differences(): Promise<string[]> {
    return diff(this.#before, await snapshot(this.host)).filter(isOurs)
  }

  /**
   * As differences, once the kernel had time to finish what it does later.
   * @param matters false for lines that do not matter
   */
  async residue(matters: (line: string) => boolean = () => true): Promise<string[]> {
    let left: string[] = []
    const clean = async () => {
      left = (await this.differences()).filter(matters)
      return left.length === 0
    }
    await waitFor(clean, { what: 'the host to be as before' }).catch(() => {})
    return left
  }

  async close(): Promise<void> {
    await this.world.end()
  }
}

/** The kernel's own traffic, such as IGMP for a bridge that has got an address. */
export const KERNELS_OWN = /^connection host (unknown|icmpv?6?) /

/** What stays by design, or is not tsnet's. */
const STAYS = [
  KERNELS_OWN,
  // Connections of the host with others than containers.
  /^connection (?!.*=(10\.|fd\d\d:))/,
  // The host with itself, whatever address of its own it asks.
  /^connection host \S+ src=(\S+) dst=\1 sport=\d+ dport=\d+ src=\1 dst=\1 /,
  // host-local's memory of the last address that it gave, and its lock.
  /^file \/var\/lib\/cni\/networks\/\S*(last_reserved_ip\.\d|lock) /,
  /^file \/var\/lib\/cni\/networks\S* appeared: folder/,
]

const isOurs = (line: string): boolean => !STAYS.some(pattern => pattern.test(line))
