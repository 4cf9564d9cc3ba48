/** A command that is hung up on by a daemon that dies. */

import t from 'tap'
import { askOnce } from '../../src/cli/ask.ts'
import { type Asker, HungUp } from '../../src/control/client.ts'

/** Daemons one after the other, of which the first ones die as they are asked. */
function dying(times: number) {
  const open = new Set<number>()
  let count = 0
  const connect = async (): Promise<Asker> => {
    const number = count++
    open.add(number)
    return {
      ask: async () => {
        if (number < times) throw new HungUp()
        return `answered by ${number}`
      },
      standstill: () => undefined,
      mustAnswer() {},
      [Symbol.dispose]: () => void open.delete(number),
    }
  }
  return { connect, open, count: () => count }
}

const HUNG_UP = { message: new HungUp().message }
const terminal = { out() {}, error() {}, lively: false, livelyErrors: false }

t.test('it asks whoever follows, as often as it takes, and says since when it has been asking', async t => {
  const { connect, open } = dying(3)
  const beganAt = Date.now()
  const told: (number | undefined)[] = []
  const answer = await askOnce(terminal, connect, (client, since) => {
    told.push(since)
    return client.ask('ports')
  })
  t.equal(answer, 'answered by 3')
  t.equal(told[0], undefined, 'nobody has been asked before')
  t.equal(told.length, 4)
  t.ok(told.slice(1).every(since => since === told[1] && Number(since) >= beganAt))
  t.equal(open.size, 0, 'no connection is left')
})

t.test('any other error ends it, and so does a daemon that never answers anybody', async t => {
  const { connect, count } = dying(0)
  const failing = askOnce(terminal, connect, async () => {
    throw new Error('no such port')
  })
  await t.rejects(failing, /no such port/)
  t.equal(count(), 1)
  const endless = dying(Number.POSITIVE_INFINITY)
  await t.rejects(
    askOnce(terminal, endless.connect, client => client.ask('ports')),
    HUNG_UP,
  )
  t.ok(endless.count() > 2)
})

t.test('what the daemon itself does for a launcher, the launcher asks again', async t => {
  const { connect, count } = dying(1)
  const daemon = await dying(0).connect()
  await t.rejects(
    askOnce({ ...terminal, daemon }, connect, client => client.ask('ports')),
    HUNG_UP,
  )
  t.equal(count(), 1)
})
