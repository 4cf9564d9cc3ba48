/**
 * The way out of a batch of datagrams: an array of struct mmsghdr over its slots.
 *
 * Neighbours of one length go as one message with UDP_SEGMENT: the kernel carries it as one packet past
 * routes, bridges and firewalls, and cuts it where the receiver takes it (a third of the time for small
 * ones). Where a path does not bear that (a smaller MTU, a device without checksums), each goes by itself
 * from then on.
 */

import { constants } from 'node:os'
import { errno, libc } from '../../ffi/ffi.ts'
import { bytesOf, type Memory } from '../../ffi/reactor/memory.ts'
import {
  CONTROL,
  CONTROL_LENGTH,
  CONTROL_WORDS,
  HEADER_WORDS,
  NAME,
  NAME_LENGTH,
  NAME_WORDS,
  SLOTS,
  VECTOR,
  VECTOR_COUNT,
  VECTOR_LENGTH,
  VECTOR_WORDS,
} from '../../ffi/reactor/message-layout.ts'
import { IPPROTO_UDP, MSG_DONTWAIT, MSG_NOSIGNAL, UDP_SEGMENT } from '../../ffi/socket.ts'

/** Longest that is tried to go with others: what fits into an Ethernet frame. */
const SEGMENT_BYTES = 1472
/** Of a message in all. */
const MESSAGE_BYTES = 65_000
// struct cmsghdr with an uint16_t: its length, the bytes it takes, its words.
const CUT_LENGTH = 18
const CUT_BYTES = 24
const CUT_WORDS = CUT_BYTES / 4

const NOT_BORNE = new Set([constants.errno.EINVAL, constants.errno.EIO, constants.errno.EMSGSIZE])

/** Where datagrams go. */
export interface Route {
  readonly fd: number
  /** Neighbours of one length go as one message. */
  segments: boolean
}

export class Outbox {
  /** Name and control message of all; of the latter as many bytes as `send` is told. */
  readonly name: Int32Array
  readonly control: Int32Array
  readonly #headers: Int32Array
  readonly #vectors: Int32Array
  /** What sendmmsg is given to begin with each slot. */
  readonly #from: Uint8Array[]

  /** @param vectors struct iovec of each slot */
  constructor(memory: Memory, vectors: Int32Array) {
    this.name = memory.words(NAME_WORDS)
    this.control = memory.words(CONTROL_WORDS + CUT_WORDS)
    this.#headers = memory.words(SLOTS * HEADER_WORDS)
    this.#vectors = vectors
    this.#from = []
    for (let slot = 0; slot < SLOTS; slot++) {
      const header = slot * HEADER_WORDS
      memory.point(this.#headers, header + NAME, this.name, 0)
      memory.point(this.#headers, header + VECTOR, vectors, slot * VECTOR_WORDS)
      memory.point(this.#headers, header + CONTROL, this.control, 0)
      this.#headers[header + VECTOR_COUNT] = 1
      this.#from.push(bytesOf(this.#headers.subarray(header)))
    }
  }

  setLength(slot: number, bytes: number): void {
    this.#vectors[slot * VECTOR_WORDS + VECTOR_LENGTH] = bytes
  }

  /**
   * Sends slots.
   * @param nameBytes 0 on a connected socket
   * @param controlBytes of `control`, a multiple of 8
   * @returns how many could not be sent
   */
  send(route: Route, first: number, count: number, nameBytes = 0, controlBytes = 0): number {
    for (let slot = first; slot < first + count; slot++) {
      this.#headers[slot * HEADER_WORDS + NAME_LENGTH] = nameBytes
      this.#headers[slot * HEADER_WORDS + CONTROL_LENGTH] = controlBytes
    }
    let lost = 0
    for (let at = first; at < first + count; ) {
      const alike = route.segments ? this.#alike(at, first + count) : first + count - at
      if (!route.segments || alike === 1 || !this.#sendAsOne(route, at, alike, controlBytes)) {
        lost += this.#sendEach(route.fd, at, alike)
      }
      at += alike
    }
    return lost
  }

  #length(slot: number): number {
    return this.#vectors[slot * VECTOR_WORDS + VECTOR_LENGTH] ?? 0
  }

  /** How many from here on have one length, as far as they fit into one message. */
  #alike(first: number, end: number): number {
    const bytes = this.#length(first)
    if (bytes === 0 || bytes > SEGMENT_BYTES) return 1
    const limit = Math.min(end, first + Math.floor(MESSAGE_BYTES / bytes))
    let slot = first + 1
    while (slot < limit && this.#length(slot) === bytes) slot++
    return slot - first
  }

  /** @returns false where nothing was sent */
  #sendAsOne(route: Route, first: number, count: number, controlBytes: number): boolean {
    const header = first * HEADER_WORDS
    const cut = controlBytes / 4
    this.control[cut] = CUT_LENGTH
    this.control[cut + 1] = 0
    this.control[cut + 2] = IPPROTO_UDP
    this.control[cut + 3] = UDP_SEGMENT
    this.control[cut + 4] = this.#length(first)
    this.#headers[header + VECTOR_COUNT] = count
    this.#headers[header + CONTROL_LENGTH] = controlBytes + CUT_BYTES
    const sent = libc.sendmmsg(route.fd, this.#from[first] ?? null, 1, MSG_DONTWAIT | MSG_NOSIGNAL)
    this.#headers[header + VECTOR_COUNT] = 1
    this.#headers[header + CONTROL_LENGTH] = controlBytes
    if (sent < 0 && NOT_BORNE.has(errno())) route.segments = false
    return sent > 0
  }

  /** @returns how many could not be sent */
  #sendEach(fd: number, first: number, count: number): number {
    let lost = 0
    let again = false
    for (let done = 0; done < count; ) {
      const from = this.#from[first + done] ?? null
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
