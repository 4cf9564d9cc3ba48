/** The asking end of the control socket. */

import { existsSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { peerPid } from '../ffi/peer.ts'
import { hasCode, TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import { type Surroundings, surroundings } from '../model/surroundings.ts'
import { type Standstill, standstillOf } from '../netns/standstill.ts'
import { controlSocket, type Event, errorOf, REPLY_MAX, type Reply, readLines, writeLine } from './control.ts'

interface Waiting {
  resolve(result: unknown): void
  reject(error: Error): void
  timer: NodeJS.Timeout
  /** Hears of the changes that were made. */
  tell: Surroundings['tell']
}

/** Stopped is who is seen to be so twice: a debugger stops a process for a moment. */
const LOOK_MS = 500
const LOOKS = 2

/** What takes long by itself (a drain) is given more by who asks for it. */
export const ANSWER_WITHIN_MS = 30_000

/** Of a daemon that does not go on, and what to do about it. */
const standingError = (pid: number, how: Standstill): TsnetError =>
  new TsnetError('try-again', `the daemon (pid ${pid}) is ${how} and answers nobody`, {
    details:
      how === 'stopped'
        ? `continue it (kill -CONT ${pid}), or end it`
        : `thaw its control group (see /proc/${pid}/cgroup)`,
  })

/** The daemon ended, or lets nobody wait for it any more. */
export class HungUp extends TsnetError {
  constructor() {
    super('io', 'the daemon closed the connection before it answered')
  }
}

/** What each publication may add: rules of its own, and the kernel's grace periods on a busy host. */
const EACH_WITHIN_MS = 1_000

/** How long it may take to make, or to end, so many publications. */
export const withinFor = (publications: number): number => ANSWER_WITHIN_MS + publications * EACH_WITHIN_MS

/** Whoever answers for the daemon. */
export type Asker = Pick<ControlClient, 'ask' | 'standstill' | 'mustAnswer'> & Disposable

/** A connection to the daemon. */
export class ControlClient implements Disposable {
  readonly #socket: Socket
  readonly #waiting = new Map<number, Waiting>()
  readonly #looking: NodeJS.Timeout
  #nextId = 1
  /** Settles when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>

  constructor(socket: Socket, hear: (event: Event) => void) {
    this.#socket = socket
    readLines(socket, REPLY_MAX, value => {
      // Whatever listens there: what is no object says nothing.
      if (typeof value !== 'object' || value === null) socket.destroy()
      else if ('event' in value) hear(value as Event)
      else this.#settle(value as Reply)
    })
    this.closed = new Promise(resolve => socket.once('close', () => resolve()))
    let seen = 0
    this.#looking = setInterval(() => {
      const how = this.#waiting.size > 0 ? this.standstill() : undefined
      seen = how === undefined ? 0 : seen + 1
      if (seen === LOOKS && how !== undefined) this.#rejectAll(standingError(this.#pid, how))
    }, LOOK_MS).unref()
    socket.on('close', () => {
      clearInterval(this.#looking)
      this.#rejectAll(new HungUp())
    })
  }

  /** What keeps the daemon from answering before somebody lets it go on. */
  standstill(): Standstill | undefined {
    return this.#pid > 0 ? standstillOf(this.#pid) : undefined
  }

  /** @throws TsnetError `try-again` for a daemon that is stopped or frozen */
  mustAnswer(): void {
    const how = this.standstill()
    if (how !== undefined) throw standingError(this.#pid, how)
  }

  get #pid(): number {
    return this.#socket.destroyed ? 0 : peerPid(this.#socket)
  }

  #rejectAll(error: Error): void {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer)
      reject(error)
    }
    this.#waiting.clear()
  }

  /**
   * Asks for one thing.
   * @param withinMs how long the answer may take
   * @throws TsnetError as the daemon reports it; `try-again` where it does not answer in time, is stopped or frozen
   */
  ask(operation: string, parameters?: unknown, withinMs = ANSWER_WITHIN_MS): Promise<unknown> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        const what = `the daemon did not answer ${shown(operation)} within ${withinMs / 1000} s`
        reject(new TsnetError('try-again', what, { details: 'it may still do what it was asked for' }))
      }, withinMs)
      const { tell } = surroundings()
      this.#waiting.set(id, { resolve, reject, timer, tell })
      writeLine(this.#socket, { id, do: operation, with: parameters, ...(tell && { tell: true }) })
    })
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    clearTimeout(waiting?.timer)
    for (const change of reply.told ?? []) waiting?.tell?.(change)
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
    const path = controlSocket()
    // Who finds nobody need not load node:net for that.
    if (!existsSync(path)) return resolve(undefined)
    const socket = connect(path)
    socket.once('connect', () => resolve(new ControlClient(socket, hear)))
    socket.once('error', cause => {
      if (hasCode(cause, 'ENOENT', 'ECONNREFUSED')) resolve(undefined)
      else reject(new TsnetError('io', `cannot speak to the daemon: ${cause.message}`, { cause }))
    })
  })
}
