/**
 * A place: a network namespace from which commands, sockets and kernel conversations are spoken.
 *
 * A host and the container namespaces on it are both places. Servers and clients of a place live in the
 * test process; only their sockets are in the place.
 */

import { type Ip, parseCidr, parseIp } from '../model/address/address.ts'
import { inside, type Netns, type Sync } from '../netns/netns.ts'
import { type AskOptions, ask, getPage, type Page } from './clients.ts'
import {
  type Command,
  type Finished,
  type Running,
  runCommand,
  splitCommand,
  startCommand,
} from './command.ts'
import { bridgePorts, giveAddress, giveRoute } from './links.ts'
import { type Answer, openEcho, openHttp, type Server } from './servers.ts'
import type { Transport } from './sockets.ts'

export abstract class Place {
  readonly name: string
  readonly netns: Netns
  readonly #servers: Server[] = []
  readonly #running: Running[] = []

  constructor(name: string, netns: Netns) {
    this.name = name
    this.netns = netns
  }

  /** The nsenter that leads a command here. */
  protected abstract enter(): string[]

  /** Runs a synchronous function while our thread is in this network namespace. */
  inside<T>(work: () => Sync<T>): Sync<T> {
    return inside(this.netns, work)
  }

  /**
   * Runs a command here to its end: `await host.run('ip', '-j', 'link')`.
   * @throws CommandError unless it ends with 0; `{ mayFail: true }` as the last argument returns that instead
   */
  run(...command: Command): Promise<Finished> {
    return runCommand(this.name, this.enter(), command)
  }

  /** Starts a command that runs on; it ends with the world, if not before. */
  start(...command: Command): Running {
    const { words, options } = splitCommand(command)
    const running = startCommand(this.enter(), words, options)
    this.#running.push(running)
    return running
  }

  /** Gives an interface addresses, at once usable (no duplicate address detection). */
  address(ifname: string, ...cidrs: string[]): void {
    for (const cidr of cidrs) giveAddress(this.netns, ifname, parseCidr(cidr))
  }

  /** A route to a prefix, or to everything of the gateway's family: `route('default', '10.0.0.1')`. */
  route(destination: string, via: string): void {
    giveRoute(this.netns, destination === 'default' ? destination : parseCidr(destination), parseIp(via))
  }

  /** A bridge that is up, with addresses, and with interfaces of this place as its ports. */
  bridge(
    name: string,
    { addresses = [], ports = [] }: { addresses?: string[]; ports?: string[] } = {},
  ): void {
    bridgePorts(this.netns, name, ports)
    this.address(name, ...addresses)
  }

  /**
   * An echo server that answers who it is and whom it sees; `ask` is its client.
   * @param address default `::`, which is every address of both families
   */
  listen(transport: Transport, port: number, address = '::'): Server {
    return this.#keep(inside(this.netns, () => openEcho(this.name, transport, port, parseIp(address))))
  }

  /** A web server with one page. */
  serveHttp(port: number, body: string | ((peer: Ip) => string), address = '::'): Server {
    return this.#keep(inside(this.netns, () => openHttp(port, body, parseIp(address))))
  }

  /** Sends a line or datagram to an echo server. @throws NoAnswer */
  async ask(transport: Transport, address: string, port: number, options: AskOptions = {}): Promise<Answer> {
    return this.#begin(() => ask(transport, parseIp(address), port, options))
  }

  /** Fetches `http://ADDRESS[:PORT]/…`; the address is a number, there is no DNS here. @throws NoAnswer */
  async fetch(url: string, { withinMs = 10_000 }: { withinMs?: number } = {}): Promise<Page> {
    return this.#begin(() => getPage(new URL(url), withinMs))
  }

  /** Closes the servers and ends the commands of this place. */
  async end(): Promise<void> {
    for (const server of this.#servers) server.close()
    await Promise.allSettled(this.#running.map(running => running.stop('SIGKILL')))
    this.netns[Symbol.dispose]()
  }

  #keep(server: Server): Server {
    this.#servers.push(server)
    return server
  }

  /** Starts something here whose end is waited for outside. */
  #begin<T>(work: () => Promise<T>): Promise<T> {
    let promise: Promise<T> | undefined
    inside(this.netns, () => {
      promise = work()
    })
    return promise ?? Promise.reject(new Error('nothing was begun'))
  }
}
