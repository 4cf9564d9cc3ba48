/**
 * Those who watch: each event is written once, and its bytes are shared by all of them.
 *
 *     tell ─▶ what came within some milliseconds ─▶ one write for each who reads
 *                                                 └▶ counted for each who does not
 *
 * A peer that is slow, or never reads, has so much waiting for it and no more. What it misses is counted, and it is told
 * how much as soon as it reads on. So however many they are, and whatever they do, whoever tells is not held up.
 */

import type { Socket } from 'node:net'
import { TsnetError } from '../model/errors.ts'
import { type Event, lineOf } from './control.ts'

/** How many may watch at once. */
export const WATCHERS_MAX = 256

/** So much may wait for one of them; of what is shared, too. */
export const UNREAD_MAX = 64 * 1024

/** What comes within this time is written together. */
const TOGETHER_MS = 20

/** Of those who read too slowly. */
export const LOST = 'lost'

export class Watchers {
  /** How much each has missed. */
  readonly #lost = new Map<Socket, number>()
  #lines: Buffer[] = []
  #length = 0
  /** Of the lines, how many would have been too many. */
  #dropped = 0
  #timer: NodeJS.Timeout | undefined
  readonly #changed: (count: number) => void

  /** @param changed hears how many there are */
  constructor(changed: (count: number) => void = () => {}) {
    this.#changed = changed
  }

  has(socket: Socket): boolean {
    return this.#lost.has(socket)
  }

  /** @throws TsnetError `try-again` */
  add(socket: Socket): void {
    if (socket.destroyed || this.#lost.has(socket)) return
    if (this.#lost.size >= WATCHERS_MAX)
      throw new TsnetError('try-again', `${WATCHERS_MAX} watch already, which is as many as may`)
    // What came before is not for it.
    this.flush()
    this.#lost.set(socket, 0)
    socket.on('drain', () => this.#catchUp(socket))
    this.#changed(this.#lost.size)
  }

  remove(socket: Socket): void {
    if (this.#lost.delete(socket)) this.#changed(this.#lost.size)
  }

  tell(event: Event): void {
    if (this.#lost.size === 0) return
    if (this.#length > UNREAD_MAX) this.#dropped++
    else {
      const line = Buffer.from(lineOf(event))
      this.#lines.push(line)
      this.#length += line.length
    }
    this.#timer ??= setTimeout(() => this.flush(), TOGETHER_MS).unref()
  }

  /** Tells at once what came until now. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const { length } = this.#lines
    const [bytes, dropped] = [Buffer.concat(this.#lines), this.#dropped]
    this.#lines = []
    this.#length = this.#dropped = 0
    if (length === 0) return
    for (const [socket, lost] of this.#lost) {
      if (lost > 0 || socket.writableLength > UNREAD_MAX) this.#lost.set(socket, lost + length + dropped)
      else {
        socket.write(bytes)
        if (dropped > 0) this.#lost.set(socket, dropped)
      }
      this.#catchUp(socket)
    }
  }

  /** Who has missed something, and has read all else, is told how much. */
  #catchUp(socket: Socket): void {
    const count = this.#lost.get(socket) ?? 0
    if (count === 0 || socket.writableLength > 0) return
    this.#lost.set(socket, 0)
    socket.write(lineOf({ event: LOST, about: { count } }))
  }
}
