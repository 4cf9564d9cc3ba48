/** The daemon's end of the control socket. */

import type { Server, Socket } from 'node:net'
import { peerPid } from '../ffi/peer.ts'
import { TsnetError } from '../model/errors.ts'
import { asRequest, type Event, REQUEST_MAX, readLines, reportOf, writeLine } from './control.ts'

/** Who asks. */
export interface Peer {
  /** Its process; 0 for one of another pid namespace. @throws SystemError when it is gone */
  pid(): number
  /** Calls back when it has gone; at once if it has already. */
  onGone(work: () => void): void
  /** It means to stay, and does not count among those that may be connected at once. */
  stays(): void
  /** Ends the connection. */
  dismiss(): void
}

/** What can be asked for, by name. */
export type Handlers = Record<string, (parameters: unknown, peer: Peer) => unknown>

/** How many peers may be connected at once, beside those that stay. */
const CONNECTIONS_MAX = 1024

/** Connections of a server that answers with these handlers. */
export class ControlServer {
  readonly #server: Server
  readonly #handlers: Handlers
  readonly #watchers = new Set<Socket>()
  readonly #peers = new Set<Socket>()
  readonly #staying = new Set<Socket>()
  #onLeave: () => void = () => {}

  constructor(server: Server, handlers: Handlers) {
    this.#server = server
    this.#handlers = handlers
    server.maxConnections = CONNECTIONS_MAX
    server.on('connection', socket => this.#welcome(socket))
  }

  /** Tells everyone who watches. */
  tell(event: Event): void {
    for (const watcher of this.#watchers) writeLine(watcher, event)
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
    for (const peer of this.#peers) peer.destroy()
  }

  #welcome(socket: Socket): void {
    this.#peers.add(socket)
    socket.on('close', () => {
      this.#peers.delete(socket)
      this.#watchers.delete(socket)
      this.#staying.delete(socket)
      this.#limit()
      this.#onLeave()
    })
    readLines(socket, REQUEST_MAX, value => {
      const request = asRequest(value)
      if (request === undefined) {
        socket.destroy()
        return
      }
      void this.#answer(socket, request.do, request.with).then(
        result => writeLine(socket, { id: request.id, result: result ?? null }),
        thrown => writeLine(socket, { id: request.id, error: reportOf(thrown) }),
      )
    })
  }

  async #answer(socket: Socket, operation: string, parameters: unknown): Promise<unknown> {
    if (operation === 'watch') {
      this.#watchers.add(socket)
      return null
    }
    const handler = Object.hasOwn(this.#handlers, operation) ? this.#handlers[operation] : undefined
    if (handler === undefined) {
      throw new TsnetError(
        'unsupported-field',
        `the daemon does not know how to ${JSON.stringify(operation)}`,
      )
    }
    return handler(parameters, this.#peerOf(socket))
  }

  #peerOf(socket: Socket): Peer {
    return {
      pid: () => peerPid(socket),
      onGone: work => {
        if (socket.destroyed) work()
        else socket.once('close', work)
      },
      stays: () => {
        if (!socket.destroyed) this.#staying.add(socket)
        this.#limit()
      },
      dismiss: () => socket.destroy(),
    }
  }

  #limit(): void {
    this.#server.maxConnections = CONNECTIONS_MAX + this.#staying.size
  }
}
