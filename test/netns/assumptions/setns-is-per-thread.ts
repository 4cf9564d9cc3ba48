/**
 * setns(2) moves the calling thread and no other thread of the process.
 *
 * src/netns rests on it: a scope may be entered while libuv's threads, worker threads and the daemon's other
 * work stay where they are.
 */

import { readdirSync, readlinkSync } from 'node:fs'
import t from 'tap'
import { inside } from '../../../src/netns/netns.ts'
import { kernel } from '../../support/kernel.ts'

t.test('setns moves the calling thread only', async t => {
  await using world = await kernel()
  const places = () => {
    const own = readlinkSync('/proc/thread-self').split('/').at(-1)
    const threads = readdirSync('/proc/self/task')
    const at = (thread: string) => readlinkSync(`/proc/self/task/${thread}/ns/net`)
    return {
      own: at(own ?? ''),
      others: [...new Set(threads.filter(thread => thread !== own).map(at))],
      count: threads.length,
    }
  }
  const before = places()
  t.ok(before.count > 1, 'there are other threads')
  t.strictSame(before.others, [before.own])
  const away = inside(world.host.netns, places)
  t.not(away.own, before.own)
  t.strictSame(away.others, [before.own])
  t.strictSame(places().own, before.own)
})
