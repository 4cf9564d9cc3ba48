/**
 * The loop of a thread that does nothing else: waits for descriptors with epoll, hands each event to whoever owns the
 * descriptor, then lets those go on who have more to do, then wakes those whose deadline has come.
 *
 * An event carries the generation of its descriptor's number. A number that was closed and given out again
 * while a batch of events is worked through does not get the events of its predecessor.
 *
 * A source that throws loses its turn and is told to give up; nobody else notices.
 *
 * A thread that runs it is told by commands.ts what to do, and by descriptors.ts somebody else can close what it leaves
 * open. memory.ts and message-layout.ts are for calls that take many messages at once.
 */

import { constants } from 'node:os'
import { errno, libc, must, SystemError } from '../ffi.ts'
import type { Descriptors } from './descriptors.ts'
import { type Timed, Timers } from './timers.ts'

export const EPOLLIN = 0x1
export const EPOLLOUT = 0x4
export const EPOLLERR = 0x8
export const EPOLLHUP = 0x10
export const EPOLLRDHUP = 0x2000
export const EPOLLET = 0x80000000

const EPOLL_CLOEXEC = 0x80000
const EPOLL_CTL_ADD = 1
const EPOLL_CTL_DEL = 2
const EPOLL_CTL_MOD = 3

/** Events taken at once. */
const BATCH = 512
// struct epoll_event is packed on x86-64 and nowhere else.
const PACKED = process.arch === 'x64'
const EVENT_INTS = PACKED ? 3 : 4
const DATA_INT = PACKED ? 1 : 2

const TAG_BITS = 24
const MAX_TAG = (1 << TAG_BITS) - 1
/** An idle loop looks up this often, for a process that ends in a hurry. */
const LONGEST_WAIT_MS = 5_000

/** How long what waits for a lull waits at most. */
const LULL_MS = 1

const { EINTR } = constants.errno

/** The owner of descriptors. */
export interface Source {
  /**
   * Something happened. `tag` is what the owner gave at `add`.
   * @param events EPOLLIN, EPOLLOUT …
   */
  ready(fd: number, events: number, tag: number): void
  /** It threw. Ends what it stands for, without a further word. */
  fail(): void
}

/** Somebody with more to do than fits in one turn. */
export interface Task {
  resume(): void
  fail(): void
}

export class Reactor {
  readonly timers = new Timers()
  readonly descriptors: Descriptors
  /** A clock in ms that stands still during a turn. */
  now = performance.now()
  readonly #epoll: number
  readonly #onFault: (thrown: unknown) => void
  readonly #events = new Int32Array(EVENT_INTS * BATCH)
  readonly #eventBytes = new Uint8Array(this.#events.buffer)
  readonly #event = new Int32Array(EVENT_INTS)
  readonly #oneEvent = new Uint8Array(this.#event.buffer)
  readonly #sources: (Source | undefined)[] = []
  readonly #generations: number[] = []
  #again: Task[] = []
  #later: { task: Task; by: number } | undefined
  #stopped = false
  #isNodes = false

  /** @param onFault is told what a source threw */
  constructor(descriptors: Descriptors, onFault: (thrown: unknown) => void) {
    this.descriptors = descriptors
    this.#onFault = onFault
    this.#epoll = must('epoll_create1', libc.epoll_create1(EPOLL_CLOEXEC))
    descriptors.own(this.#epoll)
  }

  /**
   * Watches a descriptor.
   * @param tag 0 to 2²⁴−1, comes back with each event
   * @throws SystemError
   */
  add(fd: number, events: number, source: Source, tag: number): void {
    if (tag > MAX_TAG) throw new RangeError(`tag ${tag}`)
    const generation = ((this.#generations[fd] ?? 0) + 1) & 0xff
    this.#generations[fd] = generation
    must('epoll_ctl', this.#control(EPOLL_CTL_ADD, fd, events, tag))
    this.#sources[fd] = source
  }

  /** Gives a watched descriptor to another owner; tag and events stay. */
  pass(fd: number, source: Source): void {
    this.#sources[fd] = source
  }

  /** Asks for other events. `tag` must be that of `add`. */
  change(fd: number, events: number, tag: number): void {
    this.#control(EPOLL_CTL_MOD, fd, events, tag)
  }

  /** Stops watching a descriptor that stays open, and is not this thread's from now on. */
  remove(fd: number): void {
    this.#sources[fd] = undefined
    this.descriptors.disown(fd)
    this.#control(EPOLL_CTL_DEL, fd, 0, 0)
  }

  /** Stops watching a descriptor and closes it. */
  close(fd: number): void {
    this.#sources[fd] = undefined
    this.descriptors.close(fd)
  }

  /** Lets a task go on in the next turn, after new events were looked at. */
  again(task: Task): void {
    this.#again.push(task)
  }

  /**
   * Lets a task go on once nothing has happened that would have to be looked at first, or so much has that it waited for
   * a millisecond. There is one such task at a time: another is that one.
   */
  inLull(task: Task): void {
    this.#later ??= { task, by: performance.now() + LULL_MS }
  }

  /** Does what may fail for one and must not for the others; what it throws is reported. */
  attempt(work: () => void): void {
    try {
      work()
    } catch (thrown) {
      this.#onFault(thrown)
    }
  }

  /** Each source that is watched, once for each of its descriptors. */
  *sources(): Generator<Source> {
    for (const source of this.#sources) if (source !== undefined) yield source
  }

  /** Runs until `stop`. @throws SystemError when epoll itself fails */
  run(): void {
    while (!this.#stopped) this.#turn()
  }

  /** Promises have more to do: after this turn Node's event loop has one. */
  letNode(): void {
    this.#isNodes = true
  }

  /**
   * The same beside Node's event loop, which has a turn where somebody asked for it, and where nothing has happened for
   * long: it takes as long as it takes to answer a question.
   */
  runBesideNode(): void {
    do this.#turn()
    while (!this.#isNodes && !this.#stopped)
    this.#isNodes = false
    if (!this.#stopped) setImmediate(() => this.runBesideNode())
  }

  #turn(): void {
    this.now = performance.now()
    const patience = this.#patience()
    const count = libc.epoll_wait(this.#epoll, this.#eventBytes, BATCH, patience)
    if (count < 0 && errno() !== EINTR) throw new SystemError('epoll_wait', errno())
    if (count <= 0 && patience > 0) this.letNode()
    this.now = performance.now()
    const again = this.#again
    if (again.length > 0) this.#again = []
    for (let i = 0; i < count; i++) this.#dispatch(i * EVENT_INTS)
    for (const task of again) this.#attempt(task)
    this.#wake()
    const later = this.#later
    if (later === undefined || (count > 0 && this.now < later.by)) return
    this.#later = undefined
    this.#attempt(later.task)
  }

  stop(): void {
    this.#stopped = true
  }

  #patience(): number {
    if (this.#again.length > 0 || this.#later !== undefined) return 0
    return Math.max(0, Math.ceil(Math.min(this.timers.next - this.now, LONGEST_WAIT_MS)))
  }

  #dispatch(at: number): void {
    const events = this.#events[at] ?? 0
    const fd = this.#events[at + DATA_INT] ?? -1
    const mark = this.#events[at + DATA_INT + 1] ?? 0
    const source = this.#sources[fd]
    if (source === undefined || mark >>> TAG_BITS !== this.#generations[fd]) return
    try {
      source.ready(fd, events, mark & MAX_TAG)
    } catch (thrown) {
      this.#giveUp(source, thrown)
    }
  }

  #attempt(task: Task): void {
    try {
      task.resume()
    } catch (thrown) {
      this.#giveUp(task, thrown)
    }
  }

  #wake(): void {
    for (let item = this.timers.takeDue(this.now); item; item = this.timers.takeDue(this.now)) {
      try {
        item.expire()
      } catch (thrown) {
        this.#giveUp(item, thrown)
      }
    }
  }

  #giveUp(culprit: Source | Task | Timed, thrown: unknown): void {
    this.#onFault(thrown)
    culprit.fail()
  }

  #control(operation: number, fd: number, events: number, tag: number): number {
    this.#event[0] = events
    this.#event[DATA_INT] = fd
    this.#event[DATA_INT + 1] = ((this.#generations[fd] ?? 0) << TAG_BITS) | tag
    return libc.epoll_ctl(this.#epoll, operation, fd, this.#oneEvent)
  }
}
