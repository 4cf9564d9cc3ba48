/**
 * The predecessor's side of a hand-over, see handover.ts.
 *
 * What is asked meanwhile waits, and is then asked of the successor; what has begun ends before it.
 */

import { connectControl } from '../control/client.ts'
import type { Handlers, Peer } from '../control/server.ts'
import { TsnetError } from '../model/errors.ts'
import type { PortProxy } from '../proxy/proxy.ts'
import { describeHandover, type Handover, LINGER_MS } from './handover.ts'
import type { Placeholders } from './placeholders.ts'
import { notify } from './readiness.ts'
import type { Tending } from './tend.ts'

/** The daemon's end of the control socket, as far as a successor is concerned. */
export interface Door {
  /** What a successor has to hold as well: a service manager's socket, and the lock. */
  keys(): Pick<Handover, 'control' | 'lock' | 'redirect'>
  /** The successor listens: who connects from now on is its. */
  leave(): void
}

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
  #state: 'starting' | 'serving' | 'standing still' | 'handed over' = 'starting'

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

  get handlers(): Handlers {
    return {
      ping: () => ({ pid: process.pid, workers: this.#proxy.workers }),
      'hand-over': (_, peer) => this.#handOver(peer),
      'handed-over': words => this.#handedOver(words),
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
        const work = async () => {
          if (this.#state !== 'handed over') return handler(words, peer)
          return elsewhere.includes(operation) ? peer.dismiss() : askSuccessor(operation, words, peer)
        }
        return this.#note(work())
      },
    ])
    return Object.fromEntries(guarded)
  }

  /** Does work of another kind. @returns undefined where a successor serves */
  async unlessSucceeded<T>(work: () => Promise<T>): Promise<T | undefined> {
    while (this.#state === 'standing still') await this.#decided
    return this.#state === 'handed over' ? undefined : this.#note(work())
  }

  /** Settles when nothing is being done. */
  async allDone(): Promise<void> {
    await Promise.allSettled(this.#working)
  }

  #note<T>(work: Promise<T>): Promise<T> {
    this.#working.add(work)
    return work.finally(() => this.#working.delete(work))
  }

  async #handOver(peer: Peer): Promise<Handover> {
    if (this.#state !== 'serving') throw new TsnetError('try-again', 'another daemon is taking over already')
    this.#state = 'standing still'
    this.#decided = new Promise(resolve => {
      this.#decide = resolve
    })
    peer.stays()
    await Promise.allSettled(this.#working)
    await this.#tending.stop()
    const clients = await this.#proxy.freeze()
    peer.onGone(() => {
      if (this.#state !== 'standing still') return
      this.begin()
      void this.#proxy.thaw(clients)
      this.#decide()
    })
    return describeHandover(this.#proxy, clients, this.#placeholders.calls(), this.#door.keys())
  }

  #handedOver(words: unknown): void {
    if (this.#state !== 'standing still')
      throw new TsnetError('invalid-environment', 'nothing was handed over')
    this.#state = 'handed over'
    this.#door.leave()
    this.#placeholders.release()
    const { pid } = (words ?? {}) as { pid?: unknown }
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

/** Asks for as long as whoever asks us waits. */
async function askSuccessor(operation: string, words: unknown, peer: Peer): Promise<unknown> {
  using successor = await connectControl()
  if (successor === undefined) throw new TsnetError('try-again', 'the daemon is being replaced')
  peer.onGone(() => successor[Symbol.dispose]())
  return await successor.ask(operation, words, LONGEST_MS)
}
