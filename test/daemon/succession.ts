/** What a daemon begins, finishes and leaves to others when it ends, and when it has been succeeded. */

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { controlSocket } from '../../src/control/control.ts'
import type { Peer } from '../../src/control/server.ts'
import { Succession } from '../../src/daemon/succession.ts'

/** Somebody who asks, and hears whether he was hung up on. */
function peer() {
  const said: string[] = []
  const dismiss = () => void said.push('hung up')
  const here: Peer = {
    pid: () => 1,
    onGone: () => {},
    stays: () => {},
    tell: () => true,
    isThere: () => true,
    dismiss,
  }
  return { here, said }
}

function serving(): Succession {
  const tending = { start: () => {}, stop: async () => {}, paceChanged: () => {} }
  const proxy = { workers: 1, freeze: async () => [], close: async () => {}, published: [] }
  const placeholders = { standStill: () => {}, goOn: () => {}, release: () => {}, calls: () => ({}) }
  const door = { keys: () => ({}), give: () => {}, leave: () => {}, log: () => {} }
  const succession = new Succession(proxy as never, placeholders as never, tending, door)
  succession.begin()
  return succession
}

t.test('what it has begun is finished, and answered', async t => {
  const succession = serving()
  const { here, said } = peer()
  let resolve: (text: string) => void = () => {}
  const promise = new Promise<string>(settle => {
    resolve = settle
  })
  const { publish } = succession.guard({ publish: () => promise })
  const answered = publish?.({}, here)
  const called = succession.whileServing(() => promise)
  await succession.end()
  const done = succession.allDone().then(() => said.push('all done'))
  resolve('published')
  t.strictSame([await answered, await called], ['published', 'published'])
  await done
  t.strictSame(said, ['all done'])
})

t.test(
  'who asks for more is hung up on, as by one that was killed, and a call is left to its caller',
  async t => {
    const succession = serving()
    const { here, said } = peer()
    const begun: string[] = []
    const handlers = {
      ...succession.guard({ serve: () => void begun.push('serve') }),
      ...succession.handlers,
    }
    await succession.end()
    for (const word of ['serve', 'ping', 'hand-over']) t.equal(await handlers[word]?.({}, here), undefined)
    t.equal(await succession.whileServing(async () => void begun.push('call')), undefined)
    t.strictSame(said, ['hung up', 'hung up', 'hung up'])
    t.strictSame(begun, [])
  },
)

t.test(
  'who asks one that has been succeeded is hung up on where the successor hangs up, or is gone',
  async t => {
    const folder = mkdtempSync(join(tmpdir(), 'tsnet-'))
    process.env.TSNET_RUN_DIR = folder
    t.teardown(() => rmSync(folder, { recursive: true }))
    const succession = serving()
    const { here, said } = peer()
    const successor = peer().here
    await succession.handlers['hand-over']?.({}, successor)
    await succession.handlers['handed-over']?.({}, successor)
    const { serve } = succession.guard({ serve: () => t.fail('it is not ours any more') })
    t.equal(await serve?.({}, here), undefined)
    const killed = createServer(socket => socket.on('data', () => socket.destroy())).listen(controlSocket())
    await once(killed, 'listening')
    t.equal(await serve?.({}, here), undefined)
    t.strictSame(said, ['hung up', 'hung up'])
    await new Promise(resolve => killed.close(resolve))
  },
)
