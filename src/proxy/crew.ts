/**
 * The workers of a proxy: each is told what it has to serve, and after the death of one another takes its place.
 *
 * They start when there is something to serve, since a daemon that has nothing costs a fifth less memory without them;
 * and in the network namespace in which the proxy was started, whoever is there by then.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { TsnetError } from '../model/errors.ts'
import { currentNetns, inside, type Netns, type Sync, sameNamespace } from '../netns/netns.ts'
import { closeFrozen, type FrozenClient } from './frozen.ts'
import { type Order, WorkerThread } from './thread.ts'

/** A worker that lives shorter is replaced after a tenth of this. */
const SHORT_LIFE_MS = 1_000

export interface CrewOptions {
  size: number
  /** Is told what went wrong without ending anything, or that a worker died and was replaced. */
  onFault: (message: string) => void
  /** A worker is new in its place: what was assigned to that place it does not know yet. */
  onReplaced: (index: number) => void
}

export class Crew {
  readonly #home: Netns = currentNetns()
  readonly #workers: WorkerThread[] = []
  readonly #hiredAt: number[] = []
  readonly #options: CrewOptions
  readonly #onExit = () => {
    for (const worker of this.#workers) worker.stopNow()
  }
  /** Places to be filled in a moment. */
  readonly #vacant = new Map<number, NodeJS.Timeout>()
  /** Whoever stands still; undefined while all go on. */
  #standing: readonly FrozenClient[] | undefined
  #ending = false

  constructor(options: CrewOptions) {
    this.#options = options
    process.on('exit', this.#onExit)
  }

  /** How many there are, or will be. */
  get size(): number {
    return this.#options.size
  }

  get standsStill(): boolean {
    return this.#standing !== undefined
  }

  /** Tells one worker to serve something: then all of them are there. */
  assign(index: number, order: Order): void {
    if (this.#ending) return
    for (let other = this.#workers.length; other < this.size; other++) this.#workers.push(this.#hire(other))
    void this.#workers[index]?.order(order)
  }

  /** Settles when all who are there have done it. */
  async order(order: Order): Promise<void> {
    await Promise.all(this.#workers.map(worker => worker.order(order)))
  }

  /**
   * All stand still. The clients' sockets are ours until they are thawed: they outlive a worker.
   * @returns the clients, each with the number of its worker
   * @throws TsnetError `try-again` where a worker does not do so in time: all go on then, each as soon as it can
   */
  async freeze(withinMs: number): Promise<FrozenClient[]> {
    this.#standing = []
    const orders = this.#workers.map(worker => worker.order({ kind: 'freeze' }))
    const frozen = await inTime(orders, withinMs)
    if (frozen === undefined) {
      this.#goOn(orders)
      throw new TsnetError(
        'try-again',
        `a worker of the proxy did not stand still within ${withinMs / 1000} s`,
      )
    }
    const clients = frozen.flatMap((each, worker) => (each ?? []).map(client => ({ ...client, worker })))
    this.#standing = clients
    return clients
  }

  /** Each worker goes on with its own clients once it has said which. */
  #goOn(orders: readonly Promise<FrozenClient[] | undefined>[]): void {
    this.#standing = undefined
    for (const index of this.#vacant.keys()) this.#fill(index)
    orders.forEach((order, i) => {
      const worker = this.#workers[i]
      void order.then(clients => worker?.order({ kind: 'thaw', clients: clients ?? [] }))
    })
  }

  /**
   * All go on; clients whose worker is not said, or is not here, are spread over all. A worker that does not do so in time
   * is told of, and does it once it can: the others serve meanwhile.
   */
  async thaw(clients: readonly FrozenClient[], withinMs: number): Promise<void> {
    for (const index of this.#vacant.keys()) this.#fill(index)
    this.#standing = undefined
    const count = this.size
    const shares = this.#workers.map((_, i) => clients.filter((each, j) => (each.worker ?? j) % count === i))
    const orders = this.#workers.map((worker, i) => worker.order({ kind: 'thaw', clients: shares[i] ?? [] }))
    if ((await inTime(orders, withinMs)) === undefined)
      this.#options.onFault(
        `a worker of the proxy has not gone on within ${withinMs / 1000} s: its clients wait for it`,
      )
  }

  /** Runs in the namespace in which the proxy was started; needs no privilege where we are there. */
  atHome<T>(work: () => Sync<T>): Sync<T> {
    using here = currentNetns()
    return sameNamespace(here.id, this.#home.id) ? work() : inside(this.#home, work)
  }

  /** From now on nobody is replaced. */
  retire(): void {
    this.#ending = true
  }

  /** Ends all workers, with all their connections. */
  async stop(): Promise<void> {
    this.retire()
    await Promise.all(this.#workers.map(worker => worker.stop()))
    closeFrozen(this.#standing ?? [])
    process.off('exit', this.#onExit)
    this.#home[Symbol.dispose]()
  }

  #hire(index: number): WorkerThread {
    this.#hiredAt[index] = performance.now()
    return this.atHome(() => new WorkerThread(this.#options.onFault, cause => this.#replace(index, cause)))
  }

  #replace(index: number, cause: unknown): void {
    if (this.#ending) return
    this.#options.onFault(
      `worker ${index} died and is replaced: ${cause instanceof Error ? cause.stack : cause}`,
    )
    // One that dies as soon as it lives must not take the whole machine with it.
    const age = performance.now() - (this.#hiredAt[index] ?? 0)
    const delay = age >= SHORT_LIFE_MS ? 0 : SHORT_LIFE_MS / 10
    this.#vacant.set(
      index,
      setTimeout(() => this.#fill(index), delay),
    )
  }

  #fill(index: number): void {
    clearTimeout(this.#vacant.get(index))
    this.#vacant.delete(index)
    if (this.#ending) return
    this.#workers[index] = this.#hire(index)
    this.#options.onReplaced(index)
  }
}

/** What all of them come to; undefined where one is late. */
async function inTime<T>(all: readonly Promise<T>[], withinMs: number): Promise<T[] | undefined> {
  const late = new AbortController()
  try {
    return await Promise.race([
      Promise.all(all),
      sleep(withinMs, undefined, { ref: false, signal: late.signal }).catch(() => undefined),
    ])
  } finally {
    late.abort()
  }
}
