/**
 * A kernel that plays a script: what it answers to the first request, to the second, and so on.
 *
 *     const kernel = new ScriptedKernel(request => [ack(request)])
 *     changeLink(new Netlink(kernel), …)
 *     kernel.requests[0]
 */

import { constants } from 'node:os'
import { SystemError } from '../../src/ffi/ffi.ts'
import { encodeAttribute } from '../../src/netlink/attributes.ts'
import { concatenate, s32, u32, zstr } from '../../src/netlink/codecs.ts'
import * as k from '../../src/netlink/constants.ts'
import { describe } from '../../src/netlink/describe.ts'
import { eachMessage, encodeMessage, type Message } from '../../src/netlink/message.ts'
import type { Transport } from '../../src/netlink/socket.ts'

/** What one `receive` meets: a datagram, or an error of the socket. */
type Event = Uint8Array | Error
export type Turn = (request: Message) => Event[]
type ErrnoName = keyof typeof constants.errno

export class ScriptedKernel implements Transport {
  readonly requests: Message[] = []
  /** How many were sent; several messages may be one. */
  datagrams = 0
  disposed = 0
  isQuiet?: boolean
  readonly #turns: Turn[]
  readonly #events: Event[] = []

  constructor(...turns: Turn[]) {
    this.#turns = turns
  }

  send(datagram: Uint8Array): void {
    this.datagrams++
    for (const request of eachMessage(datagram)) {
      const turn = this.#turns.shift()
      if (turn === undefined) throw new Error(`nothing is left to answer:\n${describe(datagram)}`)
      this.requests.push(request)
      this.#events.push(...turn(request))
    }
  }

  receive(_wait: boolean): Uint8Array {
    const event = this.#events.shift() ?? systemError('EAGAIN')
    if (event instanceof Error) throw event
    return event
  }

  poll(): Uint8Array | undefined {
    return this.#events.length === 0 ? undefined : this.receive(false)
  }

  /** Puts something into the socket that nobody asked for. */
  leave(...events: Event[]): void {
    this.#events.push(...events)
  }

  [Symbol.dispose](): void {
    this.disposed++
  }
}

export const systemError = (code: ErrnoName): SystemError => new SystemError('recv', constants.errno[code])

/** An object in answer to a request. */
export const object = (request: Message, payload: Uint8Array, flags = 0): Uint8Array =>
  encodeMessage({ type: request.type & ~3, flags, sequence: request.sequence, port: 1, payload })

/** One part of a dump. */
export const part = (request: Message, payload: Uint8Array, flags = 0): Uint8Array =>
  object(request, payload, k.NLM_F_MULTI | flags)

/** The plain acknowledgement. */
export const ack = (request: Message): Uint8Array => verdict(request, k.NLMSG_ERROR, 0)

/** No, in the kernel's own words where it has some; the request is quoted unless the answer is capped. */
export const refusal = (request: Message, code: ErrnoName, text?: string, capped = true): Uint8Array =>
  verdict(request, k.NLMSG_ERROR, constants.errno[code], text, capped)

/** No, because of what stands at a place of the request. */
export const refusalAt = (request: Message, code: ErrnoName, offset?: number, text?: string): Uint8Array =>
  verdict(request, k.NLMSG_ERROR, constants.errno[code], text, true, offset)

/** The end of a dump. */
export const done = (request: Message, code?: ErrnoName, text?: string): Uint8Array =>
  verdict(request, k.NLMSG_DONE, code === undefined ? 0 : constants.errno[code], text)

function verdict(
  request: Message,
  type: number,
  errno: number,
  text?: string,
  capped = true,
  offset?: number,
): Uint8Array {
  const quote = type === k.NLMSG_ERROR ? encodeMessage(request) : new Uint8Array(0)
  const payload = concatenate([
    s32.encode(-errno),
    capped ? quote.subarray(0, 16) : quote,
    ...(text === undefined ? [] : [encodeAttribute(1, zstr.encode(text))]),
    ...(offset === undefined ? [] : [encodeAttribute(2, u32.encode(offset))]),
  ])
  const flags =
    (text === undefined && offset === undefined ? 0 : k.NLM_F_ACK_TLVS) | (capped ? k.NLM_F_CAPPED : 0)
  return encodeMessage({ type, flags, sequence: request.sequence, port: 1, payload })
}
