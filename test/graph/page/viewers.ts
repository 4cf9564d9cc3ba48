/** Those who look on get what is newest, once, and no more waits for one who is slow than one event of each kind. */

import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import t from 'tap'
import { Viewers } from '../../../src/graph/page/viewers.ts'

/** A reader who reads when he is told to. */
class Reader extends EventEmitter {
  said: string[] = []
  reads = true
  destroyed = false
  writeHead(): void {}
  write(text: string): boolean {
    this.said.push(text)
    return this.reads
  }
  destroy(): void {
    this.destroyed = true
    this.emit('close')
  }
  get asResponse(): ServerResponse {
    return this as unknown as ServerResponse
  }
}

const event = (kind: string, value: unknown) => `event: ${kind}\ndata: ${JSON.stringify(value)}\n\n`

t.test('what is the same as before is not said again, and who comes late hears the newest', async t => {
  const viewers = new Viewers()
  const first = new Reader()
  viewers.add(first.asResponse)
  viewers.tell('picture', 1)
  viewers.tell('picture', 1)
  viewers.tell('traffic', 'a')
  viewers.tell('picture', 2)
  t.same(first.said.slice(1), [event('picture', 1), event('traffic', 'a'), event('picture', 2)])
  const second = new Reader()
  viewers.add(second.asResponse)
  t.same(second.said.slice(1), [event('picture', 2), event('traffic', 'a')])
})

t.test('who is slow gets the newest when he reads on, and is let go when he does not', async t => {
  let now = 0
  const viewers = new Viewers(() => now)
  const slow = new Reader()
  viewers.add(slow.asResponse)
  slow.reads = false
  for (let number = 0; number < 1000; number++) viewers.tell('picture', number)
  t.same(slow.said.slice(1), [event('picture', 0)])
  slow.reads = true
  slow.emit('drain')
  t.same(slow.said.slice(2), [event('picture', 999)])
  slow.reads = false
  viewers.tell('picture', 'next')
  now += 29_000
  viewers.tell('picture', 'waits')
  t.notOk(slow.destroyed)
  now += 2_000
  viewers.tell('picture', 'waits still')
  t.ok(slow.destroyed)
  t.equal(viewers.size, 0)
})
