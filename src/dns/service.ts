/**
 * Who has the sockets of all places, and all that the threads that answer shall know: those that die get successors, which
 * are told all of it.
 *
 * The threads start with the first place, and end some time after the last: a network's only container may just be started
 * anew.
 */

import type { Ip } from '../model/address/address.ts'
import type { ForwardLimits } from './forward.ts'
import { closeDoors, isOn, type OpenDoor, openDoors } from './sockets.ts'
import { type Makers, Threads } from './threads.ts'
import type { Known } from './zone.ts'

/** How long threads are kept that nobody asks. */
const IDLE_MS = 60_000
/** Those that live shorter are replaced only after this. */
const SHORT_LIFE_MS = 1_000

/** Where a network's names are told. */
export interface NamePlace {
  address: Ip
  network: string
  /** The interface that has the address. */
  device: string
}

/** The sockets of a place, as numbers of a process: by which others can go on with them. */
export type DoorNumbers = OpenDoor[]

interface Held extends NamePlace {
  doors: OpenDoor[]
}

export class NameService {
  readonly #onFault: (message: string) => void
  readonly #makers: Makers
  readonly #limits: Partial<ForwardLimits>
  readonly #held = new Map<Ip, Held>()
  readonly #known = new Map<string, Known>()
  #upstream: readonly Ip[] = []
  #threads: Threads | undefined
  #idle: NodeJS.Timeout | undefined
  #isOver = false

  /**
   * @param onFault is told what went wrong without ending anything
   * @param makers what clients are told is seen to and heard by
   */
  constructor(
    onFault: (message: string) => void,
    limits: Partial<ForwardLimits> = {},
    makers: Partial<Makers> = {},
  ) {
    this.#onFault = onFault
    this.#makers = { permit: () => [], heard: () => {}, ...makers }
    this.#limits = limits
  }

  /** The places that answer. */
  get places(): readonly NamePlace[] {
    return [...this.#held.values()]
  }

  /**
   * Answers at a place from now on.
   * @param doors of a process that answered there before
   * @throws TsnetError `conflict`, `kernel`
   */
  open(place: NamePlace, doors: DoorNumbers = openDoors(place.address, place.device)): void {
    const held = { ...place, doors }
    this.#held.set(place.address, held)
    clearTimeout(this.#idle)
    if (this.#threads === undefined) this.#start()
    else void this.#threads.listen(held)
  }

  /** Lets a place go, at once: who is on it is there no more. */
  async close(address: Ip): Promise<void> {
    const held = this.#held.get(address)
    if (held === undefined) return
    this.#held.delete(address)
    const threads = this.#threads
    await threads?.leave(address, false)
    closeDoors(held.doors)
    if (this.#held.size === 0) this.#idle = setTimeout(() => this.#endIdle(), IDLE_MS).unref()
  }

  #endIdle(): void {
    if (this.#held.size > 0) return
    const threads = this.#threads
    this.#threads = undefined
    void threads?.end()
  }

  /** Places whose interface is another by now, or gone. */
  moved(): Ip[] {
    return [...this.#held.values()].flatMap(({ address, device, doors }) =>
      isOn(doors, device) ? [] : [address],
    )
  }

  /** What a source knows under these keys, which is told to whoever asks from now on. */
  tell(changes: readonly [key: string, known: Known | undefined][]): void {
    for (const [key, known] of changes) {
      if (known === undefined) this.#known.delete(key)
      else this.#known.set(key, known)
    }
    this.#threads?.tell([...changes])
  }

  /** Whom the host asks. */
  set upstream(servers: readonly Ip[]) {
    if (servers.join() === this.#upstream.join()) return
    this.#upstream = servers
    if (this.#threads !== undefined) this.#threads.upstream = servers
  }

  /** The sockets that somebody else can go on with. */
  get doors(): Record<string, DoorNumbers> {
    return Object.fromEntries([...this.#held].map(([address, { doors }]) => [address, doors]))
  }

  /** Another process answers from now on: takes nothing more, and answers what it has. */
  async handOver(): Promise<void> {
    this.#isOver = true
    const threads = this.#threads
    const all = [...this.#held.keys()]
    await Promise.all(all.map(address => threads?.leave(address, true)))
    await this.end()
  }

  /** Answers nothing any more. */
  async end(): Promise<void> {
    this.#isOver = true
    await this.#threads?.end()
    this.#threads = undefined
    for (const { doors } of this.#held.values()) closeDoors(doors)
    this.#held.clear()
  }

  #start(): void {
    const since = performance.now()
    const onDeath = (cause: unknown): void => {
      if (this.#threads !== threads) return
      this.#threads = undefined
      this.#onFault(`a thread that tells names died and is replaced: ${cause}`)
      const again = () => {
        if (!this.#isOver && this.#threads === undefined && this.#held.size > 0) this.#start()
      }
      // One that dies as soon as it lives must not take the whole machine with it.
      if (performance.now() - since > SHORT_LIFE_MS) again()
      else setTimeout(again, SHORT_LIFE_MS).unref()
    }
    const threads = new Threads(this.#limits, this.#onFault, onDeath, this.#makers)
    this.#threads = threads
    threads.upstream = this.#upstream
    threads.tell([...this.#known])
    for (const held of this.#held.values()) void threads.listen(held)
  }
}
