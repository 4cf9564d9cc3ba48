/**
 * Who has which name, as plain values, and what one client is told.
 *
 *     source ──tell(key, known)──▶ Zone ──find(client, name)──▶ addresses, or that we do not know
 *
 * A *source* is whoever tells of what it knows under keys of its own: the attachments of this host are one
 * (`attachment:<owner>`), containers of other hosts another (`host:<key>`). What it tells replaces what it told before under that
 * key.
 *
 * A client sees the networks that its container is on, whichever of their gateways it asks: resolvers that ask all of
 * their servers at once take the first answer, even if that is "no such name".
 */

import { type Cidr, contains, familyOf, type Ip } from '../model/address/address.ts'
import { NameIndex, type NamePattern } from '../model/address/name-pattern.ts'

/** One interface of a container, or of whatever else has names. */
export interface Known {
  network: string
  /** Of the same container on several networks, the same. */
  container: string
  /** Lower case, each a host's name. */
  names: readonly string[]
  /** Its id where that is hexadecimal: it is found by its beginning. */
  id?: string
  addresses: readonly Ip[]
  /** What an address in these has no name of but ours. */
  subnets: readonly Cidr[]
  /** Names below it are ours alone. Absent: it is on another host, and its names are below what the network's are here. */
  domain?: string
  /** Whom to ask about other names; empty: whom the host asks. Absent: nobody. */
  upstream?: readonly Ip[]
  /** Names whose addresses it may reach once they are told (permit.ts). Absent: that is nothing to us. */
  permitted?: readonly NamePattern[]
  /** Somebody watches what it is told (watched.ts). */
  isWatched?: true
}

/** Who asks: by which network's gateway, and from where. */
export interface Client {
  network: string
  ip: Ip
}

export type Found<T> =
  /** Perhaps nothing: what is known has no such thing. */
  | { kind: 'here'; values: readonly T[] }
  /** Nobody has the name, and nobody else would know. */
  | { kind: 'nowhere' }
  | { kind: 'elsewhere' }

/** How much of an id tells it from others. */
const PREFIX = 12

/** What is known on one network. */
class Network {
  readonly byName = new Map<string, Set<Known>>()
  readonly byPrefix = new Map<string, Set<Known>>()
  readonly byAddress = new Map<Ip, Set<Known>>()
  readonly subnets = new Map<Cidr, number>()
  readonly domains = new Map<string, number>()

  change(known: Known, by: 1 | -1): void {
    const put = by === 1 ? add : remove
    for (const name of known.names) put(this.byName, name, known)
    if (known.id !== undefined) put(this.byPrefix, known.id.slice(0, PREFIX), known)
    for (const ip of known.addresses) put(this.byAddress, ip, known)
    for (const subnet of known.subnets) count(this.subnets, subnet, by)
    if (known.domain !== undefined) count(this.domains, known.domain, by)
  }

  named(name: string): Known[] {
    const byId = isPrefix(name) ? [...(this.byPrefix.get(name.slice(0, PREFIX)) ?? [])] : []
    return [...(this.byName.get(name) ?? []), ...byId.filter(({ id }) => id?.startsWith(name))]
  }
}

const isPrefix = (name: string): boolean => name.length >= PREFIX && /^[0-9a-f]+$/.test(name)

function add<K>(map: Map<K, Set<Known>>, key: K, known: Known): void {
  const there = map.get(key)
  if (there === undefined) map.set(key, new Set([known]))
  else there.add(known)
}

function remove<K>(map: Map<K, Set<Known>>, key: K, known: Known): void {
  const there = map.get(key)
  there?.delete(known)
  if (there?.size === 0) map.delete(key)
}

function count<K>(map: Map<K, number>, key: K, by: number): void {
  const now = (map.get(key) ?? 0) + by
  if (now > 0) map.set(key, now)
  else map.delete(key)
}

export class Zone {
  readonly #known = new Map<string, Known>()
  readonly #networks = new Map<string, Network>()
  /** Networks of a container, each as often as it is on it. */
  readonly #whereabouts = new Map<string, Map<string, number>>()
  /** Of containers that may reach some names alone, those of each of their interfaces. */
  readonly #permitted = new Map<string, Map<Known, NameIndex<true>>>()
  #watched = 0
  #turn = 0
  #generation = 0

  /** Another one after each change. */
  get generation(): number {
    return this.#generation
  }

  /** @param known undefined: nothing any more */
  tell(key: string, known: Known | undefined): void {
    this.#generation++
    const before = this.#known.get(key)
    if (before !== undefined) this.#change(before, -1)
    if (known === undefined) this.#known.delete(key)
    else {
      this.#known.set(key, known)
      this.#change(known, 1)
    }
  }

  #change(known: Known, by: 1 | -1): void {
    const network = this.#networks.get(known.network) ?? new Network()
    this.#networks.set(known.network, network)
    network.change(known, by)
    if (network.byAddress.size === 0 && network.domains.size === 0) this.#networks.delete(known.network)
    const places = this.#whereabouts.get(known.container) ?? new Map<string, number>()
    this.#whereabouts.set(known.container, places)
    count(places, known.network, by)
    if (places.size === 0) this.#whereabouts.delete(known.container)
    if (known.isWatched) this.#watched += by
    if (known.permitted !== undefined) this.#changePermitted(known, known.permitted, by)
  }

  #changePermitted(known: Known, permitted: readonly NamePattern[], by: 1 | -1): void {
    const lists = this.#permitted.get(known.container) ?? new Map<Known, NameIndex<true>>()
    if (by === 1) lists.set(known, new NameIndex(permitted.map(pattern => [pattern, true])))
    else lists.delete(known)
    if (lists.size > 0) this.#permitted.set(known.container, lists)
    else this.#permitted.delete(known.container)
  }

  /** True for a name whose addresses the client may reach, on whichever of its networks. */
  isPermitted(client: Client, name: string): boolean {
    if (this.#permitted.size === 0) return false
    const lists = this.#permitted.get(this.#self(client)?.container ?? '')
    if (lists !== undefined) for (const index of lists.values()) if (index.has(name)) return true
    return false
  }

  /** True for whom somebody watches. */
  isWatched(client: Client): boolean {
    return this.#watched > 0 && this.#self(client)?.isWatched === true
  }

  /** The client's own entry. */
  #self({ network, ip }: Client): Known | undefined {
    const [self] = this.#networks.get(network)?.byAddress.get(ip) ?? []
    return self
  }

  /** That whose gateway is asked comes first. */
  #seenBy(client: Client): [name: string, network: Network][] {
    const self = this.#self(client)
    const others = self === undefined ? [] : [...(this.#whereabouts.get(self.container)?.keys() ?? [])]
    return [...new Set([client.network, ...others])].flatMap(name => {
      const network = this.#networks.get(name)
      return network === undefined ? [] : [[name, network] as [string, Network]]
    })
  }

  /** In one generation, clients of the same view are told the same. */
  viewOf(client: Client): string {
    const upstream = this.upstreamOf(client)
    const kind = typeof upstream === 'string' ? upstream : 'all'
    return [kind, ...this.#seenBy(client).map(([name]) => name)].join(' ')
  }

  /** Addresses of a name, of both families: those of this host before others, each time beginning with another one. */
  find(client: Client, name: string): Found<Ip> {
    let isOurs = false
    for (const [label, network] of this.#seenBy(client)) {
      const below = [...network.domains.keys()].filter(
        domain => name === domain || name.endsWith(`.${domain}`),
      )
      isOurs ||= below.length > 0
      const short = [...below, label].flatMap(suffix => bare(name, suffix))
      for (const each of [name, ...short]) {
        const known = network.named(each)
        if (known.length > 0) return { kind: 'here', values: this.#inTurn(known) }
      }
      // The domain itself is there, and has no address.
      if (below.includes(name)) return { kind: 'here', values: [] }
    }
    return { kind: isOurs ? 'nowhere' : 'elsewhere' }
  }

  /** Names of an address, each with its domain. */
  findNames(client: Client, ip: Ip): Found<string> {
    let isOurs = false
    for (const [label, network] of this.#seenBy(client)) {
      const [usual = label] = network.domains.keys()
      const known = [...(network.byAddress.get(ip) ?? [])]
      const values = known.flatMap(({ names, domain = usual }) => names.map(name => full(name, domain)))
      if (known.length > 0) return { kind: 'here', values: [...new Set(values)] }
      isOurs ||= [...network.subnets.keys()].some(
        subnet => familyOf(subnet) === familyOf(ip) && contains(subnet, ip),
      )
    }
    return { kind: isOurs ? 'nowhere' : 'elsewhere' }
  }

  /** Whom a client's other questions go to; empty: whom the host asks. */
  upstreamOf(client: Client): readonly Ip[] | 'nobody' | 'stranger' {
    const self = this.#self(client)
    return self === undefined ? 'stranger' : (self.upstream ?? 'nobody')
  }

  /** Those of this host come first: they are nearer. */
  #inTurn(known: readonly Known[]): readonly Ip[] {
    const turn = this.#turn++
    const [near, far] = [true, false].map(isNear =>
      addressesOf(known.filter(({ domain }) => (domain !== undefined) === isNear)),
    )
    return [...rotated(near ?? [], turn), ...rotated(far ?? [], turn)]
  }
}

function rotated(addresses: readonly Ip[], by: number): readonly Ip[] {
  const first = addresses.length === 0 ? 0 : by % addresses.length
  return [...addresses.slice(first), ...addresses.slice(0, first)]
}

const addressesOf = (known: readonly Known[]): Ip[] => [
  ...new Set(known.flatMap(({ addresses }) => addresses)),
]

/** A name without what it ends in. */
const bare = (name: string, suffix: string): string[] =>
  name.endsWith(`.${suffix}`) ? [name.slice(0, -suffix.length - 1)] : []

const full = (name: string, domain: string): string => (name.includes('.') ? name : `${name}.${domain}`)
