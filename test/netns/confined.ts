/** What a confined thread may do, beside one that is not, and what the others of its process may. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import type { Attempts } from '../support/confined-thread.ts'

interface Report {
  status: Record<string, string>
  refused: Record<string, string>
  allowed: Record<string, string | string[]>
}

const folderOf = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), 'tsnet-confined-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  for (const name of ['there', 'old']) writeFileSync(join(folder, name), '')
  return folder
}

/** What a thread reports, and it is over. */
function attempts(t: Test, confined: boolean): Promise<Report> {
  const workerData: Attempts = { confined, folder: folderOf(t) }
  const worker = new Worker(new URL('../support/confined-thread.js', import.meta.url), { workerData })
  return new Promise((resolve, reject) => {
    let report: Report | undefined
    worker.on('message', heard => {
      report = heard
    })
    worker.on('error', reject)
    worker.on('exit', () => (report === undefined ? reject(new Error('it said nothing')) : resolve(report)))
  })
}

const allAre = (answers: Record<string, unknown>, code: string) =>
  Object.fromEntries(Object.keys(answers).map(what => [what, code]))

t.test('a confined thread changes nothing of the host, and does its work', async t => {
  const { status, refused, allowed } = await attempts(t, true)
  t.strictSame(refused, allAre(refused, 'EPERM'))
  t.strictSame(allowed, { ...allAre(allowed, 'done'), 'a socket is made': ['done', 'done', 'done'] })
  const admin = (1n << 21n).toString(16).padStart(16, '0')
  t.strictSame(status, { capabilities: admin, permitted: admin, noNewPrivs: '1' })
})

t.test('a thread that is not confined does all of it', async t => {
  const { status, refused } = await attempts(t, false)
  t.strictSame(refused, allAre(refused, 'done'))
  t.equal(status.noNewPrivs, '0')
})

t.test('a confined thread leaves the others of its process as they are', async t => {
  await attempts(t, true)
  writeFileSync(join(folderOf(t), 'file'), 'written')
  const { refused } = await attempts(t, false)
  t.strictSame(refused, allAre(refused, 'done'))
})
