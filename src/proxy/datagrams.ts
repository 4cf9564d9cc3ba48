/**
 * A batch of datagrams in memory that the kernel fills and sends from (recvmmsg(2), sendmmsg(2)).
 *
 * A slot has a buffer, and room for its sender's address and one control message (the address it was sent
 * to). Three arrays of struct mmsghdr look at the same buffers:
 *
 *     received   a name and a control message for each slot, the whole buffer
 *     forwards   no name, since the socket is connected; the bytes received
 *     replies    one name and one control message for all; the bytes received
 *
 * so that what came in goes out again from where it lies. Layouts are those of 64-bit Linux.
 */

import { addressOf, libc } from '../ffi/ffi.ts'
import { MSG_DONTWAIT, MSG_NOSIGNAL } from '../ffi/socket.ts'

/** Datagrams taken at once. */
export const SLOTS = 64
/** 32-bit words for a struct sockaddr, and for a struct cmsghdr with an in6_pktinfo. */
export const NAME_WORDS = 8
export const CONTROL_WORDS = 16

const BUFFER_BYTES = 65_536
const IOV_BYTES = 16
const HEADER_BYTES = 64

// struct mmsghdr, in 32-bit words.
const HEADER_WORDS = HEADER_BYTES / 4
const NAME = 0
const NAME_LENGTH = 2
const VECTOR = 4
const VECTOR_COUNT = 6
const CONTROL = 8
const CONTROL_LENGTH = 10
const LENGTH = 14

type Kind = 'forwards' | 'replies'

export class Datagrams {
  /** struct sockaddr of each sender. */
  readonly names: Int32Array
  /** struct cmsghdr of each slot, where the socket asks for one. */
  readonly controls: Int32Array
  /** Name and control message of all replies. */
  readonly replyName: Int32Array
  readonly replyControl: Int32Array
  readonly #received: Int32Array
  readonly #receivedBytes: Uint8Array
  readonly #replies: Int32Array
  /** Of what is sent, the length of each slot. */
  readonly #vectors: Int32Array
  /** What sendmmsg is given to begin with each slot. */
  readonly #from: Record<Kind, Uint8Array[]>
  /** Headers that the kernel has written to. */
  #used = SLOTS

  constructor() {
    const memory = new Memory(SLOTS * (3 * HEADER_BYTES + 2 * IOV_BYTES + BUFFER_BYTES + 4 * 32) + 128)
    const received = memory.words(SLOTS * HEADER_WORDS)
    const forwards = memory.words(SLOTS * HEADER_WORDS)
    const replies = memory.words(SLOTS * HEADER_WORDS)
    const incoming = memory.words(SLOTS * 4)
    const outgoing = memory.words(SLOTS * 4)
    this.names = memory.words(SLOTS * NAME_WORDS)
    this.controls = memory.words(SLOTS * CONTROL_WORDS)
    this.replyName = memory.words(NAME_WORDS)
    this.replyControl = memory.words(CONTROL_WORDS)
    const buffers = memory.words((SLOTS * BUFFER_BYTES) / 4)
    for (let slot = 0; slot < SLOTS; slot++) {
      const header = slot * HEADER_WORDS
      for (const vectors of [incoming, outgoing]) {
        memory.point(vectors, slot * 4, buffers, (slot * BUFFER_BYTES) / 4)
        vectors[slot * 4 + 2] = BUFFER_BYTES
      }
      for (const headers of [received, forwards, replies]) {
        memory.point(headers, header + VECTOR, headers === received ? incoming : outgoing, slot * 4)
        headers[header + VECTOR_COUNT] = 1
      }
      memory.point(received, header + NAME, this.names, slot * NAME_WORDS)
      memory.point(received, header + CONTROL, this.controls, slot * CONTROL_WORDS)
      memory.point(replies, header + NAME, this.replyName, 0)
      memory.point(replies, header + CONTROL, this.replyControl, 0)
    }
    this.#received = received
    this.#receivedBytes = bytesOf(received)
    this.#replies = replies
    this.#vectors = outgoing
    this.#from = { forwards: suffixes(forwards), replies: suffixes(replies) }
  }

  /** Takes what has arrived. @returns how many; −1 where the call failed, see errno */
  receive(fd: number): number {
    const headers = this.#received
    for (let slot = 0; slot < this.#used; slot++) {
      headers[slot * HEADER_WORDS + NAME_LENGTH] = NAME_WORDS * 4
      headers[slot * HEADER_WORDS + CONTROL_LENGTH] = CONTROL_WORDS * 4
    }
    const count = libc.recvmmsg(fd, this.#receivedBytes, SLOTS, MSG_DONTWAIT, null)
    this.#used = Math.max(count, 0)
    return count
  }

  /** Bytes in a slot. */
  length(slot: number): number {
    return this.#received[slot * HEADER_WORDS + LENGTH] ?? 0
  }

  /** Bytes of the control message that came with a slot. */
  controlLength(slot: number): number {
    return this.#received[slot * HEADER_WORDS + CONTROL_LENGTH] ?? 0
  }

  /** Sends slots to where a socket is connected. @returns how many could not be sent */
  forward(fd: number, first: number, count: number): number {
    return this.#send('forwards', fd, first, count)
  }

  /** Sends the first slots to `replyName`, from the address in `replyControl`. @returns as forward */
  reply(fd: number, count: number, nameBytes: number, controlBytes: number): number {
    for (let slot = 0; slot < count; slot++) {
      this.#replies[slot * HEADER_WORDS + NAME_LENGTH] = nameBytes
      this.#replies[slot * HEADER_WORDS + CONTROL_LENGTH] = controlBytes
    }
    return this.#send('replies', fd, 0, count)
  }

  #send(kind: Kind, fd: number, first: number, count: number): number {
    for (let slot = first; slot < first + count; slot++) this.#vectors[slot * 4 + 2] = this.length(slot)
    let lost = 0
    let again = false
    for (let done = 0; done < count; ) {
      const from = this.#from[kind][first + done] ?? null
      const sent = libc.sendmmsg(fd, from, count - done, MSG_DONTWAIT | MSG_NOSIGNAL)
      if (sent > 0) {
        done += sent
        again = false
      } else if (again) {
        lost++
        done++
        again = false
      } // The error may be that of an earlier datagram (ICMP): telling it cost this one its turn.
      else again = true
    }
    return lost
  }
}

/** One piece of memory, cut into arrays that may point at each other. */
class Memory {
  readonly #buffer: ArrayBuffer
  readonly #base: bigint
  #used = 0

  constructor(bytes: number) {
    this.#buffer = new ArrayBuffer(bytes)
    this.#base = addressOf(new Uint8Array(this.#buffer))
  }

  words(count: number): Int32Array {
    const words = new Int32Array(this.#buffer, this.#used, count)
    this.#used += Math.ceil(words.byteLength / 64) * 64
    return words
  }

  /** Writes a pointer to a word of another array. */
  point(words: Int32Array, at: number, target: Int32Array, index: number): void {
    const address = this.#base + BigInt(target.byteOffset + index * 4)
    words[at] = Number(BigInt.asIntN(32, address))
    words[at + 1] = Number(address >> 32n)
  }
}

const bytesOf = (words: Int32Array): Uint8Array =>
  new Uint8Array(words.buffer, words.byteOffset, words.byteLength)

/** The headers from each slot on. */
const suffixes = (headers: Int32Array): Uint8Array[] =>
  Array.from({ length: SLOTS }, (_, slot) => bytesOf(headers.subarray(slot * HEADER_WORDS)))
