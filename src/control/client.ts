/** The asking end of the control socket. */

import { connect, type Socket } from 'node:net'
import { hasCode, TsnetError } from '../model/errors.ts'
import { controlSocket, type Event, errorOf, REPLY_MAX, type Reply, readLines, writeLine } from './control.ts'

/** A connection to the daemon. */
export class ControlClient implements Disposable {
  readonly #socket: Socket
  readonly #waiting = new Map<
    number,
    { resolve: (result: unknown) => void; reject: (error: Error) => void }
  >()
  #nextId = 1
  /** Settles when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>

  constructor(socket: Socket, hear: (event: Event) => void) {
    this.#socket = socket
    readLines(socket, REPLY_MAX, value => {
      const said = value as Reply | Event
      if ('event' in said) hear(said)
      else this.#settle(said)
    })
    this.closed = new Promise(resolve => socket.once('close', () => resolve()))
    socket.on('close', () => {
      const error = new TsnetError('io', 'the daemon closed the connection before it answered')
      for (const { reject } of this.#waiting.values()) reject(error)
      this.#waiting.clear()
    })
  }

  /** Asks for one thing. @throws TsnetError as the daemon reports it */
  ask(operation: string, parameters?: unknown): Promise<unknown> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      writeLine(this.#socket, { id, do: operation, with: parameters })
    })
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    if ('error' in reply) waiting?.reject(errorOf(reply.error))
    else waiting?.resolve(reply.result)
  }
}

/**
 * Connects to the daemon.
 * @param hear hears events, once `watch` was asked for
 * @returns undefined where none is running
 */
export function connectControl(hear: (event: Event) => void = () => {}): Promise<ControlClient | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(controlSocket())
    socket.once('connect', () => resolve(new ControlClient(socket, hear)))
    socket.once('error', cause => {
      if (hasCode(cause, 'ENOENT', 'ECONNREFUSED')) resolve(undefined)
      else reject(new TsnetError('io', `cannot speak to the daemon: ${cause.message}`, { cause }))
    })
  })
}
