/**
 * A laboratory: hosts, namespaces, bridges and wires for test suites, made of the kernel's own.
 *
 *     import { lab } from 'tsnet/lab'
 *
 *     await using world = await lab()
 *     const host = await world.host('host')
 *     const client = await world.host('client')
 *     world.wire([host, 'lan0', '192.168.50.1/24'], [client, 'eth0', '192.168.50.2/24'])
 *
 *     host.serveHttp(80, 'hello')
 *     await client.fetch('http://192.168.50.1/')     // { status: 200, body: 'hello' }
 *     await host.run('ip', '-j', 'link')             // { code: 0, stdout: '[…]', stderr: '' }
 *
 * A *host* stands for a machine: network, mount and pid namespaces of its own. A *namespace* stands for a
 * container on a host: /run/netns/NAME there. Both are *places*, and one speaks by place: `web.run`,
 * `web.ask`, `web.listen`. A *wire* is a veth pair between two places.
 *
 *     test process ──stdin of──▶ holder (init of the host) ──keeps──▶ namespaces, processes, mounts
 *           └── descriptors of network namespaces; sockets opened in them
 *
 * The test process never leaves the machine's namespaces (its thread visits a place for the time of one
 * synchronous call), and nothing of the machine's network is touched: a host has no wire to it. When the
 * test process ends, whichever way, the holder's stdin closes and all of the world is gone.
 *
 * Needs root (or CAP_SYS_ADMIN and CAP_NET_ADMIN), `unshare` and `nsenter` of util-linux.
 */

import { draw } from './draw.ts'
import { type Host, type Process, startHost } from './host.ts'
import { awaitOwnRoutes, wireUp } from './links.ts'
import type { Place } from './place.ts'
import { topologyOf } from './topology.ts'

export { type AskOptions, NoAnswer, type Page } from './clients.ts'
export { type Command, CommandError, type Finished, type Running, type RunOptions } from './command.ts'
export type { Host, Namespace, Process } from './host.ts'
export type { Place } from './place.ts'
export { diff, type Snapshot, type SnapshotOptions, snapshot } from './residue.ts'
export type { Section } from './section.ts'
export type { Answer, Server } from './servers.ts'
export { type Patience, waitFor } from './wait.ts'

/** One end of a wire: an interface and its addresses. */
export type WireEnd = readonly [place: Place, ifname: string, ...addresses: string[]]

export class World implements AsyncDisposable {
  readonly hosts: Host[] = []

  /** A machine of its own, with `lo` up and nothing else. */
  async host(name: string): Promise<Host> {
    const host = await startHost(name)
    this.hosts.push(host)
    return host
  }

  /** A veth pair between two places, both ends up, and all there that the kernel adds by itself. */
  wire(a: WireEnd, b: WireEnd): void {
    wireUp(a[0].netns, a[1], b[0].netns, b[1])
    for (const [place, ifname, ...addresses] of [a, b]) place.address(ifname, ...addresses)
    for (const [place, ifname] of [a, b]) awaitOwnRoutes(place.netns, ifname)
  }

  /** The world as it is wired now, as a tree of text. */
  draw(): string {
    return draw(topologyOf(this.hosts.flatMap(host => [host, ...host.namespaces])))
  }

  /**
   * Ends all hosts with everything in them.
   * @returns the processes that nobody held any more, such as daemons that should have ended
   */
  async end(): Promise<Process[]> {
    const strays = this.hosts.flatMap(host => host.strays())
    await Promise.all(this.hosts.map(host => host.end()))
    this.hosts.length = 0
    return strays
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end()
  }
}

/** A new, empty world. End it with `await world.end()` or `await using`. */
export const lab = async (): Promise<World> => new World()
