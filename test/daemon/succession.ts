/** What a daemon begins, finishes and leaves to others when it ends without a successor. */

import t from 'tap'
import type { Peer } from '../../src/control/server.ts'
import { Succession } from '../../src/daemon/succession.ts'

/** Somebody who asks, and hears whether he was hung up on. */
function peer() {
  const said: string[] = []
  const dismiss = () => void said.push('hung up')
  const here: Peer = { pid: () => 1, onGone: () => {}, stays: () => {}, isThere: () => true, dismiss }
  return { here, said }
}

function serving(): Succession {
  const tending = { start: () => {}, stop: async () => {}, paceChanged: () => {} }
  const none = {} as never
  const succession = new Succession(none, none, tending, none)
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
  succession.end()
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
    succession.end()
    for (const word of ['serve', 'ping', 'hand-over']) t.equal(await handlers[word]?.({}, here), undefined)
    t.equal(await succession.whileServing(async () => void begun.push('call')), undefined)
    t.strictSame(said, ['hung up', 'hung up', 'hung up'])
    t.strictSame(begun, [])
  },
)
