/**
 * The names of what is attached, told by the gateways of its networks (dns/).
 *
 *     ADD ──serve──┐                    ┌─▶ what is known ─┐
 *     DEL ─release─┼─▶ one after another┤                  ├─▶ NameService
 *     records ─tend┘                    └─▶ places ────────┘
 *
 * A place is a gateway address, and there as long as somebody attached is told names by it. Where another process has
 * port 53 there, it is named, and the place taken as soon as it is free. A bridge that was deleted and came back is
 * another interface: its place is opened anew.
 *
 * An ADD that has succeeded can be asked for. What was done without us is noticed every second.
 */

import { closeDoors, type DoorNumbers, isOn, type Known, type NamePlace, NameService } from '../../dns/dns.ts'
import type { AwayChange } from '../../hosts/hosts.ts'
import type { Ip } from '../../model/address/address.ts'
import { messageOf } from '../../model/errors.ts'
import { Obstacles } from '../../publish/obstacles.ts'
import type { EntryIndex } from '../../records/entry-index.ts'
import { readEntry } from '../../records/records.ts'
import { HostServers } from './host-servers.ts'
import { knownAway, type Told, toldOf } from './known.ts'
import { NamePermits } from './permits.ts'
import { withHolder } from './port-holder.ts'
import { type NameWatcher, NameWatches } from './watches.ts'

/** Sockets of a predecessor, by address. */
export type InheritedDoors = Record<string, DoorNumbers>

/** A place where names cannot be told. */
export interface NameTrouble {
  network: string
  /** A sentence. */
  why: string
}

export class Names {
  readonly #service: NameService
  readonly #index: Pick<EntryIndex<{ told?: Told }>, 'others'>
  readonly #log: (line: string) => void
  readonly #permits: NamePermits
  readonly #told = new Map<string, Told>()
  readonly #watches = new NameWatches(this.#told, (...changed) =>
    this.#service.tell([this.#toldOf(...changed)]),
  )
  readonly #obstacles = new Obstacles()
  readonly #hostServers = new HostServers()
  #inherited: InheritedDoors = {}
  #seen: readonly unknown[] | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #isOver = false

  constructor(index: Pick<EntryIndex<{ told?: Told }>, 'others'>, log: (line: string) => void) {
    this.#index = index
    this.#log = log
    this.#permits = new NamePermits(log)
    const { permit } = this.#permits
    this.#service = new NameService(log, {}, { permit, heard: this.#watches.heard })
  }

  /** Tells all that is written down from now on. @param doors of a predecessor, ours from now on */
  async begin(doors: InheritedDoors = {}): Promise<void> {
    this.#inherited = doors
    await this.tend()
    for (const left of Object.values(this.#inherited)) closeDoors(left)
    this.#inherited = {}
  }

  /** True while somebody is told names. */
  get isNeeded(): boolean {
    return this.#told.size > 0
  }

  /** Sockets for a successor. */
  get doors(): InheritedDoors {
    return this.#service.doors
  }

  /** Places of a network where names are not told. */
  troubles(network: string): NameTrouble[] {
    return [...this.#wanted().values()].flatMap(place => {
      const why = place.network === network.toLowerCase() ? this.#obstacles.why(place.address) : undefined
      return why === undefined ? [] : [{ network, why: `names are not told on ${place.device}: ${why}` }]
    })
  }

  /** Tells the names of an attachment, if its network tells any. */
  serve(owner: string): Promise<void> {
    return this.#inTurn(async () => {
      const entry = readEntry(owner)
      const told = entry?.state === 'attached' ? toldOf(entry.attachment) : undefined
      if (told === undefined) return
      this.#set(owner, told)
      this.#service.upstream = this.#hostServers.now()
      this.#openWanted()
      this.#service.tell([this.#toldOf(owner, told)])
    })
  }

  /** Nobody is told of it any more. */
  async release(owner: string): Promise<void> {
    if (!this.#told.has(owner)) return
    await this.#inTurn(async () => {
      this.#set(owner, undefined)
      this.#service.tell([[keyOf(owner), undefined]])
    })
    void this.#inTurn(() => this.#closeUnwanted()).catch(thrown => this.#log(messageOf(thrown)))
  }

  /** Has somebody hear what these attachments are told, until he goes. @throws TsnetError `try-again` */
  watch(owners: readonly string[], watcher: NameWatcher): void {
    this.#watches.begin(owners, watcher)
  }

  #toldOf(owner: string, { known }: Told): [key: string, known: Known] {
    return [keyOf(owner), this.#watches.isWatched(owner) ? { ...known, isWatched: true } : known]
  }

  /** Tells what other hosts say of their containers on a network. */
  tellAway(network: string, changes: readonly AwayChange[]): void {
    if (this.#isOver || changes.length === 0) return
    this.#service.tell(changes.map(([key, away]) => [`host:${key}`, away && knownAway(network, key, away)]))
  }

  /** Notices what was attached or detached without us, and tries again what could not be done. */
  tend(): Promise<void> {
    return this.#inTurn(async () => {
      const entries = this.#index.others()
      if (entries !== this.#seen) await this.#compare(entries)
      this.#seen = entries
      if (!this.isNeeded) return
      this.#service.upstream = this.#hostServers.now()
      await this.#reopenMoved()
      this.#openWanted()
    })
  }

  /** A successor tells them from now on. Settles when what was under way is answered. */
  async handOver(): Promise<void> {
    this.#isOver = true
    this.#watches.end()
    await this.#service.handOver()
  }

  async end(): Promise<void> {
    this.#isOver = true
    await this.#service.end()
  }

  async #compare(entries: readonly { owner: string; value: { told?: Told } }[]): Promise<void> {
    const there = new Map(
      entries.flatMap(({ owner, value: { told } }): [string, Told][] =>
        told === undefined ? [] : [[owner, told]],
      ),
    )
    const gone = [...this.#told.keys()].filter(owner => !there.has(owner))
    const changed = [...there].filter(([owner, told]) => !isSame(this.#told.get(owner), told))
    for (const owner of gone) this.#set(owner, undefined)
    for (const [owner, told] of changed) this.#set(owner, told)
    const changes: [string, Known | undefined][] = [
      ...gone.map(owner => [keyOf(owner), undefined] as [string, undefined]),
      ...changed.map(each => this.#toldOf(...each)),
    ]
    if (changes.length > 0) this.#service.tell(changes)
    await this.#closeUnwanted()
  }

  #set(owner: string, told: Told | undefined): void {
    this.#permits.change(owner, this.#told.get(owner), told)
    if (told === undefined) this.#told.delete(owner)
    else this.#told.set(owner, told)
  }

  /** By address. Of two networks that have the same, the first is told. */
  #wanted(): Map<Ip, NamePlace> {
    const wanted = new Map<Ip, NamePlace>()
    for (const { places } of this.#told.values())
      for (const place of places) if (!wanted.has(place.address)) wanted.set(place.address, place)
    return wanted
  }

  #openWanted(): void {
    if (this.#isOver) return
    const open = new Set(this.#service.places.map(({ address }) => address))
    for (const place of this.#wanted().values()) {
      if (open.has(place.address) || this.#obstacles.isResting(place.address)) continue
      try {
        this.#open(place)
        if (this.#obstacles.overcome(place.address)) this.#log(`${describe(place)} are told`)
      } catch (thrown) {
        const why = this.#obstacles.meet(place.address, withHolder(thrown, place.address))
        if (why !== undefined) this.#log(`${describe(place)} are not told: ${why}`)
      }
    }
  }

  #open(place: NamePlace): void {
    const doors = this.#inherited[place.address]
    delete this.#inherited[place.address]
    if (doors !== undefined && isOn(doors, place.device)) this.#service.open(place, doors)
    else {
      if (doors !== undefined) closeDoors(doors)
      this.#service.open(place)
    }
  }

  async #closeUnwanted(): Promise<void> {
    const wanted = this.#wanted()
    for (const { address } of this.#service.places)
      if (!wanted.has(address)) await this.#service.close(address)
    for (const id of this.#obstacles.ids) if (!wanted.has(id as Ip)) this.#obstacles.overcome(id)
  }

  async #reopenMoved(): Promise<void> {
    for (const address of this.#service.moved()) await this.#service.close(address)
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(() => (this.#isOver ? undefined : work()))
    this.#turn = turn.catch(() => {})
    await turn
  }
}

const keyOf = (owner: string): string => `attachment:${owner}`

const describe = ({ network, address }: NamePlace): string =>
  `names of network ${network}, asked at ${address},`

const isSame = (one: Told | undefined, other: Told): boolean => JSON.stringify(one) === JSON.stringify(other)
