/**
 * A thread that ends the process when an input takes too long: where a parser runs for ever, nobody else can.
 *
 * It is told of each input by a number in shared memory, and of where the numbers come from by messages.
 */

import { writeSync } from 'node:fs'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

/** An input takes a second at most; the machine may be busy. */
const PATIENCE_MS = 30_000

interface Shared {
  /** Counts inputs. */
  counter: Int32Array
  patienceMs: number
}

export interface Watchdog extends Disposable {
  /** What is being done, in words by which it is done again. */
  watch(what: string): void
  /** An input begins. */
  tick(index: number): void
}

export function startWatchdog(patienceMs = PATIENCE_MS): Watchdog {
  const counter = new Int32Array(new SharedArrayBuffer(8))
  const shared: Shared = { counter, patienceMs }
  const worker = new Worker(new URL(import.meta.url), { workerData: shared })
  worker.unref()
  return {
    watch: what => worker.postMessage(what),
    tick(index) {
      Atomics.store(counter, 1, index)
      Atomics.add(counter, 0, 1)
    },
    [Symbol.dispose]: () => void worker.terminate(),
  }
}

if (!isMainThread && parentPort !== null) {
  const { counter, patienceMs } = workerData as Shared
  let what = ''
  let seen = -1
  let since = Date.now()
  parentPort.on('message', text => {
    what = text
    since = Date.now()
  })
  setInterval(() => {
    const now = Atomics.load(counter, 0)
    if (now !== seen) {
      seen = now
      since = Date.now()
    } else if (what !== '' && Date.now() - since > patienceMs) {
      // The main thread prints nothing any more.
      writeSync(2, `\nit hangs: npm run test:fuzz -- ${what} --path ${Atomics.load(counter, 1)}\n`)
      process.kill(process.pid, 'SIGKILL')
    }
  }, patienceMs / 20)
}
