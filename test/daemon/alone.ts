/** Whose place a daemon takes that is told to take over. */

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { controlSocket } from '../../src/control/control.ts'
import { lockAlone, lockWhenNobodyServes, takePlace } from '../../src/daemon/alone.ts'

const folder = mkdtempSync(join(tmpdir(), 'tsnet-'))
process.env.TSNET_RUN_DIR = folder
t.teardown(() => rmSync(folder, { recursive: true }))

/** Answers each question with what is given; undefined: hangs up instead. */
async function daemon(answer: object | undefined): Promise<Server> {
  const server = createServer(socket =>
    socket.on('data', text => {
      const { id } = JSON.parse(String(text))
      if (answer === undefined) socket.destroy()
      else socket.write(`${JSON.stringify({ id, result: answer })}\n`)
    }),
  )
  await once(server.listen(controlSocket()), 'listening')
  return server
}

t.test('of one that is just starting, once it can be spoken to', async t => {
  using _lock = await lockAlone()
  const taking = takePlace()
  const starting = await daemon({ workers: 2 })
  const place = await taking
  t.match(place, { greeting: { workers: 2 } })
  place.predecessor?.[Symbol.dispose]()
  await new Promise(resolve => starting.close(resolve))
})

t.test('of nobody, where the one that runs is just ending', async t => {
  const ending = await daemon(undefined)
  const hungUp = once(ending, 'connection')
  const lock = await lockAlone()
  const taking = takePlace()
  await hungUp
  await new Promise(resolve => ending.close(resolve))
  lock[Symbol.dispose]()
  const place = await taking
  t.equal(place.predecessor, undefined)
  if (place.predecessor === undefined) place.lock[Symbol.dispose]()
})

t.test('of nobody who has the lock and never speaks', async t => {
  using _lock = await lockAlone()
  await t.rejects(takePlace(0), { code: 'conflict', message: /a daemon runs already/ })
})

t.test(
  'one that somebody needs has the lock of one that is ending, and leaves that of one that serves',
  async t => {
    const ending = await lockAlone()
    const locking = lockWhenNobodyServes()
    ending[Symbol.dispose]()
    using _lock = await locking
    const serving = await daemon({ workers: 2 })
    await t.rejects(lockWhenNobodyServes(), { code: 'conflict', message: /a daemon runs already/ })
    await new Promise(resolve => serving.close(resolve))
  },
)
