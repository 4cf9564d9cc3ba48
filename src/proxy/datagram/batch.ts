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

import { libc } from '../../ffi/ffi.ts'
import { bytesOf, Memory } from '../../ffi/reactor/memory.ts'
import {
  CONTROL,
  CONTROL_LENGTH,
  CONTROL_WORDS,
  HEADER_WORDS,
  LENGTH,
  NAME,
  NAME_LENGTH,
  NAME_WORDS,
  SLOTS,
  VECTOR,
  VECTOR_COUNT,
  VECTOR_LENGTH,
  VECTOR_WORDS,
} from '../../ffi/reactor/message-layout.ts'
import { MSG_DONTWAIT } from '../../ffi/socket.ts'
import { Outbox } from './outbox.ts'

const BUFFER_BYTES = 65_536

export class Datagrams {
  /** struct sockaddr of each sender. */
  readonly names: Int32Array
  /** struct cmsghdr of each slot, where the socket asks for one. */
  readonly controls: Int32Array
  readonly forwards: Outbox
  readonly replies: Outbox
  readonly #received: Int32Array
  readonly #receivedBytes: Uint8Array
  /** Headers that the kernel has written to. */
  #used = SLOTS

  constructor() {
    const perSlot = 3 * HEADER_WORDS + 2 * VECTOR_WORDS + NAME_WORDS + CONTROL_WORDS + BUFFER_BYTES / 4
    const memory = new Memory(4 * SLOTS * perSlot + 1024)
    this.names = memory.words(SLOTS * NAME_WORDS)
    this.controls = memory.words(SLOTS * CONTROL_WORDS)
    this.#received = memory.words(SLOTS * HEADER_WORDS)
    this.#receivedBytes = bytesOf(this.#received)
    const incoming = memory.words(SLOTS * VECTOR_WORDS)
    const outgoing = memory.words(SLOTS * VECTOR_WORDS)
    const buffers = memory.words((SLOTS * BUFFER_BYTES) / 4)
    for (let slot = 0; slot < SLOTS; slot++) {
      for (const vectors of [incoming, outgoing]) {
        memory.point(vectors, slot * VECTOR_WORDS, buffers, (slot * BUFFER_BYTES) / 4)
        vectors[slot * VECTOR_WORDS + VECTOR_LENGTH] = BUFFER_BYTES
      }
      const header = slot * HEADER_WORDS
      memory.point(this.#received, header + NAME, this.names, slot * NAME_WORDS)
      memory.point(this.#received, header + VECTOR, incoming, slot * VECTOR_WORDS)
      memory.point(this.#received, header + CONTROL, this.controls, slot * CONTROL_WORDS)
      this.#received[header + VECTOR_COUNT] = 1
    }
    this.forwards = new Outbox(memory, outgoing)
    this.replies = new Outbox(memory, outgoing)
  }

  /** Takes what has arrived, and makes it ready to be sent. @returns how many; −1 for an error, see errno */
  receive(fd: number): number {
    const headers = this.#received
    for (let slot = 0; slot < this.#used; slot++) {
      headers[slot * HEADER_WORDS + NAME_LENGTH] = NAME_WORDS * 4
      headers[slot * HEADER_WORDS + CONTROL_LENGTH] = CONTROL_WORDS * 4
    }
    const count = libc.recvmmsg(fd, this.#receivedBytes, SLOTS, MSG_DONTWAIT, null)
    this.#used = Math.max(count, 0)
    for (let slot = 0; slot < this.#used; slot++) this.forwards.setLength(slot, this.length(slot))
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
}
