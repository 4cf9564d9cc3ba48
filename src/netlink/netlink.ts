/**
 * Conversations with the kernel over netlink.
 *
 * Three floors, each usable and tested alone:
 *
 *     bytes          codecs.ts, attributes.ts, message.ts      tables ⇄ bytes
 *     conversation   this file                      send, receive, check, retry
 *     objects        link.ts, add-link.ts, bridge-port.ts, address.ts,
 *                                                   route.ts, neighbour.ts, qdisc.ts
 *                                                   one function = one conversation = plain value
 *
 * Everything is synchronous: the kernel answers a request while it is being sent, so there is nothing to
 * wait for. A socket belongs to the namespace it was opened in and may be used from anywhere.
 *
 * A conversation asks for extended acknowledgements (the kernel's own words become part of the error) and
 * for strict checking (a filter the kernel does not know is an error, not ignored). A dump that the kernel
 * marks as interrupted (NLM_F_DUMP_INTR) or that overran the socket (ENOBUFS) is asked for again, so what
 * comes back is one consistent picture. Answers to other sequence numbers are left-overs and are dropped.
 *
 * Every request carries the `ip` or `tc` command that would do the same; it names the operation in errors
 * and is what `--verbose` prints.
 */

import { Fd } from '../ffi/fd.ts'
import { errno, errnoName, libc, must, SystemError } from '../ffi/ffi.ts'
import { concatenate } from './codecs.ts'
import * as k from './constants.ts'
import { eachMessage, encodeMessage, type Message, readVerdict, type Verdict } from './message.ts'

/** A socket, or in tests a script, that carries datagrams to the kernel and back. */
export interface Transport extends Disposable {
  send(datagram: Uint8Array): void
  /** The next datagram; valid until the next call. @throws SystemError `ENOBUFS` after an overrun */
  receive(): Uint8Array
}

export interface Request {
  /** The command line that does the same: `ip link set web up`. */
  equivalent: string
  type: number
  /** Beside NLM_F_REQUEST and what the method adds. */
  flags?: number
  /** The family's header and attributes, encoded. */
  payload: readonly Uint8Array[]
}

/** The kernel refused a request. `code` is errno's name. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError'
  readonly operation: string
  readonly errno: number
  readonly code: string

  constructor(operation: string, verdict: Verdict) {
    const code = errnoName(verdict.errno)
    super(`${operation}: ${verdict.text === undefined ? code : `${verdict.text} (${code})`}`)
    this.operation = operation
    this.errno = verdict.errno
    this.code = code
  }
}

/** How often an interrupted dump is asked for again before giving up. */
const DUMP_ATTEMPTS = 20

export class Netlink implements Disposable {
  readonly #transport: Transport
  readonly #trace: ((equivalent: string) => void) | undefined
  #sequence = 0

  /** @param trace hears the equivalent command of every change */
  constructor(transport: Transport, trace?: (equivalent: string) => void) {
    this.#transport = transport
    this.#trace = trace
  }

  /** Asks for a change and waits for the acknowledgement. @throws NetlinkError */
  change(request: Request): void {
    this.#trace?.(request.equivalent)
    this.#send(request, k.NLM_F_ACK)
    this.#collect(request, () => {})
  }

  /** Asks for one object. @throws NetlinkError, such as `ENODEV` */
  get(request: Request): Message {
    let reply: Message | undefined
    this.#send(request, k.NLM_F_ACK)
    this.#collect(request, message => {
      reply ??= { ...message, payload: message.payload.slice() }
    })
    if (reply === undefined) throw new NetlinkError(request.equivalent, { errno: 61 }) // ENODATA
    return reply
  }

  /** Asks for all objects, as one consistent picture. @throws NetlinkError */
  dump(request: Request): Message[] {
    for (let attempt = 1; ; attempt++) {
      const replies: Message[] = []
      this.#send(request, k.NLM_F_DUMP)
      const whole = this.#collect(request, message => {
        replies.push({ ...message, payload: message.payload.slice() })
      })
      if (whole) return replies
      if (attempt === DUMP_ATTEMPTS)
        throw new NetlinkError(request.equivalent, { errno: 4, text: 'the dump was interrupted every time' })
    }
  }

  [Symbol.dispose](): void {
    this.#transport[Symbol.dispose]()
  }

  #send(request: Request, flags: number): void {
    this.#sequence = (this.#sequence + 1) >>> 0
    this.#transport.send(
      encodeMessage({
        type: request.type,
        flags: k.NLM_F_REQUEST | flags | (request.flags ?? 0),
        sequence: this.#sequence,
        port: 0,
        payload: concatenate(request.payload),
      }),
    )
  }

  /** Hands over every object of the answer until the kernel's verdict. False: the picture has holes. */
  #collect(request: Request, take: (message: Message) => void): boolean {
    let whole = true
    for (;;) {
      let datagram: Uint8Array
      try {
        datagram = this.#transport.receive()
      } catch (thrown) {
        if (!(thrown instanceof SystemError) || thrown.code !== 'ENOBUFS') throw thrown
        whole = false
        continue
      }
      for (const message of eachMessage(datagram)) {
        if (message.sequence !== this.#sequence) continue
        if ((message.flags & k.NLM_F_DUMP_INTR) !== 0) whole = false
        if (message.type === k.NLMSG_ERROR || message.type === k.NLMSG_DONE) {
          const verdict = readVerdict(message, message.type === k.NLMSG_ERROR ? 'error' : 'done')
          if (verdict.errno !== 0) throw new NetlinkError(request.equivalent, verdict)
          return whole
        }
        if (message.type !== k.NLMSG_NOOP) take(message)
      }
    }
  }
}

const SOCK_RAW = 3
const SOCK_CLOEXEC = 0x80000
const SOL_SOCKET = 1
const SO_RCVTIMEO = 20
const MSG_TRUNC = 0x20
const RECEIVE_TIMEOUT_S = 10

/** A kernel socket in the current namespace. @throws SystemError */
function openTransport(protocol: number): Transport {
  const fd = new Fd(must('socket', libc.socket(k.AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)))
  for (const option of [k.NETLINK_EXT_ACK, k.NETLINK_CAP_ACK, k.NETLINK_GET_STRICT_CHK]) {
    const on = Uint8Array.of(1, 0, 0, 0)
    must('setsockopt', libc.setsockopt(fd.number, k.SOL_NETLINK, option, on, on.length))
  }
  const timeout = new BigInt64Array([BigInt(RECEIVE_TIMEOUT_S), 0n]) // struct timeval
  must('setsockopt', libc.setsockopt(fd.number, SOL_SOCKET, SO_RCVTIMEO, new Uint8Array(timeout.buffer), 16))
  // The kernel builds dumps in pieces of at most 32 KiB.
  const buffer = new Uint8Array(64 * 1024)
  return {
    send: datagram => void must('send', libc.send(fd.number, datagram, datagram.length, 0)),
    receive() {
      for (;;) {
        const length = libc.recv(fd.number, buffer, buffer.length, MSG_TRUNC)
        if (length > buffer.length) throw new SystemError('recv', 90) // EMSGSIZE
        if (length >= 0) return buffer.subarray(0, length)
        if (errnoName(errno()) !== 'EINTR') throw new SystemError('recv', errno())
      }
    },
    [Symbol.dispose]: () => fd.close(),
  }
}

/**
 * Opens a conversation with the namespace this thread is in.
 * @param protocol NETLINK_ROUTE (links, addresses, routes) or NETLINK_NETFILTER
 */
export const openNetlink = (
  trace?: (equivalent: string) => void,
  protocol: number = k.NETLINK_ROUTE,
): Netlink => new Netlink(openTransport(protocol), trace)
