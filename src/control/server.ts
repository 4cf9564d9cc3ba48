/** The daemon's end of the control socket. */

import type { Server, Socket } from 'node:net'
import { isPeerThere, peerPid } from '../ffi/peer.ts'
import { TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import { asRequest, type Event, REQUEST_MAX, type Reply, readLines, reportOf, writeLine } from './control.ts'
import { UNREAD_MAX, Watchers } from './watchers.ts'

/** Who asks. */
export interface Peer {
  /** Its process; 0 for one of another pid namespace. @throws SystemError when it is gone */
  pid(): number
  /** Calls back when it has gone; at once if it has already. */
  onGone(work: () => void): void
  /** It means to stay, and does not count among those that may be connected at once. */
  stays(): void
  /** False once it has closed its end, whatever it said before. */
  isThere(): boolean
  /** @returns false, and says nothing, while much that it was told is unread */
  tell(event: Event): boolean
  /** Ends the connection. @param last what it hears before */
  dismiss(last?: Event): void
}

/** What can be asked for, by name. */
export type Handlers = Record<string, (parameters: unknown, peer: Peer) => unknown>

/** Does work for whoever wants to hear of the changes that it makes. */
export type Listening = <T>(tell: (change: string) => void, work: () => Promise<T>) => Promise<T>

/** How many peers may be connected at once, beside those that stay; for one more, the one idle for longest is let go. */
const CONNECTIONS_MAX = 1024

/** Whoever has asked for nothing, and been told nothing, for so long is let go in any case. */
const IDLE_MS = 300_000

/** Connections of a server that answers with these handlers. */
export class ControlServer {
  readonly #handlers: Handlers
  readonly #listening: Listening
  readonly #watchers: Watchers
  readonly #peers = new Set<Socket>()
  readonly #staying = new Set<Socket>()
  readonly #known = new WeakMap<Socket, Peer>()
  /** Those for whom nothing is being done, the one idle for longest first. */
  readonly #idle = new Set<Socket>()
  #onLeave: () => void = () => {}

  /**
   * @param watched hears how many watch
   * @param listening does work, and hears of the changes that it makes to the system
   */
  constructor(
    server: Server,
    handlers: Handlers,
    watched: (count: number) => void = () => {},
    listening: Listening = (_, work) => work(),
  ) {
    this.#handlers = handlers
    this.#listening = listening
    this.#watchers = new Watchers(watched)
    server.on('connection', socket => {
      if (this.#peers.size - this.#staying.size < CONNECTIONS_MAX || this.#makeRoom()) this.#welcome(socket)
      else socket.destroy()
    })
  }

  /** Tells everyone who watches. */
  tell(event: Event): void {
    this.#watchers.tell(event)
  }

  /** How many peers are connected. */
  get connected(): number {
    return this.#peers.size
  }

  /** Settles when nobody is connected any more who wants something done and then leaves. */
  deserted(): Promise<void> {
    return new Promise(resolve => {
      this.#onLeave = () => {
        const stays = (peer: Socket) => this.#staying.has(peer) || this.#watchers.has(peer)
        if ([...this.#peers].every(stays)) resolve()
      }
      this.#onLeave()
    })
  }

  /** Lets every peer go. */
  close(): void {
    this.#watchers.flush()
    for (const peer of this.#peers) peer.destroy()
  }

  #welcome(socket: Socket): void {
    this.#peers.add(socket)
    this.#rest(socket)
    socket.on('close', () => {
      for (const set of [this.#peers, this.#staying, this.#idle]) set.delete(socket)
      this.#watchers.remove(socket)
      this.#onLeave()
    })
    let asked = 0
    readLines(socket, REQUEST_MAX, value => {
      const request = asRequest(value)
      // Having been stopped for a while, we hear what was given up long ago.
      if (request === undefined || !isPeerThere(socket)) {
        socket.destroy()
        return
      }
      this.#idle.delete(socket)
      socket.setTimeout(0)
      asked++
      const answered = (reply: Reply) => {
        // What happened before the answer is told before it.
        if (this.#watchers.has(socket)) this.#watchers.flush()
        writeLine(socket, reply)
        if (--asked === 0) this.#rest(socket)
      }
      const { id } = request
      const told: string[] = []
      const work = () => this.#answer(socket, request.do, request.with)
      const done = request.tell ? this.#listening(change => told.push(change), work) : work()
      const more = () => (told.length === 0 ? {} : { told })
      void done.then(
        result => answered({ id, result: result ?? null, ...more() }),
        thrown => answered({ id, error: reportOf(thrown), ...more() }),
      )
    })
  }

  /** It may go, unless it means to stay. */
  #rest(socket: Socket): void {
    if (socket.destroyed || this.#watchers.has(socket) || this.#staying.has(socket)) return
    this.#idle.add(socket)
    socket.setTimeout(IDLE_MS, () => {
      if (this.#idle.has(socket)) socket.destroy()
    })
  }

  /** @returns false where something is being done for everyone */
  #makeRoom(): boolean {
    const [longest] = this.#idle
    if (longest === undefined) return false
    longest.destroy()
    // Its end is told a moment later.
    for (const set of [this.#peers, this.#idle]) set.delete(longest)
    return true
  }

  async #answer(socket: Socket, operation: string, parameters: unknown): Promise<unknown> {
    if (operation === 'watch') {
      this.#watchers.add(socket)
      return null
    }
    const handler = Object.hasOwn(this.#handlers, operation) ? this.#handlers[operation] : undefined
    if (handler === undefined) {
      throw new TsnetError('unsupported-field', `the daemon does not know how to ${shown(operation)}`)
    }
    return handler(parameters, this.#peerOf(socket))
  }

  /** The same for each request of a connection. */
  #peerOf(socket: Socket): Peer {
    const peer = this.#known.get(socket) ?? this.#meet(socket)
    this.#known.set(socket, peer)
    return peer
  }

  #meet(socket: Socket): Peer {
    return {
      pid: () => peerPid(socket),
      onGone: work => {
        if (socket.destroyed) work()
        else socket.once('close', work)
      },
      stays: () => {
        if (!socket.destroyed) this.#staying.add(socket)
      },
      tell: event => {
        if (socket.writableLength > UNREAD_MAX) return false
        writeLine(socket, event)
        return true
      },
      isThere: () => !socket.destroyed && isPeerThere(socket),
      dismiss: last => {
        if (last !== undefined) writeLine(socket, last)
        socket.destroy()
      },
    }
  }
}
