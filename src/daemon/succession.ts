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
  /** The service manager's socket, if that is what we listen on. */
  handed(): number | undefined
  /** The successor listens: who connects from now on is its. */
  leave(): void
}

export class Succession {
  /** Settles when a successor serves everything and what was on its way has arrived. */
  readonly done: Promise<'succeeded'>
  readonly #proxy: PortProxy
  readonly #placeholders: Placeholders
  readonly #tending: Tending
  readonly #door: Door
  #succeeded: (why: 'succeeded') => void = () => {}
  readonly #working = new Set<Promise<unknown>>()
  #decided: Promise<void> = Promise.resolve()
  #decide: () => void = () => {}
  #state: 'serving' | 'standing still' | 'handed over' = 'serving'

  constructor(proxy: PortProxy, placeholders: Placeholders, tending: Tending, door: Door) {
    this.#proxy = proxy
    this.#placeholders = placeholders
    this.#tending = tending
    this.#door = door
    this.done = new Promise(resolve => {
      this.#succeeded = resolve
    })
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
        await this.#decided
        const work = async () => {
          if (this.#state !== 'handed over') return handler(words, peer)
          return elsewhere.includes(operation) ? peer.dismiss() : askSuccessor(operation, words)
        }
        return this.#note(work())
      },
    ])
    return Object.fromEntries(guarded)
  }

  /** Does work of another kind. @returns undefined where a successor serves */
  async unlessSucceeded<T>(work: () => Promise<T>): Promise<T | undefined> {
    await this.#decided
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
    await Promise.allSettled(this.#working)
    await this.#tending.stop()
    const clients = await this.#proxy.freeze()
    peer.onGone(() => {
      if (this.#state !== 'standing still') return
      this.#state = 'serving'
      this.#tending.start()
      void this.#proxy.thaw(clients)
      this.#decide()
    })
    return describeHandover(this.#proxy, clients, this.#placeholders.calls(), this.#door.handed())
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
    setTimeout(() => {
      void Promise.allSettled(this.#working).then(() => this.#succeeded('succeeded'))
    }, LINGER_MS)
  }
}

async function askSuccessor(operation: string, words: unknown): Promise<unknown> {
  using successor = await connectControl()
  if (successor === undefined) throw new TsnetError('try-again', 'the daemon is being replaced')
  return await successor.ask(operation, words)
}
