/**
 * A worker thread, seen by its maker: commands go in, and somebody notices when it dies.
 *
 * A worker that dies takes its connections with it; their descriptors are closed here, so that the peers
 * notice, and the listening sockets, which are ours, wait for its successor.
 */

import { Worker } from 'node:worker_threads'
import { libc } from '../ffi/ffi.ts'
import { makeBell, ring } from '../ffi/reactor/commands.ts'
import { Descriptors, reclaim } from '../ffi/reactor/descriptors.ts'
import { Orders, threadProgram } from '../ffi/thread/orders.ts'
import type { Command, Report } from './assignment.ts'
import type { FrozenClient } from './frozen.ts'
import type { WorkerData } from './worker/worker.ts'

/** Garbage is short-lived and little; V8's default lets it grow to tens of megabytes first. */
const YOUNG_MB = 2

/** A command as callers give it: the thread numbers its requests. */
export type Order = Command extends infer Any ? (Any extends Command ? Omit<Any, 'request'> : never) : never

export class WorkerThread {
  readonly #worker: Worker
  readonly #wake = makeBell()
  readonly #marks = Descriptors.table()
  readonly #orders = new Orders<FrozenClient[]>()
  #stopping = false
  #ended = false

  /**
   * Starts a worker in the network namespace that this thread is in.
   * @param onFault is told what went wrong in it without ending it
   * @param onDeath is told when it ended without being asked to
   */
  constructor(onFault: (message: string) => void, onDeath: (cause: unknown) => void) {
    const workerData: WorkerData = { wake: this.#wake, marks: this.#marks }
    this.#worker = new Worker(threadProgram(import.meta.url, 'proxy-worker.cjs'), {
      workerData,
      // It would not know what libc has closed, and close the number once more.
      trackUnmanagedFds: false,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    })
    let cause: unknown
    this.#worker.on('message', (report: Report) => {
      if (report.kind === 'fault') onFault(report.message)
      else this.#orders.done(report.request, report.frozen)
    })
    this.#worker.on('error', thrown => {
      cause = thrown
    })
    this.#worker.on('exit', code => {
      this.#ended = true
      libc.close(this.#wake)
      reclaim(this.#marks)
      this.#orders.end()
      if (!this.#stopping) onDeath(cause ?? new Error(`the worker ended with ${code}`))
    })
  }

  /**
   * Settles when the worker has done it, or is no more.
   * @returns for `freeze` the connections that stand still
   */
  order(order: Order): Promise<FrozenClient[] | undefined> {
    if (this.#ended) return Promise.resolve(undefined)
    return this.#orders.give(request => {
      this.#worker.postMessage({ ...order, request })
      ring(this.#wake)
    })
  }

  /** Ends the worker with all its connections, at once. */
  async stop(): Promise<void> {
    this.#stopping = true
    if (this.#ended) return
    const ended = new Promise(resolve => this.#worker.once('exit', resolve))
    void this.order({ kind: 'stop' })
    await ended
  }

  /** Lets a process end that does not wait: Node waits for its workers, and this one sleeps in the kernel. */
  stopNow(): void {
    this.#stopping = true
    void this.order({ kind: 'stop' })
  }
}
