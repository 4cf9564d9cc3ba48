/** A thread that makes the same folders as others, at the same moment. */

import { parentPort, workerData } from 'node:worker_threads'
import { makeFolder } from '../../src/ffi/folder.ts'

const {
  folder,
  rounds,
  barrier,
  threads,
}: { folder: string; rounds: number; barrier: Int32Array; threads: number } = workerData

let failed = ''
for (let round = 1; round <= rounds; round++) {
  Atomics.add(barrier, 0, 1)
  while (Atomics.load(barrier, 0) < round * threads);
  try {
    makeFolder(`${folder}/${round}/users/bridge/name`, 0o700)
  } catch (thrown) {
    failed = String(thrown)
  }
}
parentPort?.postMessage(failed)
