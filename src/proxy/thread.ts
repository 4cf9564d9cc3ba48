/**
 * A worker thread, seen by its maker: commands go in, and somebody notices when it dies.
 *
 * A worker that dies takes its connections with it; their descriptors are closed here, so that the peers
 * notice, and the listening sockets, which are ours, wait for its successor.
 */

import { writeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { libc, must } from '../ffi/ffi.ts'
import type { Command, Report } from './assignment.ts'
import type { FrozenClient } from './frozen.ts'
import { Descriptors, reclaim } from './worker/descriptors.ts'
import type { WorkerData } from './worker/worker.ts'

const EFD_CLOEXEC_NONBLOCK = 0x80800
/** Garbage is short-lived and little; V8's default lets it grow to tens of megabytes first. */
const YOUNG_MB = 2

/** A command as callers give it: the thread numbers its requests. */
export type Order = Command extends infer Any ? (Any extends Command ? Omit<Any, 'request'> : never) : never

export class WorkerThread {
  readonly #worker: Worker
  readonly #wake = must('eventfd', libc.eventfd(0, EFD_CLOEXEC_NONBLOCK))
  readonly #marks = Descriptors.table()
  readonly #pending = new Map<number, (frozen?: FrozenClient[]) => void>()
  #requests = 0
  #stopping = false
  #ended = false

  /**
   * Starts a worker in the network namespace that this thread is in.
   * @param onFault is told what went wrong in it without ending it
   * @param onDeath is told when it ended without being asked to
   */
  constructor(onFault: (message: string) => void, onDeath: (cause: unknown) => void) {
    const workerData: WorkerData = { wake: this.#wake, marks: this.#marks }
    this.#worker = new Worker(workerFile(), {
      workerData,
      // It would not know what libc has closed, and close the number once more.
      trackUnmanagedFds: false,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    })
    let cause: unknown
    this.#worker.on('message', (report: Report) => {
      if (report.kind === 'fault') onFault(report.message)
      else this.#finish(report.request, report.frozen)
    })
    this.#worker.on('error', thrown => {
      cause = thrown
    })
    this.#worker.on('exit', code => {
      this.#ended = true
      libc.close(this.#wake)
      reclaim(this.#marks)
      for (const request of [...this.#pending.keys()]) this.#finish(request)
      if (!this.#stopping) onDeath(cause ?? new Error(`the worker ended with ${code}`))
    })
  }

  /**
   * Settles when the worker has done it, or is no more.
   * @returns for `freeze` the connections that stand still
   */
  order(order: Order): Promise<FrozenClient[] | undefined> {
    if (this.#ended) return Promise.resolve(undefined)
    const request = this.#requests++
    return new Promise(resolve => {
      this.#pending.set(request, resolve)
      this.#worker.postMessage({ ...order, request })
      this.#ring()
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

  #ring(): void {
    try {
      writeSync(this.#wake, new BigUint64Array([1n]))
    } catch {
      // The bell rings already, or nobody is there to hear it.
    }
  }

  #finish(request: number, frozen?: FrozenClient[]): void {
    this.#pending.get(request)?.(frozen)
    this.#pending.delete(request)
  }
}

/** Beside this file as compiled, or beside the bundle that holds it. */
function workerFile(): URL {
  const here = import.meta.url
  return new URL(here.endsWith('.cjs') ? './proxy-worker.cjs' : './worker/worker.js', here)
}
