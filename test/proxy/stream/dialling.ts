/** A client whose target is being connected to when all shall stand still. The loop is never run: nobody has heard yet. */

import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import { libc, must } from '../../../src/ffi/ffi.ts'
import { EPOLLIN } from '../../../src/ffi/reactor/reactor.ts'
import { AF_INET, readSockaddr, sockaddr } from '../../../src/ffi/sockaddr.ts'
import { counterTable } from '../../../src/proxy/counters.ts'
import { closeFrozen, type FrozenClient } from '../../../src/proxy/frozen.ts'
import { defaultOptions } from '../../../src/proxy/publication.ts'
import { StreamService } from '../../../src/proxy/stream/stream.ts'
import { DataPlane } from '../../../src/proxy/worker/plane.ts'
import { LOOPBACK } from '../../support/published.ts'
import { readAll, serve } from '../../support/streams.ts'

const SOCK_STREAM_NONBLOCK = 1 | 0x80800

/** A listening socket whose queue takes one more than `backlog`. */
function listening(backlog: number): { fd: number; port: number } {
  const fd = must('socket', libc.socket(AF_INET, SOCK_STREAM_NONBLOCK, 0))
  const address = sockaddr(LOOPBACK, 0)
  must('bind', libc.bind(fd, address, address.length))
  must('listen', libc.listen(fd, backlog))
  libc.getsockname(fd, address, new Uint8Array(new Int32Array([address.length]).buffer))
  return { fd, port: readSockaddr(address).port }
}

/** A client whose target is dialled, and then all stands still. */
async function frozenWhileDialling(t: Test, target: number): Promise<FrozenClient[]> {
  const door = listening(16)
  const plane = new DataPlane(new SharedArrayBuffer(1 << 16), thrown => t.fail(String(thrown)))
  const service = new StreamService(plane, {
    id: 'web',
    protocol: 'tcp',
    count: 1,
    sockets: Int32Array.of(door.fd),
    destinations: [{ kind: 'ip', domain: AF_INET, address: sockaddr(LOOPBACK, target), netns: undefined }],
    options: { ...defaultOptions, proxyProtocol: 1 },
    counters: [counterTable(1)],
    worker: 0,
    frozen: false,
  })
  const client = connect(door.port, LOOPBACK)
  t.teardown(() => client.destroy())
  await once(client, 'connect')
  service.ready(door.fd, EPOLLIN, 0)
  const frozen = service.freeze().map(each => ({ ...each, id: 'web' }))
  t.equal(service.active, 0)
  libc.close(door.fd)
  return frozen
}

t.test('a target that has answered goes along, and knows its client', async t => {
  await using server = await serve(() => {})
  const frozen = await frozenWhileDialling(t, server.port)
  t.match(frozen, [{ kind: 'connection', client: Number, target: Number }])
  closeFrozen(frozen)
  const asked = await waitFor(() => server.sockets[0], { what: 'the target to be asked' })
  t.match(String(await readAll(asked)), /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\n$/)
})

t.test('one that has not answered is forgotten, and may be another next time', async t => {
  const full = listening(0)
  t.teardown(() => libc.close(full.fd))
  const first = connect(full.port, LOOPBACK)
  t.teardown(() => first.destroy())
  await once(first, 'connect')
  const frozen = await frozenWhileDialling(t, full.port)
  t.match(frozen, [{ kind: 'connection', client: Number }])
  t.notOk('target' in (frozen[0] ?? {}))
  closeFrozen(frozen)
})
