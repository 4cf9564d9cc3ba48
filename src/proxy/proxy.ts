/**
 * The proxy: takes the clients of published ports to their targets, all ports in one process.
 *
 *     caller's thread                         worker thread (one, or several)
 *     ───────────────                         ──────────────────────────────────────────────────
 *     Proxy                                   Reactor: epoll, deadlines, turns
 *       listener   bind, listen  ──fds──▶       StreamService ── Connection ═ Half ═▶ ┐
 *       destination  netns, root ──fds──▶       DatagramService ── Session ─────────▶ ├─ Dialer ▶ target
 *       Crew of WorkerThreads ──port──▶         Balance, AccessList, PROXY header     ┘
 *       counters  ◀──shared memory──────        counts per port
 *
 * A *publication* is a range of ports of this host and the targets their clients are taken to. A published
 * port is held by a real socket: `publish` binds and listens in the caller's thread, so a port in use is an
 * error at once, before anything else has happened, and a worker that dies never loses a port: clients wait
 * in the kernel until its successor (milliseconds later) accepts them. Workers get descriptor numbers.
 *
 * A port may be listened on in another network namespace (`within`), a container's: its sockets are made there, and belong there
 * whoever accepts. An open socket keeps such a namespace alive, so it is for the caller to withdraw it.
 *
 * A worker works on raw descriptors through libc and never returns to Node's event loop:
 *
 *   TCP   accept4 → connect without waiting → small messages by recv and send through one buffer, bulk by
 *         splice through a borrowed pipe. An idle connection is two descriptors and two small objects. The
 *         end of a stream passes each way by itself; a failure of either side, and a target that does not
 *         answer, is a reset of the other: a peer that died must never look like one that finished.
 *   UDP   recvmmsg → the client's session, a connected socket → sendmmsg; replies leave from the address
 *         that the client asked.
 *   SCTP  as TCP, message by message (one to one; stream numbers and payload identifiers are not kept). Nobody is half
 *         closed: what comes for a peer that has ended is dropped, and what that peer sent before arrives in whole.
 *
 * What is bounded, so that one client costs the others nothing: bytes and calls a turn, bytes held for a
 * reader that does not read, UDP sessions of a port, of an address and in all, connections a port. At the limit of
 * descriptors the listeners stay, and who cannot be served is reset and counted.
 *
 * Order of withdrawing: listeners fall silent in the workers, then close; clients that are left may finish
 * until a deadline and are reset at it.
 *
 * Limits: a target sees the host's address, not the client's (the PROXY protocol tells it), or its own where it
 * is dialled from inside. UDP targets do not get a header. With
 * several workers a descriptor is needed for each port and worker. A unix socket's path is looked up in the
 * container's file system, which can make a worker wait where that file system does.
 */

import { TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import { adoptListeners } from './adopt.ts'
import type { Assignment } from './assignment.ts'
import { type Counters, counterTable, forgetActive, sumCounters } from './counters.ts'
import { Crew } from './crew.ts'
import { closeDestination, type Destination, openDestinations } from './destination.ts'
import type { FrozenClient } from './frozen.ts'
import { closeListeners, type Listeners, openListeners, openWithin } from './listener.ts'
import {
  checkPublication,
  checkTargets,
  defaultOptions,
  type Publication,
  type PublicationOptions,
  type Target,
} from './publication.ts'

export type { Counters } from './counters.ts'
export type { FrozenClient, FrozenConnection, FrozenHalf, FrozenSession } from './frozen.ts'
export type {
  InsideTarget,
  IpTarget,
  Publication,
  PublicationOptions,
  Target,
  UnixTarget,
} from './publication.ts'

export interface ProxyOptions {
  /** Worker threads. Default 1, which is enough for most of what one machine can do. */
  workers?: number
  /** For what publications do not say. */
  defaults?: PublicationOptions
  /** Is told what went wrong without ending anything, or that a worker died and was replaced. */
  onFault?: (message: string) => void
}

/** Something that is served, with all that has to be closed after it. */
interface Entry {
  publication: Publication
  listeners: Listeners
  destinations: Destination[]
  counters: SharedArrayBuffer[]
  withdrawing: boolean
}

/**
 * Starts a proxy in the network namespace of the calling thread; its ports and its dialling are there.
 * It keeps the process alive until it is closed.
 */
export const startProxy = (options: ProxyOptions = {}): PortProxy => new PortProxy(options)

/** How long all may wait for a worker that does not stand still, or does not go on. */
const WORKER_WITHIN_MS = 5_000

export class PortProxy implements AsyncDisposable {
  readonly #entries = new Map<string, Entry>()
  readonly #crew: Crew
  readonly #defaults: PublicationOptions
  #closing: Promise<void> | undefined

  constructor({ workers = 1, defaults = {}, onFault = () => {} }: ProxyOptions) {
    this.#defaults = defaults
    this.#crew = new Crew({ size: workers, onFault, onReplaced: index => this.#assignAgain(index) })
  }

  /** How many worker threads there are. */
  get workers(): number {
    return this.#crew.size
  }

  /**
   * Binds the ports and begins to serve them.
   * @param handedIn open sockets, as `sockets` of a proxy with as many workers gives them, or systemd or
   *   dockerd; they are ours from now on
   * @returns the first host port, which the kernel chose if the publication left that to it
   * @throws TsnetError as openListeners, adoptListeners, openDestinations, checkPublication; `conflict` for an id that is
   *   published. Nothing has changed then.
   */
  publish(publication: Publication, handedIn?: readonly (readonly number[])[]): number {
    const { id } = publication
    checkPublication(publication)
    if (this.#closing) throw new TsnetError('internal', 'the proxy is closed')
    if (this.#entries.has(id)) {
      throw new TsnetError('conflict', `publication ${shown(id)} is there already`)
    }
    const destinations = openDestinations(publication.targets)
    try {
      const listeners = this.#listeners(publication, handedIn)
      const counters = Array.from({ length: this.workers }, () => counterTable(publication.count))
      const entry = { publication, listeners, destinations, counters, withdrawing: false }
      this.#entries.set(id, entry)
      for (let index = 0; index < this.workers; index++) this.#assign(entry, index)
      return listeners.hostPort
    } catch (thrown) {
      destinations.forEach(closeDestination)
      throw thrown
    }
  }

  /**
   * Takes new clients to other targets from when this settles on. TCP clients stay where they are; UDP
   * clients whose target is none any more move with their next datagram.
   * @throws TsnetError `invalid-config` for an unknown id or bad targets
   */
  async retarget(id: string, targets: readonly Target[]): Promise<void> {
    const entry = this.#entry(id)
    checkTargets(entry.publication, targets)
    const destinations = openDestinations(targets)
    const before = entry.destinations
    entry.publication = { ...entry.publication, targets }
    entry.destinations = destinations
    await this.#crew.order({ kind: 'retarget', id, destinations })
    before.forEach(closeDestination)
  }

  /**
   * Ends a publication. Its ports are free when this settles, and its clients gone: those who have not
   * finished after drainMs are reset. UDP sessions end at once.
   * @throws TsnetError `invalid-config` for an unknown id
   */
  async withdraw(id: string, { drainMs = 0 }: { drainMs?: number } = {}): Promise<void> {
    const entry = this.#entry(id)
    entry.withdrawing = true
    await this.#crew.order({ kind: 'silence', id })
    closeListeners(entry.listeners)
    entry.listeners.sockets = []
    await this.#crew.order({ kind: 'drain', id, drainMs })
    this.#entries.delete(id)
    entry.destinations.forEach(closeDestination)
  }

  /**
   * Everything stands still until `thaw`, also what is published meanwhile: clients wait in the kernel, nothing
   * is read or written.
   * @returns connections and sessions, to be thawed here, or copies of them in another process; their sockets
   *   are open until then, or until the proxy is closed
   * @throws TsnetError `try-again` where a worker hangs; everything goes on then
   */
  freeze(withinMs = WORKER_WITHIN_MS): Promise<FrozenClient[]> {
    return this.#crew.freeze(withinMs)
  }

  /**
   * Goes on; with clients of another process, whose publications have to be here by now. A worker that hangs is told of as
   * a fault, and goes on when it can.
   */
  thaw(clients: readonly FrozenClient[], withinMs = WORKER_WITHIN_MS): Promise<void> {
    return this.#crew.thaw(clients, withinMs)
  }

  /** What happened on all ports of each publication, by its id. */
  counters(): Map<string, Counters> {
    const sums = [...this.#entries].map(
      ([id, { counters, publication }]) => [id, sumCounters(counters, 0, publication.count)] as const,
    )
    return new Map(sums)
  }

  /** What happened on all ports of one publication; undefined for an unknown id. */
  countersOf(id: string): Counters | undefined {
    const entry = this.#entries.get(id)
    return entry && sumCounters(entry.counters, 0, entry.publication.count)
  }

  /** The ids of all that is published, and not being withdrawn. */
  get published(): string[] {
    return [...this.#entries].filter(([, { withdrawing }]) => !withdrawing).map(([id]) => id)
  }

  /** How many publications there are. */
  get size(): number {
    return this.#entries.size
  }

  /** What happened on each port, in their order. @throws TsnetError `invalid-config` for an unknown id */
  portCounters(id: string): Counters[] {
    const { counters, publication } = this.#entry(id)
    return Array.from({ length: publication.count }, (_, port) => sumCounters(counters, port, 1))
  }

  /** The descriptors that hold the ports: for each worker, address by address and port by port. */
  sockets(id: string): number[][] {
    return this.#entry(id).listeners.sockets.map(sockets => [...sockets])
  }

  /**
   * Ends everything: ports are free, clients that have not finished after drainMs are reset. Asked again, it
   * settles with the first.
   */
  close({ drainMs = 0 }: { drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#end(drainMs)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #end(drainMs: number): Promise<void> {
    this.#crew.retire()
    await Promise.all(this.published.map(id => this.withdraw(id, { drainMs })))
    await this.#crew.stop()
  }

  #entry(id: string): Entry {
    const entry = this.#entries.get(id)
    if (entry !== undefined && !entry.withdrawing) return entry
    throw new TsnetError('invalid-config', `there is no publication ${shown(id)}`)
  }

  #listeners(publication: Publication, handedIn: readonly (readonly number[])[] | undefined): Listeners {
    if (handedIn !== undefined) return adoptListeners(publication, handedIn, this.workers)
    return publication.within === undefined
      ? this.#crew.atHome(() => openListeners(publication, this.workers))
      : openWithin(publication.within, () => openListeners(publication, this.workers))
  }

  #assign({ publication, listeners, destinations, counters }: Entry, worker: number): void {
    const { id, protocol, count, options } = publication
    const assignment: Assignment = {
      id,
      protocol,
      count,
      sockets: Int32Array.from(listeners.sockets[worker] ?? []),
      destinations,
      options: { ...defaultOptions, ...this.#defaults, ...options },
      counters,
      worker,
      frozen: this.#crew.standsStill,
    }
    this.#crew.assign(worker, { kind: 'serve', assignment })
  }

  #assignAgain(index: number): void {
    for (const entry of this.#entries.values()) {
      const table = entry.counters[index]
      if (table !== undefined) forgetActive(table)
      if (!entry.withdrawing) this.#assign(entry, index)
    }
  }
}
