/** Asks a name server from a socket of its own, in the loop of the thread at the front. */

import { libc, must } from '../../ffi/ffi.ts'
import { randomBytes } from '../../ffi/random.ts'
import { EPOLLIN, type Reactor, type Source } from '../../ffi/reactor/reactor.ts'
import type { Timed } from '../../ffi/reactor/timers.ts'
import { domainOf, sockaddr } from '../../ffi/sockaddr.ts'
import { MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_NONBLOCK, socketKinds } from '../../ffi/socket.ts'
import { readAnswer, type Said, type Try, type Way } from '../forward.ts'
import { printQuery } from '../print.ts'
import type { Query } from '../query.ts'

/** Whatever an answer is as long as. */
const buffer = new Uint8Array(0x10000)

export const overUdp =
  (reactor: Reactor): Way =>
  (query, attempt) =>
    new Promise(resolve => new Inquiry(reactor, query, attempt, resolve).begin())

class Inquiry implements Source, Timed {
  wakeAt = 0
  heapIndex = -1
  readonly #reactor: Reactor
  readonly #query: Query
  readonly #try: Try
  readonly #done: (said: Said | undefined) => void
  readonly #id = new DataView(randomBytes(2).buffer).getUint16(0)
  #fd = -1

  constructor(reactor: Reactor, query: Query, attempt: Try, done: (said: Said | undefined) => void) {
    this.#reactor = reactor
    this.#query = query
    this.#try = attempt
    this.#done = done
  }

  /** The socket is connected, so nothing reaches it but what the server sent, or that nobody is there. */
  begin(): void {
    const { server, port, withinMs } = this.#try
    const [type, protocol] = socketKinds.udp
    try {
      this.#fd = must('socket', libc.socket(domainOf(server), type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol))
      this.#reactor.descriptors.own(this.#fd)
      const to = sockaddr(server, port)
      must('connect', libc.connect(this.#fd, to, to.length))
      this.#reactor.add(this.#fd, EPOLLIN, this, 0)
      const bytes = printQuery(this.#query, this.#id, 'udp')
      must('send', Number(libc.send(this.#fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL)))
      this.#reactor.timers.set(this, performance.now() + withinMs)
    } catch {
      // No way there, or no descriptor left: as if it did not answer.
      this.#end(undefined)
    }
  }

  ready(fd: number): void {
    const length = Number(libc.recv(fd, buffer, buffer.length, MSG_DONTWAIT))
    if (length < 0) {
      this.#end(undefined)
      return
    }
    const said = readAnswer(new Uint8Array(buffer.subarray(0, length)), this.#query, this.#id)
    if (said !== undefined) this.#end(said)
  }

  expire(): void {
    this.#end(undefined)
  }

  fail(): void {
    this.#end(undefined)
  }

  #end(said: Said | undefined): void {
    this.#reactor.timers.clear(this)
    if (this.#fd >= 0) this.#reactor.close(this.#fd)
    this.#fd = -1
    this.#done(said)
    this.#reactor.letNode()
  }
}
