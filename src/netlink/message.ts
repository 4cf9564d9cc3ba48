/**
 * Netlink messages as bytes: headers, and what the kernel says of a failure.
 *
 * Source: linux/netlink.h (struct nlmsghdr, struct nlmsgerr, enum nlmsgerr_attrs).
 */

import { present } from '../model/present.ts'
import { attributes } from './attributes.ts'
import { MalformedError, u32, viewOf, zstr } from './codecs.ts'
import { NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_DONE } from './constants.ts'

export interface Message {
  type: number
  flags: number
  sequence: number
  /** The kernel writes here the port of the socket it answers. */
  port: number
  payload: Uint8Array
}

const HEADER = 16
const align = (length: number): number => (length + 3) & ~3

/** struct nlmsghdr and payload. */
export function encodeMessage(message: Message): Uint8Array {
  const bytes = new Uint8Array(HEADER + message.payload.length)
  const header = new DataView(bytes.buffer)
  header.setUint32(0, bytes.length, true)
  header.setUint16(4, message.type, true)
  header.setUint16(6, message.flags, true)
  header.setUint32(8, message.sequence, true)
  header.setUint32(12, message.port, true)
  bytes.set(message.payload, HEADER)
  return bytes
}

/** How long the message is that begins there. */
export const lengthAt = (datagram: Uint8Array, at: number): number => viewOf(datagram).getUint32(at, true)

/** Sets flags of the message that begins there. */
export function addFlags(datagram: Uint8Array, at: number, flags: number): void {
  const view = viewOf(datagram)
  view.setUint16(at + 6, view.getUint16(at + 6, true) | flags, true)
}

/** Gives the messages of a datagram numbers from `first` on. @returns how many there are */
export function numberMessages(datagram: Uint8Array, first: number): number {
  const view = viewOf(datagram)
  let count = 0
  for (let at = 0; at < datagram.length; at += align(view.getUint32(at, true))) {
    view.setUint32(at + 8, (first + count++) >>> 0, true)
  }
  return count
}

/** The messages of one datagram. @throws MalformedError */
export function* eachMessage(bytes: Uint8Array): Generator<Message> {
  const header = viewOf(bytes)
  let offset = 0
  while (offset < bytes.length) {
    if (bytes.length - offset < HEADER) throw new MalformedError('a message header is cut short')
    const length = header.getUint32(offset, true)
    if (length < HEADER || offset + length > bytes.length) {
      throw new MalformedError(`a message of ${length} bytes does not fit`)
    }
    yield {
      type: header.getUint16(offset + 4, true),
      flags: header.getUint16(offset + 6, true),
      sequence: header.getUint32(offset + 8, true),
      port: header.getUint32(offset + 12, true),
      payload: bytes.subarray(offset + HEADER, offset + length),
    }
    offset += align(length)
  }
}

/** How the kernel closed a request. `errno` 0: done. */
export interface Verdict {
  errno: number
  /** The kernel's own words, where it has some. */
  text?: string
  /** Where in the request the attribute is that it did not like, in bytes from the beginning of its header. */
  offset?: number
}

const extendedAck = attributes({
  text: [1, zstr], // NLMSGERR_ATTR_MSG
  offset: [2, u32], // NLMSGERR_ATTR_OFFS
})

/** Reads NLMSG_ERROR (also a plain acknowledgement) or the NLMSG_DONE of a dump. @throws MalformedError */
export function readVerdict(message: Message): Verdict {
  const done = message.type === NLMSG_DONE
  const { payload } = message
  if (payload.length < 4) {
    // A dump of an old kernel may end without a word.
    if (done) return { errno: 0 }
    throw new MalformedError('an error message is cut short')
  }
  const view = viewOf(payload)
  const errno = -view.getInt32(0, true)
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return { errno }
  let start = 4
  if (!done) {
    if (payload.length < 4 + HEADER) throw new MalformedError('an error message is cut short')
    // The failed request is quoted: its header, and its payload unless the reply is capped.
    start = (message.flags & NLM_F_CAPPED) !== 0 ? 4 + HEADER : 4 + align(view.getUint32(4, true))
  }
  const { text, offset } = extendedAck.decode(payload.subarray(Math.min(start, payload.length)))
  return present({ errno, text, offset })
}
