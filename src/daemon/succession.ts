/**
 * The predecessor's side of a hand-over, see handover.ts; or the end of a daemon without one.
 *
 *     serving ─── hand-over ──▶ finishing ──▶ standing still ─── handed-over ──▶ handed over
 *        ▲ │                        │               │
 *        │ └── end ──▶ ended ◀──────┤               │
 *        └── too much to finish ────┴── it leaves, ─┘
 *                                       or is late
 *
 * While what has begun ends, all goes on as before, since a drain may take a minute. Only then everything stands still,
 * and for no longer than a successor needs that lives: what is asked meanwhile waits, and is then asked of the successor,
 * or done here if there is none.
 *
 * A daemon that has been told to end finishes what it has begun, and hangs up on whoever asks for more, as a killed one
 * would: they know what to do then. Told so while it stands still, it first hears who serves: a successor's names and
 * lock are no longer its own to remove.
 */

import { setTimeout as sleep } from 'node:timers/promises'

import { connectControl, HungUp } from '../control/client.ts'
import type { Handlers, Peer } from '../control/server.ts'
import { TsnetError } from '../model/errors.ts'
import type { FrozenClient, PortProxy } from '../proxy/proxy.ts'
import { describeHandover, type Handover, LINGER_MS, TAKEN_BACK } from './handover.ts'
import type { Placeholders } from './placeholders.ts'
import { notify } from './readiness.ts'
import type { Tending } from './tend.ts'

/** The daemon's end of the control socket, as far as a successor is concerned. */
export interface Door {
  /** What a successor has to hold as well: a service manager's socket, and the lock. */
  keys(): Pick<Handover, 'control' | 'lock' | 'redirect' | 'resolvers'>
  /** Who connects from now on is the successor's. @throws SystemError; nothing has changed then */
  give(pid: number | undefined): void
  /** Nobody is to be welcomed here any more. */
  leave(): void
  log(line: string): void
}

/** How long a successor may take from the answer to its last word, and for each thing that it is handed. */
const TAKE_OVER_WITHIN_MS = 5_000
const FOR_EACH_MS = 1

/** How long what has begun in the last moment may hold up everything. */
const STAND_WITHIN_MS = 3_000

export class Succession {
  /** Settles when a successor serves everything, and whoever was connecting to us is connected. */
  readonly done: Promise<'succeeded'>
  readonly #proxy: PortProxy
  readonly #placeholders: Placeholders
  readonly #tending: Tending
  readonly #door: Door
  #succeeded: (why: 'succeeded') => void = () => {}
  readonly #working = new Set<Promise<unknown>>()
  #decided: Promise<void> = Promise.resolve()
  #decide: () => void = () => {}
  #state: 'starting' | 'serving' | 'finishing' | 'standing still' | 'handed over' | 'ended' = 'starting'
  #successor: Peer | undefined
  #deadline: NodeJS.Timeout | undefined

  constructor(proxy: PortProxy, placeholders: Placeholders, tending: Tending, door: Door) {
    this.#proxy = proxy
    this.#placeholders = placeholders
    this.#tending = tending
    this.#door = door
    this.done = new Promise(resolve => {
      this.#succeeded = resolve
    })
  }

  /** All is served: from now on we look after it, and somebody may take it over. */
  begin(): void {
    this.#state = 'serving'
    this.#tending.start()
  }

  /** A successor serves everything. */
  get isOver(): boolean {
    return this.#state === 'handed over'
  }

  /** What could not be done may be so for this reason alone. */
  get hasEnded(): boolean {
    return this.#state === 'ended'
  }

  /** Nothing more is begun. Whoever is in the middle of taking over does so first, or gives way. */
  async end(): Promise<void> {
    while (this.#state === 'standing still') await this.#decided
    if (this.isOver) await this.done
    else this.#state = 'ended'
  }

  get handlers(): Handlers {
    return {
      ping: (_, peer) => {
        if (this.#state === 'ended') return peer.dismiss()
        return { pid: process.pid, workers: this.#proxy.workers }
      },
      'hand-over': (_, peer) => this.#handOver(peer),
      'handed-over': (words, peer) => this.#handedOver(words, peer),
    }
  }

  /**
   * Handlers that do their work unless a successor does.
   * @param elsewhere what is asked of the successor by whoever asks, since it matters who does
   */
  guard(handlers: Handlers, elsewhere: readonly string[] = []): Handlers {
    const guarded = Object.entries(handlers).map(([operation, handler]): [string, Handlers[string]] => [
      operation,
      async (words, peer) => {
        while (this.#state === 'standing still') await this.#decided
        if (this.#state === 'ended') return peer.dismiss()
        const work = async () => {
          if (this.#state !== 'handed over') return handler(words, peer)
          return elsewhere.includes(operation) ? peer.dismiss() : askSuccessor(operation, words, peer)
        }
        return this.#note(work())
      },
    ])
    return Object.fromEntries(guarded)
  }

  /** Does work of another kind. @returns undefined where a successor serves, or nobody any more */
  async whileServing<T>(work: () => Promise<T>): Promise<T | undefined> {
    while (this.#state === 'standing still') await this.#decided
    return this.isOver || this.hasEnded ? undefined : this.#note(work())
  }

  /** Settles when nothing is being done. */
  async allDone(): Promise<void> {
    await Promise.allSettled(this.#working)
  }

  #note<T>(work: Promise<T>): Promise<T> {
    this.#working.add(work)
    return work.finally(() => this.#working.delete(work))
  }

  async #handOver(peer: Peer): Promise<Handover | undefined> {
    if (this.hasEnded) return void peer.dismiss()
    if (this.#state !== 'serving') throw new TsnetError('try-again', 'another daemon is taking over already')
    this.#state = 'finishing'
    peer.stays()
    const left = new Promise<void>(resolve => peer.onGone(resolve))
    await Promise.race([Promise.allSettled(this.#working), left])
    await this.#tending.stop()
    if (this.hasEnded) return void peer.dismiss()
    if (!peer.isThere()) {
      this.#goOn()
      throw new TsnetError('try-again', 'the successor has gone')
    }
    this.#successor = peer
    this.#standStill()
    await Promise.race([Promise.allSettled(this.#working), sleep(STAND_WITHIN_MS, undefined, { ref: false })])
    if (this.#working.size > 0) {
      this.#goOn()
      throw new TsnetError('try-again', 'the daemon that runs has too much to do to be replaced now')
    }
    const clients = await this.#proxy.freeze().catch(thrown => {
      this.#goOn()
      throw thrown
    })
    const handover = describeHandover(this.#proxy, clients, this.#placeholders.calls(), this.#door.keys())
    const count = clients.length + Object.values(handover.sockets).flat(2).length
    this.#deadline = setTimeout(
      () => this.#takeBack(clients, 'hangs'),
      TAKE_OVER_WITHIN_MS + count * FOR_EACH_MS,
    )
    peer.onGone(() => this.#takeBack(clients, 'ended'))
    return handover
  }

  #standStill(): void {
    this.#state = 'standing still'
    this.#placeholders.standStill()
    this.#decided = new Promise(resolve => {
      this.#decide = resolve
    })
  }

  /** As if nothing had been asked. */
  #goOn(): void {
    this.#successor = undefined
    this.#placeholders.goOn()
    this.begin()
    this.#decide()
  }

  /** Its successor will not come. It hears so, lest it take our end for a reason to go on with what it was told. */
  #takeBack(clients: readonly FrozenClient[], why: string): void {
    if (this.#state !== 'standing still') return
    clearTimeout(this.#deadline)
    this.#door.log(`a successor ${why} in the middle of taking over: this daemon goes on`)
    this.#successor?.dismiss({ event: TAKEN_BACK, about: null })
    void this.#proxy.thaw(clients)
    this.#goOn()
  }

  #handedOver(words: unknown, peer: Peer): void {
    // What a successor said that has died since would be heard all the same.
    if (this.#state !== 'standing still' || peer !== this.#successor || !peer.isThere())
      throw new TsnetError('invalid-environment', 'nothing was handed over')
    const { pid } = (words ?? {}) as { pid?: unknown }
    this.#door.give(Number.isSafeInteger(pid) ? (pid as number) : undefined)
    clearTimeout(this.#deadline)
    this.#state = 'handed over'
    this.#door.leave()
    this.#placeholders.release()
    // Only from its main process does a service manager take that there is another.
    if (Number.isSafeInteger(pid)) notify(`MAINPID=${pid}`)
    this.#decide()
    // A connection that we hold a copy of does not end where the successor closes it.
    void this.#proxy.close()
    // Having slept through that time, we still have to look who came meanwhile.
    setTimeout(() => setImmediate(() => this.#succeeded('succeeded')), LINGER_MS)
  }
}

/** Of a timer of Node's. */
const LONGEST_MS = 2 ** 31 - 1

/** Asks for as long as whoever asks us waits; where the successor is gone, or goes, we hang up as that would. */
async function askSuccessor(operation: string, words: unknown, peer: Peer): Promise<unknown> {
  using successor = await connectControl()
  if (successor === undefined) return peer.dismiss()
  peer.onGone(() => successor[Symbol.dispose]())
  try {
    return await successor.ask(operation, words, LONGEST_MS)
  } catch (thrown) {
    if (thrown instanceof HungUp) return peer.dismiss()
    throw thrown
  }
}
