/** The run directory, while others take it away as soon as nothing is in it, as every command does that ends. */

import { once } from 'node:events'
import { rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { lockAlone } from '../../src/daemon/alone.ts'
import {
  inDirectorySync,
  makeRunDirectory,
  requireRunDirectory,
  runDirectory,
} from '../../src/records/run-directory.ts'

const ROUNDS = 500

/** Removes a folder again and again, at moments that nobody knows. */
const REMOVER = `
const { rmdirSync } = require('node:fs')
const { parentPort, workerData: { folder, ended } } = require('node:worker_threads')
parentPort.postMessage('begun')
while (Atomics.wait(ended, 0, 0, Math.random() / 5) === 'timed-out') try { rmdirSync(folder) } catch {}`

async function whileOthersRemoveIt(t: Test, work: () => unknown): Promise<string[]> {
  process.env.TSNET_RUN_DIR = join(t.testdir(), 'run')
  const ended = new Int32Array(new SharedArrayBuffer(4))
  const remover = new Worker(REMOVER, { eval: true, workerData: { folder: runDirectory(), ended } })
  await once(remover, 'message')
  const failures = new Set<string>()
  try {
    for (let i = 0; i < ROUNDS; i++)
      try {
        await work()
      } catch (thrown) {
        failures.add(String(thrown))
      }
  } finally {
    Atomics.store(ended, 0, 1)
    await once(remover, 'exit')
  }
  return [...failures]
}

t.test('is made', async t => {
  t.strictSame(await whileOthersRemoveIt(t, makeRunDirectory), [])
  t.strictSame(await whileOthersRemoveIt(t, requireRunDirectory), [])
})

t.test('has the lock of a daemon that starts', async t => {
  const start = async () => {
    using _ = await lockAlone()
  }
  t.strictSame(await whileOthersRemoveIt(t, start), [])
})

t.test('a folder that goes away for good is an error that says where', async t => {
  process.env.TSNET_RUN_DIR = join(t.testdir(), 'run')
  makeRunDirectory()
  rmdirSync(runDirectory())
  t.throws(() => inDirectorySync('/proc/none/file', path => rmdirSync(path)), {
    code: 'io',
    message: /the run directory .*ENOENT.*TSNET_RUN_DIR/,
  })
})
