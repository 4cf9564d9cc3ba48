/**
 * Clients and servers that behave in every way a stream allows, many at once, chosen by a seed: whatever
 * they do, the proxy stays, serves the next one, and keeps nothing of them.
 */

import { readdirSync } from 'node:fs'
import type { Socket } from 'node:net'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { TestProxy } from '../support/published.ts'
import { connect, exchange, serve } from '../support/streams.ts'

const SEED = Number(process.env.CHAOS_SEED ?? 20_240_611)
const CONNECTIONS = Number(process.env.CHAOS_CONNECTIONS ?? 1500)
const AT_ONCE = 100

/** mulberry32 */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const random = randomFrom(SEED)
const upTo = (limit: number) => Math.floor(random() * limit)
const garbage = Buffer.from(Array.from({ length: 300_000 }, () => upTo(256)))

/** Does one thing after the other until the socket is closed for good. */
function misbehave(socket: Socket): void {
  let left = 1 + upTo(5)
  const step = () => {
    if (socket.destroyed) return
    if (left-- === 0) {
      if (upTo(2) === 0) socket.resetAndDestroy()
      else socket.destroy()
      return
    }
    const choice = upTo(6)
    if (choice === 0 && !socket.writableEnded) socket.end(garbage.subarray(0, upTo(70_000)))
    else if (choice <= 3 && !socket.writableEnded) socket.write(garbage.subarray(0, upTo(garbage.length)))
    else if (choice === 4) socket.pause()
    else socket.resume()
    setTimeout(step, upTo(10))
  }
  step()
}

t.test(`${CONNECTIONS} connections that do anything (CHAOS_SEED=${SEED})`, async t => {
  await using server = await serve(socket => {
    if (quiet) socket.pipe(socket)
    else misbehave(socket)
  })
  let quiet = true
  await using proxy = new TestProxy()
  const web = proxy.publish(server.port)
  const openFiles = () => readdirSync('/proc/self/fd').length
  t.equal(String(await exchange(web.port, 'before')), 'before')
  const before = openFiles()

  quiet = false
  let begun = 0
  const client = async () => {
    while (begun++ < CONNECTIONS) {
      const socket = await connect(web.port).catch(() => undefined)
      if (socket === undefined) continue
      misbehave(socket)
      await new Promise(resolve => socket.once('close', resolve))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, client))
  await waitFor(() => web.counters().active === 0, { what: 'all to be gone' })

  quiet = true
  t.equal(String(await exchange(web.port, 'after')), 'after')
  // A target that resets before the proxy looks at it counts as one that did not answer, so `failed` may vary.
  t.match(web.counters(), { active: 0, refused: 0 })
  t.strictSame(proxy.faults, [])
  const KEPT_PIPES = 2 * 16
  await waitFor(() => openFiles() <= before + KEPT_PIPES, { what: 'the descriptors to come back' })
})
