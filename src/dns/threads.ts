/**
 * The two threads of a name service, seen by their maker: the one at the front, which has UDP (front/), and the one behind,
 * which has TCP (worker/). If either dies, the other is ended with it.
 */

import { Worker, type WorkerOptions } from 'node:worker_threads'
import { duplicate } from '../ffi/fd.ts'
import { libc } from '../ffi/ffi.ts'
import { makeBell, ring } from '../ffi/reactor/commands.ts'
import { Descriptors, reclaim } from '../ffi/reactor/descriptors.ts'
import { Orders, threadProgram } from '../ffi/thread/orders.ts'
import type { Ip } from '../model/address/address.ts'
import type { ForwardLimits } from './forward.ts'
import type { FrontData, FrontOrder, FrontReport } from './front/front.ts'
import type { Permit, PermitOrder, PermitReport } from './permit.ts'
import type { OpenDoor } from './sockets.ts'
import type { Telling } from './watched.ts'
import type { Order, Report, WorkerData } from './worker/worker.ts'
import type { Known } from './zone.ts'

/** Garbage is short-lived and little. */
const YOUNG_MB = { front: 2, behind: 4 }

export interface ThreadPlace {
  address: Ip
  network: string
  doors: readonly OpenDoor[]
}

export class Threads {
  readonly #front: Thread<FrontOrder>
  readonly #behind: Thread<Order>
  readonly #bell = makeBell()
  readonly #marks = Descriptors.table()
  readonly #onDeath: (cause: unknown) => void
  readonly #onExit = () => this.#stopFront()
  /** Places whose sockets are being taken up. */
  readonly #opening = new Map<Ip, Promise<void>>()
  #isOver = false

  /**
   * @param onFault is told what went wrong without ending anything
   * @param onDeath is told once when either has ended without being asked to
   */
  constructor(
    limits: Partial<ForwardLimits>,
    onFault: (message: string) => void,
    onDeath: (cause: unknown) => void,
    { permit, heard }: Makers,
  ) {
    this.#onDeath = onDeath
    const onEnd = (cause: unknown) => void this.#die(cause)
    const frontData: FrontData = { bell: this.#bell, marks: this.#marks, limits }
    this.#front = new Thread(
      threadProgram(import.meta.url, 'dns-front.cjs', './front/front.js'),
      optionsFor(frontData, YOUNG_MB.front),
      onFault,
      onEnd,
      asked => {
        this.#front.post(permitted(asked, permit))
        ring(this.#bell)
      },
      heard,
    )
    const workerData: WorkerData = { limits }
    this.#behind = new Thread(
      threadProgram(import.meta.url, 'dns-worker.cjs'),
      optionsFor(workerData, YOUNG_MB.behind),
      onFault,
      onEnd,
      asked => this.#behind.post(permitted(asked, permit)),
      heard,
    )
    // Node waits for its threads when a process ends, and this one sleeps in the kernel.
    process.on('exit', this.#onExit)
  }

  /** Who asks from now on is told so: before they answer, both take what has been posted. */
  tell(changes: [key: string, known: Known | undefined][]): void {
    void this.#orderFront({ kind: 'tell', changes })
    void this.#behind.order({ kind: 'tell', changes })
  }

  /** Whom the host asks. */
  set upstream(servers: readonly Ip[]) {
    void this.#orderFront({ kind: 'upstream', servers })
    void this.#behind.order({ kind: 'upstream', servers })
  }

  /** Answers at a place, whose sockets stay open until it is left. */
  async listen(place: ThreadPlace): Promise<void> {
    const opening = this.#listen(place)
    this.#opening.set(place.address, opening)
    await opening
    if (this.#opening.get(place.address) === opening) this.#opening.delete(place.address)
  }

  async #listen({ address, network, doors }: ThreadPlace): Promise<void> {
    const streams = doors.filter(({ carrier }) => carrier === 'tcp')
    const copied = streams.map(({ descriptor, isHost }) => ({ isHost, copy: duplicate(descriptor) }))
    const isHeard = await this.#behind.order({ kind: 'listen', place: { address, network, doors: copied } })
    if (!isHeard) for (const { copy } of copied) libc.close(copy)
    const datagrams = doors.filter(({ carrier }) => carrier === 'udp')
    const windows = datagrams.map(({ descriptor, isHost }) => ({ address, network, descriptor, isHost }))
    await this.#orderFront({ kind: 'listen', windows })
  }

  /** @param finish what is under way is answered before it is done */
  async leave(address: Ip, finish: boolean): Promise<void> {
    await this.#opening.get(address)
    await Promise.all([
      this.#orderFront({ kind: 'leave', address, finish }),
      this.#behind.order({ kind: 'leave', address, finish }),
    ])
  }

  async end(): Promise<void> {
    this.#isOver = true
    this.#stopFront()
    await Promise.all([this.#front.ended(), this.#behind.end()])
    this.#tidy()
  }

  #orderFront(order: FrontOrder): Promise<boolean> {
    const done = this.#front.order(order)
    ring(this.#bell)
    return done
  }

  #stopFront(): void {
    void this.#orderFront({ kind: 'stop' })
  }

  async #die(cause: unknown): Promise<void> {
    if (this.#isOver) return
    await this.end()
    this.#onDeath(cause)
  }

  #tidy(): void {
    process.off('exit', this.#onExit)
    reclaim(this.#marks)
    libc.close(this.#bell)
  }
}

/** Of each, how long what a client is told may last, at most, once it may reach it; undefined: it may not. */
export type LetPass = (permits: readonly Permit[]) => (number | undefined)[]

/** What the threads cannot do themselves. */
export interface Makers {
  /** Lets a client reach what it is told next, where that is for us to let (Known.permitted). */
  permit: LetPass
  /** Hears what was told to whom somebody watches (Known.isWatched). */
  heard: (telling: Telling) => void
}

const permitted = ({ number, permits }: PermitReport, letPass: LetPass): PermitOrder => ({
  kind: 'permitted',
  number,
  ttlsMaxS: letPass(JSON.parse(permits)),
})

const optionsFor = (workerData: unknown, youngMb: number): WorkerOptions => ({
  workerData,
  trackUnmanagedFds: false,
  resourceLimits: { maxYoungGenerationSizeMb: youngMb },
})

class Thread<O extends object> {
  readonly #worker: Worker
  readonly #orders = new Orders<true>()
  readonly #ended: Promise<void>
  #hasEnded = false

  constructor(
    program: URL,
    options: WorkerOptions,
    onFault: (message: string) => void,
    onEnd: (cause: unknown) => void,
    onPermit: (report: PermitReport) => void,
    heard: Makers['heard'],
  ) {
    this.#worker = new Worker(program, options)
    // Who ends without a word is not kept.
    this.#worker.unref()
    let cause: unknown = 'it ended'
    this.#worker.on('message', (report: Report | FrontReport) => {
      if (report.kind === 'permit') onPermit(report)
      else if (report.kind === 'watched') for (const each of report.tellings) heard(each)
      else if (report.kind === 'fault') onFault(report.message)
      else this.#orders.done(report.request, true)
    })
    this.#worker.on('error', thrown => {
      cause = thrown instanceof Error ? thrown.stack : thrown
    })
    this.#ended = new Promise(resolve => {
      this.#worker.on('exit', () => {
        this.#hasEnded = true
        this.#orders.end()
        resolve()
        onEnd(cause)
      })
    })
  }

  /** @returns false where it ended before it had done it */
  async order(order: O): Promise<boolean> {
    if (this.#hasEnded) return false
    return (await this.#orders.give(request => this.#worker.postMessage({ ...order, request }))) === true
  }

  /** Tells it what needs no answer. */
  post(order: PermitOrder): void {
    if (!this.#hasEnded) this.#worker.postMessage(order)
  }

  /** When it has ended; until then the process goes on. */
  async ended(): Promise<void> {
    if (!this.#hasEnded) this.#worker.ref()
    await this.#ended
  }

  async end(): Promise<void> {
    if (!this.#hasEnded) await this.#worker.terminate()
  }
}
