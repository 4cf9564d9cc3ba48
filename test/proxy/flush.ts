/**
 * Slow readers: 50 MiB one way, with the reader stopped until nothing moves any more, the sender's end
 * behind it. Nothing is lost, and the proxy holds no more than a buffer.
 */

import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { startProxyProcess } from '../support/proxy-process.ts'
import { LOOPBACK } from '../support/published.ts'
import { connect, echo, exchange, serve } from '../support/streams.ts'

const BYTES = 50 << 20
const CHUNK = Buffer.from(Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 2654435761) >>> 24))
const WARM_BYTES = 4 << 20
const GROWTH_BYTES = 8 << 20

const expected = createHash('sha256')
for (let sent = 0; sent < BYTES; sent += CHUNK.length) expected.update(CHUNK)
const sha256 = expected.digest('hex')

/** Writes all as fast as it is taken, then the end. */
function pour(socket: Socket): void {
  let sent = 0
  const more = () => {
    while (sent < BYTES) {
      sent += CHUNK.length
      if (!socket.write(CHUNK)) {
        socket.once('drain', more)
        return
      }
    }
    socket.end()
  }
  more()
}

async function digest(socket: Socket): Promise<string> {
  const hash = createHash('sha256')
  socket.on('data', chunk => hash.update(chunk))
  await new Promise(resolve => socket.once('end', resolve))
  return hash.digest('hex')
}

for (const direction of ['from the client', 'from the target'] as const) {
  t.test(`50 MiB ${direction} to a reader that stands still for a while`, async t => {
    let far: Socket | undefined
    await using server = await serve(socket => {
      if (server.sockets.length === 1) {
        echo(socket)
        return
      }
      socket.pause()
      far = socket
      if (direction === 'from the target') pour(socket)
    })
    await using proxy = await startProxyProcess([{ targets: [{ ip: LOOPBACK, port: server.port }] }])
    await exchange(proxy.port, Buffer.alloc(WARM_BYTES)) // what the first transfer costs for good
    const before = await proxy.ask('rss')
    const near = await connect(proxy.port)
    near.pause()
    if (direction === 'from the client') pour(near)
    const reader = await waitFor(() => (direction === 'from the client' ? far : near), { what: 'the reader' })
    const moved = async () => {
      const { bytesIn = 0, bytesOut = 0 } = (await proxy.ask('counters'))['publication 0'] ?? {}
      return bytesIn + bytesOut - 2 * WARM_BYTES
    }
    await waitFor(
      async () => {
        const then = await moved()
        await new Promise(resolve => setTimeout(resolve, 100))
        return then > 0 && (await moved()) === then
      },
      { what: 'everything to stand still' },
    )
    t.ok((await moved()) < BYTES, 'the sender was slowed down')
    t.equal(await digest(reader.resume()), sha256)
    t.equal(await moved(), BYTES)
    const growth = (await proxy.ask('rss')) - before
    t.ok(growth < GROWTH_BYTES, `grew by ${growth} bytes`)
    near.destroy()
  })
}
