/**
 * Questions as the kernel hands them over, many at once, and the answers in their place (recvmmsg(2), sendmmsg(2)).
 *
 *     received   struct mmsghdr of each slot: a name, the whole buffer
 *     answers    the same for an answer: that name again, as many bytes of the buffer as it has
 *     outbox     copies of those that there are, one behind the other
 *
 * All of it is made once. An answer is written over its question, whose number stays where it is.
 */

import { libc } from '../../ffi/ffi.ts'
import { bytesOf, Memory } from '../../ffi/reactor/memory.ts'
import {
  FLAGS,
  HEADER_WORDS,
  LENGTH,
  NAME,
  NAME_LENGTH,
  NAME_WORDS,
  VECTOR,
  VECTOR_COUNT,
  VECTOR_LENGTH,
  VECTOR_WORDS,
} from '../../ffi/reactor/message-layout.ts'
import { type Endpoint, readSockaddr } from '../../ffi/sockaddr.ts'
import { MSG_DONTWAIT, MSG_NOSIGNAL, MSG_TRUNC } from '../../ffi/socket.ts'

/** Questions taken at once. */
export const SLOTS = 32
/** What is longer is no question that anybody means; an answer over UDP is shorter still. */
export const LONGEST = 4096
/** Of the number that a question begins with. */
export const ID_BYTES = 2

export class Batch {
  /** struct sockaddr of each slot's sender. */
  readonly #names: Int32Array
  readonly #nameBytes: Uint8Array
  readonly #received: Int32Array
  readonly #receivedBytes: Uint8Array
  readonly #buffers: Buffer
  readonly #vectors: Int32Array
  readonly #answers: Int32Array[]
  readonly #outbox: Int32Array
  /** What sendmmsg is given to begin with each of them. */
  readonly #from: Uint8Array[]
  #used = SLOTS
  #count = 0

  constructor() {
    const words = 3 * HEADER_WORDS + 2 * VECTOR_WORDS + NAME_WORDS + LONGEST / 4
    const memory = new Memory(4 * SLOTS * words + 1024)
    this.#names = memory.words(SLOTS * NAME_WORDS)
    this.#nameBytes = bytesOf(this.#names)
    this.#received = memory.words(SLOTS * HEADER_WORDS)
    this.#receivedBytes = bytesOf(this.#received)
    const answers = memory.words(SLOTS * HEADER_WORDS)
    this.#outbox = memory.words(SLOTS * HEADER_WORDS)
    const incoming = memory.words(SLOTS * VECTOR_WORDS)
    this.#vectors = memory.words(SLOTS * VECTOR_WORDS)
    const buffers = memory.words((SLOTS * LONGEST) / 4)
    this.#buffers = Buffer.from(buffers.buffer, buffers.byteOffset, buffers.byteLength)
    for (let slot = 0; slot < SLOTS; slot++) {
      for (const [headers, vectors] of [
        [this.#received, incoming],
        [answers, this.#vectors],
      ] as const) {
        memory.point(vectors, slot * VECTOR_WORDS, buffers, (slot * LONGEST) / 4)
        vectors[slot * VECTOR_WORDS + VECTOR_LENGTH] = LONGEST
        memory.point(headers, slot * HEADER_WORDS + NAME, this.#names, slot * NAME_WORDS)
        memory.point(headers, slot * HEADER_WORDS + VECTOR, vectors, slot * VECTOR_WORDS)
        headers[slot * HEADER_WORDS + VECTOR_COUNT] = 1
      }
    }
    const each = Array.from({ length: SLOTS }, (_, slot) => slot * HEADER_WORDS)
    this.#answers = each.map(at => answers.subarray(at, at + HEADER_WORDS))
    this.#from = each.map(at => bytesOf(this.#outbox.subarray(at)))
  }

  /** Takes what has arrived. @returns how many; −1 for an error, see errno */
  receive(fd: number): number {
    for (let slot = 0; slot < this.#used; slot++)
      this.#received[slot * HEADER_WORDS + NAME_LENGTH] = NAME_WORDS * 4
    const count = libc.recvmmsg(fd, this.#receivedBytes, SLOTS, MSG_DONTWAIT, null)
    this.#used = Math.max(count, 0)
    return count
  }

  length(slot: number): number {
    return this.#received[slot * HEADER_WORDS + LENGTH] ?? 0
  }

  /** It was longer than there is room for. */
  isCut(slot: number): boolean {
    return ((this.#received[slot * HEADER_WORDS + FLAGS] ?? 0) & MSG_TRUNC) !== 0
  }

  /** Good until it is answered. */
  message(slot: number): Uint8Array {
    return this.#buffers.subarray(slot * LONGEST, slot * LONGEST + this.length(slot))
  }

  /** All of it but its number, a character for each byte. */
  text(slot: number): string {
    return this.#buffers.toString('latin1', slot * LONGEST + ID_BYTES, slot * LONGEST + this.length(slot))
  }

  sender(slot: number): Endpoint {
    const at = slot * NAME_WORDS * 4
    return readSockaddr(this.#nameBytes.subarray(at, at + NAME_WORDS * 4))
  }

  /** The sender's address: the same for the same. */
  senderKey(slot: number): number | string {
    const at = slot * NAME_WORDS
    const isShort = this.#received[slot * HEADER_WORDS + NAME_LENGTH] === 16
    return isShort ? (this.#names[at + 1] ?? 0) : this.#names.subarray(at + 2, at + 6).join()
  }

  /** @param tail of the answer: all of it but its number */
  answer(slot: number, tail: Uint8Array): void {
    const header = this.#answers[slot]
    if (header === undefined) return
    this.#buffers.set(tail, slot * LONGEST + ID_BYTES)
    this.#vectors[slot * VECTOR_WORDS + VECTOR_LENGTH] = ID_BYTES + tail.length
    header[NAME_LENGTH] = this.#received[slot * HEADER_WORDS + NAME_LENGTH] ?? 0
    this.#outbox.set(header, this.#count++ * HEADER_WORDS)
  }

  /** Sends the answers that there are. What finds no room or no way is lost, as datagrams are. */
  send(fd: number): void {
    for (let done = 0; done < this.#count; ) {
      const sent = libc.sendmmsg(
        fd,
        this.#from[done] ?? null,
        this.#count - done,
        MSG_DONTWAIT | MSG_NOSIGNAL,
      )
      done += Math.max(sent, 1)
    }
    this.#count = 0
  }
}
