/**
 * One direction of a connection: bytes from one socket to the other, and the end of the stream after them.
 *
 * Small messages are copied through one buffer that all share. A read that fills the buffer shows a bulk
 * transfer; from then on bytes go socket → pipe → socket by splice(2) and never reach this process, until
 * the bursts become small again.
 *
 * Nothing is read while the other side takes nothing, so a slow reader holds at most one buffer or one
 * pipe here, and the kernel slows the sender down.
 *
 * epoll reports changes only (EPOLLET): `readable` and `writable` remember what it said until a call shows
 * that it is no longer so. A short read empties the socket; after a hang-up that is not enough, as the end
 * of the stream, or the error, still has to be read.
 */

import { constants } from 'node:os'
import { errno, libc } from '../../ffi/ffi.ts'
import { MSG_NOSIGNAL } from '../../ffi/socket.ts'
import type { FrozenHalf } from '../frozen.ts'
import type { Pipe, Pipes } from './pipes.ts'

const SPLICE_F_MOVE = 1
const SPLICE_F_NONBLOCK = 2

/** Size of the shared buffer. */
export const BUFFER_BYTES = 65_536
/** Asked of each pipe, and moved by one splice at most. */
export const PIPE_BYTES = 1 << 20
/** A burst below this is copied: cheaper than a pipe. */
const SMALL_BYTES = 16_384
/** Moved in one turn before others get theirs. */
const TURN_BYTES = 1 << 20
const TURN_READS = 16

const { EAGAIN, EINTR, EPIPE } = constants.errno
/** The peer has shut the association down (net/sctp/sm_statefuns.c); Node has no name for it. */
const ESHUTDOWN = 108

/** Nothing to do until epoll says so; more to do in another turn; a socket failed. */
export type Progress = 'wait' | 'more' | 'failed'

/** What all halves of a worker share. */
export interface Tools {
  buffer: Uint8Array
  pipes: Pipes
}

export class Half {
  readable = false
  writable = false
  /** The peer has ended, reset or half-closed its side, or the socket failed. */
  hungUp = false
  /** All was passed on but the end, which the owner passes on by shutdown(2). */
  finished = false
  endPassed = false
  /** Nothing more can arrive: what is there is read, and then it has ended, which the kernel does not say. */
  isLast = false
  /** Bytes passed on since this was set to 0. */
  moved = 0
  #ended = false
  #bulk = false
  #pipe: Pipe | undefined
  #pending: Uint8Array | undefined

  /**
   * Moves what can be moved.
   * @param whole message sockets (SCTP) end each read at a message: no splice, and a short read says nothing; and
   *   they have no half-closed state (RFC 9260, 9): what comes for a peer that has ended its side is read and dropped,
   *   so that what that peer has sent arrives in whole
   */
  advance(from: number, to: number, tools: Tools, whole: boolean): Progress {
    let reads = 0
    const start = this.moved
    while (!this.finished) {
      if (this.#pending !== undefined || this.#pipe !== undefined) {
        const progress = this.writable ? this.#flush(to, tools, whole) : 'wait'
        if (progress !== 'more') return progress
        continue
      }
      if (this.#ended) {
        this.finished = true
        break
      }
      if (!this.readable || !this.writable) break
      if (++reads > TURN_READS || this.moved - start >= TURN_BYTES) return 'more'
      const progress = this.#bulk
        ? this.#splice(from, tools, this.moved > start)
        : this.#copy(from, to, tools, whole)
      if (progress === 'failed') return progress
    }
    return 'wait'
  }

  /** Gives back what was borrowed; bytes in flight are lost. */
  release(tools: Tools): void {
    if (this.#pipe !== undefined) tools.pipes.giveBack(this.#pipe)
    this.#pipe = undefined
    this.#pending = undefined
  }

  /** Stands still: what is in flight comes out as bytes. */
  freeze(tools: Tools): FrozenHalf {
    const pending = this.#pending ?? this.#drainPipe()
    this.release(tools)
    const { endPassed } = this
    return { ended: this.#ended, endPassed, ...(pending !== undefined && { pending }) }
  }

  /** Goes on from where another one stood still. */
  thaw({ ended, endPassed, pending }: FrozenHalf): void {
    this.#ended = ended
    this.#pending = pending
    this.endPassed = endPassed
    this.finished = ended && pending === undefined
    this.writable = true
  }

  #drainPipe(): Uint8Array | undefined {
    const pipe = this.#pipe
    if (pipe === undefined) return undefined
    const bytes = new Uint8Array(pipe.held)
    for (let at = 0; at < bytes.length; ) {
      const count = libc.read(pipe.read, bytes.subarray(at), bytes.length - at)
      if (count <= 0) break
      at += count
    }
    pipe.held = 0
    return bytes
  }

  #copy(from: number, to: number, tools: Tools, whole: boolean): Progress {
    const { buffer } = tools
    const count = libc.recv(from, buffer, BUFFER_BYTES, 0)
    if (count < 0) return this.#notRead()
    if (count === 0) {
      this.#ended = true
      return 'more'
    }
    if (count < BUFFER_BYTES) {
      if (!whole && !this.hungUp) this.readable = false
    } else if (!whole) this.#bulk = true
    const sent = libc.send(to, buffer, count, MSG_NOSIGNAL)
    if (sent < 0 && whole && hasEnded()) return 'more'
    if (sent < 0 && !this.#isFull()) return 'failed'
    const taken = Math.max(0, sent)
    this.moved += taken
    if (taken < count) {
      this.writable = false
      this.#pending = buffer.slice(taken, count)
    }
    return 'more'
  }

  #splice(from: number, tools: Tools, movedBefore: boolean): Progress {
    const pipe = tools.pipes.borrow()
    if (pipe === undefined) {
      this.#bulk = false // no descriptor left: copying needs none
      return 'more'
    }
    const count = libc.splice(from, null, pipe.write, null, PIPE_BYTES, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
    if (count > 0) {
      pipe.held = count
      this.#pipe = pipe
      if (count < SMALL_BYTES) this.#bulk = false
      return 'more'
    }
    const failure = count < 0 ? errno() : 0
    tools.pipes.giveBack(pipe)
    if (count === 0) this.#ended = true
    else if (failure === EAGAIN && movedBefore && !this.hungUp) this.readable = false
    // epoll said that there is something: an urgent byte stops splice for good, but not recv.
    else this.#bulk = false
    return failure === 0 || failure === EAGAIN || failure === EINTR ? 'more' : 'failed'
  }

  #flush(to: number, tools: Tools, whole: boolean): Progress {
    const pipe = this.#pipe
    const sent =
      pipe === undefined
        ? this.#sendPending(to)
        : libc.splice(pipe.read, null, to, null, pipe.held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
    if (sent < 0 && whole && hasEnded()) {
      this.#pending = undefined
      return 'more'
    }
    if (sent < 0) return this.#isFull() ? 'more' : 'failed'
    this.moved += sent
    if (pipe === undefined) return 'more'
    pipe.held -= sent
    if (pipe.held > 0) return 'more' // the next try says whether the socket is full
    this.#pipe = undefined
    tools.pipes.giveBack(pipe)
    return 'more'
  }

  #sendPending(to: number): number {
    const bytes = this.#pending ?? new Uint8Array(0)
    const sent = libc.send(to, bytes, bytes.length, MSG_NOSIGNAL)
    if (sent >= 0) this.#pending = sent < bytes.length ? bytes.subarray(sent) : undefined
    return sent
  }

  #notRead(): Progress {
    const failure = errno()
    if (failure === EAGAIN) {
      this.readable = false
      this.#ended = this.isLast
    }
    return failure === EAGAIN || failure === EINTR ? 'more' : 'failed'
  }

  /** After a failed send: the socket takes nothing for now. */
  #isFull(): boolean {
    const failure = errno()
    if (failure === EAGAIN) this.writable = false
    return failure === EAGAIN || failure === EINTR
  }
}

/** After a failed send over SCTP: the peer has ended the association in good order. After a reset errno says so. */
function hasEnded(): boolean {
  const failure = errno()
  return failure === EPIPE || failure === ESHUTDOWN
}
