/** One direction of a connection, on sockets of the loopback: what becomes of it when the reader has ended its side. */

import t, { type Test } from 'tap'
import { libc, must } from '../../../src/ffi/ffi.ts'
import { AF_INET, sockaddr } from '../../../src/ffi/sockaddr.ts'
import { SHUT_WR, SOCK_NONBLOCK, SOCK_STREAM } from '../../../src/ffi/socket.ts'
import { BUFFER_BYTES, Half, type Tools } from '../../../src/proxy/stream/half.ts'
import type { Pipes } from '../../../src/proxy/stream/pipes.ts'
import { LOOPBACK } from '../../support/published.ts'

/** Nothing here is bulk: no pipe is borrowed. */
const tools: Tools = { buffer: new Uint8Array(BUFFER_BYTES), pipes: {} as Pipes }

/** Two sockets that are connected to each other. */
function pair(t: Test): [near: number, far: number] {
  const open = () => must('socket', libc.socket(AF_INET, SOCK_STREAM, 0))
  const [listener, near] = [open(), open()]
  const name = sockaddr(LOOPBACK, 0)
  const length = new Uint8Array(new Int32Array([name.length]).buffer)
  must('bind', libc.bind(listener, name, name.length))
  must('listen', libc.listen(listener, 1))
  must('getsockname', libc.getsockname(listener, name, length))
  must('connect', libc.connect(near, name, name.length))
  const far = must('accept4', libc.accept4(listener, null, null, SOCK_NONBLOCK))
  libc.close(listener)
  t.teardown(() => {
    for (const fd of [near, far]) libc.close(fd)
  })
  return [near, far]
}

/** A writer with something to say, to a reader that has ended: sending to it is EPIPE, as over SCTP. */
function scene(t: Test) {
  const [writer, from] = pair(t)
  const [to] = pair(t)
  libc.shutdown(to, SHUT_WR)
  const half = new Half()
  half.readable = true
  half.writable = true
  const write = (text: string) => must('send', libc.send(writer, Buffer.from(text), text.length, 0))
  return { half, from, to, writer, write }
}

t.test('of messages, what comes for a reader that has ended is dropped, up to the end', async t => {
  const { half, from, to, writer, write } = scene(t)
  write('late')
  t.equal(half.advance(from, to, tools, true), 'wait')
  t.match(half, { finished: false, moved: 0 })
  half.thaw({ ended: false, endPassed: false, pending: Buffer.from('held') })
  half.readable = true
  t.equal(half.advance(from, to, tools, true), 'wait', 'what was held as well')
  libc.shutdown(writer, SHUT_WR)
  half.readable = true
  t.equal(half.advance(from, to, tools, true), 'wait')
  t.match(half, { finished: true, moved: 0 })
})

t.test('a stream has failed then', async t => {
  const { half, from, to, write } = scene(t)
  write('late')
  t.equal(half.advance(from, to, tools, false), 'failed')
})

t.test('where nothing more can arrive, what is there is read, and it has ended', async t => {
  const { half, from, to, write } = scene(t)
  write('late')
  half.isLast = true
  t.equal(half.advance(from, to, tools, true), 'wait')
  t.ok(half.finished)
})
