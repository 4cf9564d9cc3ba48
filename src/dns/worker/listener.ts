/**
 * TCP at one address, on whose sockets its maker listens: a network's gateway, asked from its bridge or by the host.
 *
 * Connections come to a copy of a listening socket, which can be closed when another process goes on with it.
 *
 * They are bounded in every direction: so many connections, of one client and of all; so many questions of a connection under
 * way; so many bytes that its client does not fetch; so long without a question.
 */

import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Ip, tryParseIp } from '../../model/address/address.ts'
import type { Asker } from '../answer.ts'
import type { Quota } from '../quota.ts'
import type { Desk } from './desk.ts'
import { Frames, framed } from './frames.ts'

/** One socket that listens. */
export interface Door {
  /** A copy of the maker's, which is the listener's. */
  copy: number
  /** Nobody but the host itself comes by it. */
  isHost: boolean
}

export interface Place {
  address: Ip
  network: string
  doors: Door[]
}

export const tcpLimits = {
  connections: 512,
  ofOneClient: 32,
  underWay: 32,
  unread: 256 * 1024,
  /** Of a question: a name has 255 bytes. */
  longest: 4096,
  idleMs: 10_000,
  /** The same, and how long in all, where another process serves whoever comes. */
  lastIdleMs: 500,
  lastMs: 2_000,
}

export class Listener {
  readonly #place: Place
  readonly #desk: Desk
  readonly #guests: Quota
  readonly #onFault: (thrown: unknown) => void
  readonly #servers: Server[] = []
  readonly #connections = new Set<Socket>()
  readonly #underWay = new Set<Promise<void>>()

  constructor(place: Place, desk: Desk, guests: Quota, onFault: (thrown: unknown) => void) {
    this.#place = place
    this.#desk = desk
    this.#guests = guests
    this.#onFault = onFault
    for (const door of place.doors) this.#welcome(door)
  }

  #welcome({ copy, isHost }: Door): void {
    const server = createServer({ noDelay: true, allowHalfOpen: true }, socket => this.#serve(socket, isHost))
    this.#servers.push(server)
    server.on('error', this.#onFault)
    server.listen({ fd: copy })
  }

  #serve(socket: Socket, isHost: boolean): void {
    const ip = tryParseIp(socket.remoteAddress ?? '')
    if (ip === undefined || !this.#guests.enter(ip)) {
      socket.destroy()
      return
    }
    this.#connections.add(socket)
    const asker: Asker = { network: this.#place.network, ip, carrier: 'tcp', isHost }
    const frames = new Frames(tcpLimits.longest)
    let underWay = 0
    let hasEnded = false
    const endIfDone = () => {
      if (hasEnded && underWay === 0) socket.end()
    }
    const answered = () => {
      underWay--
      if (underWay < tcpLimits.underWay) socket.resume()
      endIfDone()
    }
    const send = (bytes: Uint8Array): void => {
      if (socket.destroyed) return
      if (socket.writableLength > tcpLimits.unread) socket.destroy()
      else socket.write(framed(bytes))
    }
    socket.setTimeout(tcpLimits.idleMs, () => socket.destroy())
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#connections.delete(socket)
      this.#guests.leave(ip)
    })
    socket.on('end', () => {
      hasEnded = true
      endIfDone()
    })
    socket.on('data', data => {
      const messages = frames.take(data)
      if (messages === undefined) socket.destroy()
      for (const message of messages ?? []) {
        const work = this.#desk.take(message, asker, send)
        if (work === undefined) continue
        if (++underWay >= tcpLimits.underWay) socket.pause()
        this.#wait(work.finally(answered))
      }
    })
  }

  #wait(work: Promise<void> | undefined): void {
    if (work === undefined) return
    const one = work.finally(() => this.#underWay.delete(one))
    this.#underWay.add(one)
  }

  /** Who is connected may be about to ask. */
  async #finish(): Promise<void> {
    for (const socket of this.#connections) socket.setTimeout(tcpLimits.lastIdleMs)
    const gone = [...this.#connections].map(socket => new Promise(resolve => socket.once('close', resolve)))
    await Promise.race([Promise.all(gone), sleep(tcpLimits.lastMs, undefined, { ref: false })])
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  /**
   * Takes nothing any more.
   * @param finish what is under way is answered before
   */
  async close(finish: boolean): Promise<void> {
    for (const server of this.#servers) server.close()
    if (finish) await this.#finish()
    for (const socket of this.#connections) socket.destroySoon()
  }
}
