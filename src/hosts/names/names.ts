/**
 * Names of containers over the hosts of a network.
 *
 *     attachments of this host ──▶ own.ts ──▶ etcd, under this host's lease
 *                                              │ follow.ts
 *     changed(…) ◀── what others say, if their addresses lie in their prefixes ◀┘ words.ts
 *
 * One key for each attachment. With one for each host an ADD would write what is known of all its neighbours: at a hundred
 * containers that is 20 kB, which etcd keeps until it is compacted (its quota of 2 GB is full after a hundred thousand
 * changes; after ten million with keys of their own), and sends to each of a thousand hosts. What it would save is the first
 * read: of 100 000 containers it takes 0.2 s in place of 1.3 s.
 *
 * The lease ends a minute after the last word of the host, sooner than its routes do: nobody shall be led to a host that
 * is dead, and packets of one that is only cut off go on meanwhile. What etcd has lost is told on until it is said again,
 * for as long. While etcd is away nothing changes, and a daemon that starts then tells what one before it wrote down
 * (known.ts). A host that is no member has nothing to say.
 */

import type { Cidr } from '../../model/address/address.ts'
import { type HostPool, prefixesOf } from '../../model/hosts/hosts.ts'
import { tellChange } from '../../model/surroundings.ts'
import type { KeyValue, Range, Store, WatchEvent } from '../etcd/etcd.ts'
import type { KnownName } from '../known.ts'
import type { Member } from '../members.ts'
import { follow } from './follow.ts'
import { Own } from './own.ts'
import { keyParts, type NameKeys, type NameWord, nameText, readNameWord, strangerAmong } from './words.ts'

export type { NameWord } from './words.ts'

/** A container of another host. */
export interface Away extends NameWord {
  /** Its host's id, and what that calls itself. */
  host: string
  hostName: string
  /** Of its host: an address in these has no name but those that it tells of. */
  prefixes: Cidr[]
}

/** By a key of its own; undefined: it is gone. */
export type AwayChange = readonly [key: string, away: Away | undefined]

export interface HostNamesOptions {
  store: Pick<Store, 'range' | 'watch' | 'transact' | 'grant' | 'keepAlive' | 'revoke'>
  keys: NameKeys
  /** This host. */
  id: string
  pools: readonly HostPool[]
  ttlS: number
  changed(changes: AwayChange[]): void
  log(line: string): void
}

export class HostNames {
  readonly #options: HostNamesOptions
  readonly #own: Own
  /** What others say, by host and key. */
  readonly #said = new Map<string, Map<string, NameWord>>()
  /** Keys of a history that is lost: they are told until then, unless they are said again. */
  readonly #lost = new Set<string>()
  #burial: NodeJS.Timeout | undefined
  readonly #drained = new Set<string>()
  readonly #told = new Map<string, Away>()
  readonly #named = new Map<string, Map<string, Away>>()
  #members = new Map<string, Member>()
  #knowsMembers = false
  #last: Pick<Range, 'cluster' | 'revision'> | undefined
  #prefixes: Cidr[] = []
  #mine: ReadonlyMap<string, NameWord> | undefined
  #texts = new WeakMap<NameWord, string | undefined>()
  readonly #troubles = new Map<string, string>()
  readonly #complaints = new Map<string, string>()
  readonly #ended = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(options: HostNamesOptions) {
    this.#options = options
    const { store, ttlS } = options
    this.#own = new Own({ store, ttlS, trouble: why => this.#note('own names', why) })
  }

  /** Containers of other hosts that are called so. */
  named(name: string): Iterable<Away> {
    return this.#named.get(name)?.values() ?? []
  }

  /** False while it is not known yet who is on other hosts. */
  get isKnown(): boolean {
    return this.#last !== undefined && this.#knowsMembers
  }

  /** Ids of hosts that take no new connections of services. */
  get drained(): ReadonlySet<string> {
    return this.#drained
  }

  begin(): void {
    const { store, keys } = this.#options
    this.#own.begin()
    const follower = {
      all: (range: Range) => this.#all(range),
      changed: (events: readonly WatchEvent[], revision: number) => this.#changed(events, revision),
      trouble: (why: string | undefined) => this.#note("others' names", why),
    }
    this.#running = follow(store, keys.all, follower, this.#ended.signal)
  }

  /** What is said stays for a successor to take over, as long as the lease. */
  async end(): Promise<void> {
    this.#ended.abort()
    clearTimeout(this.#burial)
    await Promise.all([this.#own.end(), this.#running])
  }

  /** This host is none of the network's any more: nobody shall find its containers, and it finds nobody's. */
  async leave(): Promise<void> {
    await this.end()
    await this.#own.leave()
    this.#options.changed([...this.#told.keys()].map(key => [key, undefined]))
    this.#told.clear()
    this.#named.clear()
  }

  /**
   * Has a host take no new connections of services, or take them again. It stays so when its daemon, or the host, is started
   * again.
   * @throws TsnetError `io`: etcd is away
   */
  async drain(host: string, isDrained: boolean): Promise<void> {
    const key = this.#options.keys.drained(host)
    tellChange(() => (isDrained ? `etcdctl put ${key} '{}'` : `etcdctl del ${key}`))
    await this.#options.store.transact(
      [],
      [isDrained ? { kind: 'put', key, value: '{}' } : { kind: 'delete', key }],
    )
  }

  /** All containers of this host on the network, by the tags of their attachments. Returns at once. */
  say(mine: ReadonlyMap<string, NameWord>): void {
    this.#mine = mine
    this.#sayOwn()
  }

  /** The prefixes of this host; none: it has none, and nothing to say. */
  claimed(prefixes: Cidr[]): void {
    if (prefixes.join() === this.#prefixes.join()) return
    this.#prefixes = prefixes
    this.#texts = new WeakMap()
    this.#sayOwn()
  }

  #sayOwn(): void {
    const { keys, id } = this.#options
    if (this.#mine === undefined || this.#prefixes.length === 0) return
    const wanted = new Map<string, string>()
    for (const [owner, word] of this.#mine) {
      const text = this.#textOf(word)
      if (text !== undefined) wanted.set(keys.attachment(id, owner), text)
    }
    this.#own.set(wanted)
  }

  /** Undefined for what has an address outside of our prefixes. Looked at once for each that is said again and again. */
  #textOf(word: NameWord): string | undefined {
    if (this.#texts.has(word)) return this.#texts.get(word)
    const text = strangerAmong(word.addresses, this.#prefixes) === undefined ? nameText(word) : undefined
    this.#texts.set(word, text)
    return text
  }

  /**
   * These were the other hosts, and this is what they said, as it was written down. Whatever etcd says counts instead.
   * @param names as `known` gave them
   */
  remember(members: readonly Member[], names: readonly KnownName[]): void {
    if (this.#last === undefined) for (const each of names) this.#take(each)
    this.#meet(members)
  }

  /** What others say, to be written down. */
  get known(): KnownName[] {
    const { keys } = this.#options
    const said = [...this.#said.values()].flatMap(words =>
      [...words].map(([key, word]) => ({ key, value: nameText(word) })),
    )
    return [...said, ...[...this.#drained].map(host => ({ key: keys.drained(host), value: '{}' }))]
  }

  /** These are the other hosts now. */
  members(members: readonly Member[]): void {
    this.#knowsMembers = true
    this.#meet(members)
  }

  #meet(members: readonly Member[]): void {
    const before = this.#members
    this.#members = new Map(members.map(each => [each.id, each]))
    const hosts = [...new Set([...before.keys(), ...this.#members.keys()])].filter(
      id => before.get(id) !== this.#members.get(id),
    )
    this.#tell(hosts.flatMap(host => [...(this.#said.get(host)?.keys() ?? [])].map(key => [host, key])))
  }

  #all({ cluster, revision, values }: Range): void {
    const isLost =
      this.#last !== undefined && (this.#last.cluster !== cluster || revision < this.#last.revision)
    this.#last = { cluster, revision }
    const before = [...this.#said].flatMap(([host, words]) =>
      [...words.keys()].map((key): [string, string] => [host, key]),
    )
    const there = new Set(values.map(({ key }) => key))
    if (isLost) this.#mourn(before.filter(([, key]) => !there.has(key)).map(([, key]) => key))
    for (const [host, key] of before) {
      if (!there.has(key) && !this.#lost.has(key)) this.#said.get(host)?.delete(key)
    }
    this.#drained.clear()
    this.#complaints.clear()
    const now = values.flatMap(value => this.#take(value))
    this.#own.seenAll(values.filter(({ key }) => this.#isOwn(key)))
    this.#tell([...before, ...now])
  }

  #changed(events: readonly WatchEvent[], revision: number): void {
    if (this.#last !== undefined) this.#last.revision = Math.max(this.#last.revision, revision)
    const about: [host: string, key: string][] = []
    for (const event of events) {
      const key = event.kind === 'put' ? event.value.key : event.key
      if (this.#isOwn(key)) this.#own.seen(event)
      if (event.kind === 'put') about.push(...this.#take(event.value))
      else about.push(...this.#drop(key))
    }
    this.#tell(about)
  }

  #isOwn(key: string): boolean {
    const { keys, id } = this.#options
    const parts = keyParts(keys, key)
    return parts?.host === id && parts.owner !== undefined
  }

  /** @returns what it is about */
  #take({ key, value }: Pick<KeyValue, 'key' | 'value'>): [host: string, key: string][] {
    const { keys, id } = this.#options
    const parts = keyParts(keys, key)
    if (parts === undefined) this.#complain(key, 'is none of the keys of names')
    else if (parts.owner === undefined) this.#drained.add(parts.host)
    else if (parts.host !== id) {
      const word = readNameWord(value, key)
      this.#lost.delete(key)
      const words = this.#said.get(parts.host) ?? new Map<string, NameWord>()
      this.#said.set(parts.host, words)
      if (typeof word === 'string') {
        words.delete(key)
        this.#complain(key, word)
      } else {
        this.#complaints.delete(key)
        words.set(key, word)
      }
    }
    return parts === undefined ? [] : [[parts.host, key]]
  }

  #drop(key: string): [host: string, key: string][] {
    this.#complaints.delete(key)
    const parts = keyParts(this.#options.keys, key)
    if (parts === undefined) return []
    if (parts.owner === undefined) this.#drained.delete(parts.host)
    const words = this.#said.get(parts.host)
    words?.delete(key)
    this.#lost.delete(key)
    if (words?.size === 0) this.#said.delete(parts.host)
    return [[parts.host, key]]
  }

  #mourn(keys: readonly string[]): void {
    for (const key of keys) this.#lost.add(key)
    clearTimeout(this.#burial)
    this.#burial = setTimeout(() => {
      this.#tell([...this.#lost].flatMap(key => this.#drop(key)))
    }, this.#options.ttlS * 1_000).unref()
  }

  /** Of some keys, what is true of them now. */
  #tell(about: readonly (readonly [host: string, key: string])[]): void {
    const changes = about.flatMap(([host, key]): AwayChange[] => {
      const away = this.#awayOf(host, key)
      const before = this.#told.get(key)
      if (away === undefined && before === undefined) return []
      for (const name of before?.names ?? []) this.#forget(name, key)
      if (away === undefined) this.#told.delete(key)
      else this.#told.set(key, away)
      if (away !== undefined) for (const name of away.names) this.#remember(name, key, away)
      return [[key, away]]
    })
    if (!this.#ended.signal.aborted) this.#options.changed(changes)
  }

  #remember(name: string, key: string, away: Away): void {
    const there = this.#named.get(name) ?? new Map<string, Away>()
    this.#named.set(name, there.set(key, away))
  }

  #forget(name: string, key: string): void {
    const there = this.#named.get(name)
    there?.delete(key)
    if (there?.size === 0) this.#named.delete(name)
  }

  #awayOf(host: string, key: string): Away | undefined {
    const word = this.#said.get(host)?.get(key)
    const member = this.#members.get(host)
    if (word === undefined || member === undefined) return undefined
    const prefixes = prefixesOf(this.#options.pools, member.number)
    const stranger = strangerAmong(word.addresses, prefixes)
    if (stranger !== undefined) {
      this.#complain(key, `speaks of ${stranger}, which is none of the addresses of ${member.name}`)
      return undefined
    }
    return { ...word, host, hostName: member.name, prefixes }
  }

  #complain(key: string, why: string): void {
    if (this.#complaints.get(key) === why) return
    this.#complaints.set(key, why)
    this.#options.log(`${key} ${why}, and is ignored`)
  }

  /** The first of its kind, and the first that is otherwise, is said. */
  #note(what: string, trouble: string | undefined): void {
    if (trouble === this.#troubles.get(what)) return
    if (trouble === undefined) this.#troubles.delete(what)
    else this.#troubles.set(what, trouble)
    const { log, keys } = this.#options
    log(`${what} of ${keys.all}: ${trouble ?? 'all is well again'}`)
  }
}
