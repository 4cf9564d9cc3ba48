/**
 * Where a container's questions over UDP arrive, and are answered by the same socket.
 *
 *     recvmmsg ──▶ ready? ──no──▶ answer(…) ──somebody else's──▶ Forwarder ──▶ sendto
 *                    └──────────────┴──▶ sendmmsg
 */

import { libc } from '../../ffi/ffi.ts'
import type { Source } from '../../ffi/reactor/reactor.ts'
import { type Endpoint, sockaddr } from '../../ffi/sockaddr.ts'
import { MSG_DONTWAIT, MSG_NOSIGNAL } from '../../ffi/socket.ts'
import type { Ip } from '../../model/address/address.ts'
import { type Asker, answer, type Outcome } from '../answer.ts'
import type { Forwarder } from '../forward.ts'
import { HEADER } from '../walk.ts'
import type { Zone } from '../zone.ts'
import { type Batch, ID_BYTES } from './batch.ts'
import { LONGEST_KEPT, type Ready } from './ready.ts'

/** Clients whose view is remembered: a container can send from any address. */
const CLIENTS_MOST = 4_096

/** What all of a thread share. */
export interface Desk {
  zone: Zone
  batch: Batch
  ready: Ready
  forwarder: Forwarder
  /** Takes what has been told by now. */
  hear(): void
  /** Promises have more to do. */
  letNode(): void
  onFault(thrown: unknown): void
}

export interface Window {
  address: Ip
  network: string
  /** The maker's. */
  descriptor: number
  /** Nobody but the host itself comes by it. */
  isHost: boolean
}

export class Counter implements Source {
  readonly #window: Window
  readonly #desk: Desk
  /** Of each client that was here in this generation of the zone, what it sees. */
  readonly #views = new Map<number | string, string>()
  readonly #underWay = new Set<Promise<void>>()
  #isOver = false
  #generation = -1

  constructor(window: Window, desk: Desk) {
    this.#window = window
    this.#desk = desk
  }

  ready(fd: number): void {
    const { batch, hear, onFault } = this.#desk
    const count = batch.receive(fd)
    // What was told before somebody asked is in his answer.
    hear()
    for (let slot = 0; slot < count; slot++) {
      try {
        this.#serve(slot)
      } catch (thrown) {
        onFault(thrown)
      }
    }
    batch.send(fd)
  }

  fail(): void {}

  #serve(slot: number): void {
    const { batch, ready, zone } = this.#desk
    // What was cut off could have been anything: it is answered by its header alone.
    const isCut = batch.isCut(slot)
    const key =
      isCut || batch.length(slot) > LONGEST_KEPT ? undefined : `${this.#viewOf(slot)}${batch.text(slot)}`
    const before = key === undefined ? undefined : ready.get(key)
    if (before !== undefined) {
      batch.answer(slot, before)
      return
    }
    const { network, isHost } = this.#window
    const sender = batch.sender(slot)
    const message = isCut ? batch.message(slot).subarray(0, HEADER) : batch.message(slot)
    const asker: Asker = { network, ip: sender.ip, carrier: 'udp', isHost }
    const outcome = answer(message, asker, zone)
    if (outcome === undefined) return
    if (outcome.kind === 'forward') {
      this.#forward(outcome, asker, sender)
      return
    }
    const tail = outcome.bytes.subarray(ID_BYTES)
    if (outcome.lasts && key !== undefined) ready.set(key, tail)
    batch.answer(slot, tail)
  }

  #forward(outcome: Extract<Outcome, { kind: 'forward' }>, asker: Asker, { ip, port }: Endpoint): void {
    const { forwarder, letNode, onFault } = this.#desk
    const { descriptor } = this.#window
    const one = forwarder
      .answer(outcome, asker, `${ip} ${port}`)
      .then(bytes => {
        if (bytes === undefined || this.#isOver) return
        const to = sockaddr(ip, port)
        // What finds no room is lost, as datagrams are.
        libc.sendto(descriptor, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL, to, to.length)
      })
      .catch(onFault)
      .finally(() => this.#underWay.delete(one))
    this.#underWay.add(one)
    letNode()
  }

  /**
   * Its socket is watched no more, and stays open until this is done.
   * @param finish what is under way is answered before
   */
  async close(finish: boolean): Promise<void> {
    // It may be said by hear(), between a question's arrival and its answer.
    await null
    while (finish && this.#underWay.size > 0) await Promise.all(this.#underWay)
    this.#isOver = true
  }

  /** Ends with what no name of a network has, so that two views of one question differ. */
  #viewOf(slot: number): string {
    const { batch, zone } = this.#desk
    if (this.#generation !== zone.generation || this.#views.size >= CLIENTS_MOST) {
      this.#views.clear()
      this.#generation = zone.generation
    }
    const key = batch.senderKey(slot)
    const known = this.#views.get(key)
    if (known !== undefined) return known
    const { network, isHost } = this.#window
    const view = `${isHost ? 'host' : ''} ${zone.viewOf({ network, ip: batch.sender(slot).ip })}\n`
    this.#views.set(key, view)
    return view
  }
}
