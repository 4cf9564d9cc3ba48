/**
 * Which address of a container is dialled from inside its network namespace: one on which the service listens.
 *
 *     the container's own address      where the service listens on it, or on all
 *     an address of loopback           where it listens on that alone
 *
 * A service sees every client as who dials it. From the container's own address, a stream's client is not
 * taken for the container itself, which some trust, and comes from there also where it is loopback that is
 * dialled. A datagram goes to loopback from loopback only: a service on all addresses answers from the one
 * that its kernel prefers towards the client, and a reply from another than was asked would be dropped.
 *
 * The tables of sockets are read when somebody is dialled, and are good for a moment.
 */

import { readFileSync } from 'node:fs'
import { familyOf, type Ip, isLoopback } from '../model/address/address.ts'
import type { Protocol } from '../model/port-mapping.ts'
import { readWaiting, tablesOf } from '../model/socket-table.ts'

const KNOWN_MS = 1_000
/** Nobody listens: that changes. */
const UNKNOWN_MS = 20

const LOOPBACK = '127.0.0.1' as Ip
const ANY = { 4: '0.0.0.0', 6: '::' } as Record<4 | 6, Ip>

export class InsidePlaces {
  readonly #own: readonly Ip[]
  readonly #protocol: Protocol
  #readAt = Number.NEGATIVE_INFINITY
  #places = new Map<number, Ip[]>()

  /** @param own the container's addresses, the preferred one first */
  constructor(own: readonly Ip[], protocol: Protocol) {
    this.#own = own
    this.#protocol = protocol
  }

  /** Where to dial for a port. To be asked by a thread that is in the namespace. @param now in ms */
  find(port: number, now: number): Ip {
    const goodMs = this.#places.has(port) ? KNOWN_MS : UNKNOWN_MS
    if (now - this.#readAt >= goodMs) {
      this.#places = readPlaces(this.#protocol)
      this.#readAt = now
    }
    return placeToDial(this.#places.get(port) ?? [], this.#own)
  }

  /** The address to dial another from; undefined: the kernel's choice. */
  sourceFor(ip: Ip): Ip | undefined {
    if (!isLoopback(ip) || this.#protocol === 'udp') return undefined
    return this.#own.find(each => familyOf(each) === familyOf(ip))
  }
}

/**
 * @param places where a service listens
 * @param own the container's addresses
 */
export function placeToDial(places: readonly Ip[], own: readonly Ip[]): Ip {
  const listensOn = (ip: Ip) => places.includes(ip) || places.includes(ANY[familyOf(ip)])
  const [preferred] = own
  return (
    own.find(listensOn) ??
    // A socket on :: takes IPv4 as well, as a rule; and where there is no network, IPv6 is often off.
    (places.includes(ANY[6]) ? (preferred ?? LOOPBACK) : undefined) ??
    places.find(isLoopback) ??
    (places.length > 0 ? LOOPBACK : (preferred ?? LOOPBACK))
  )
}

function readPlaces(protocol: Protocol): Map<number, Ip[]> {
  const text = tablesOf(protocol).map(table => {
    try {
      return readFileSync(`/proc/thread-self/net/${table}`, 'utf8')
    } catch {
      return '' // a family or protocol that this kernel lacks
    }
  })
  const places = new Map<number, Ip[]>()
  for (const { ip, port } of readWaiting(protocol, text.join('\n'))) {
    const there = places.get(port)
    if (there === undefined) places.set(port, [ip])
    else there.push(ip)
  }
  return places
}
