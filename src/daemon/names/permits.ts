/**
 * Lets containers reach what they are about to be told, where their lists have the name (nat/reach/names.ts).
 *
 * Who asks for it is a thread that reads what strangers send: so nothing is taken from it but who asked, the name and the
 * addresses, and whether a list has the name is looked up here.
 */

import type { Permit } from '../../dns/dns.ts'
import type { Ip } from '../../model/address/address.ts'
import { messageOf } from '../../model/errors.ts'
import { type Fill, fillReach, NamedReach, TTL_MAX_S } from '../../nat/nat.ts'
import type { Told } from './known.ts'

/** Of one container: what it asks for, and is answered, are strangers' words without end. */
const SAID_MAX = 32
/** Addresses in one line. */
const SHOWN_MAX = 4

export class NamePermits {
  readonly #log: (line: string) => void
  /** By the container: its interfaces with a list, by owner. */
  readonly #lists = new Map<string, Map<string, NamedReach>>()
  /** Who asks, by network and address. */
  readonly #askers = new Map<string, string>()
  /** What was said of a container, by network and address. */
  readonly #said = new Map<string, Set<string>>()

  constructor(log: (line: string) => void) {
    this.#log = log
  }

  /**
   * @param before what was told of this owner; undefined: it is new
   * @param told undefined: it is no more
   */
  change(owner: string, before: Told | undefined, told: Told | undefined): void {
    if (before !== undefined) this.#forget(owner, before)
    if (told === undefined) return
    const { network, container, addresses } = told.known
    for (const ip of addresses) this.#askers.set(askerOf(network, ip), container)
    if (told.named === undefined) return
    const lists = this.#lists.get(container) ?? new Map<string, NamedReach>()
    lists.set(owner, new NamedReach(owner, told.named))
    this.#lists.set(container, lists)
  }

  #forget(owner: string, { known: { network, container, addresses } }: Told): void {
    // Who has the address by now may have come before it was noticed that this one had gone.
    for (const asker of addresses.map(ip => askerOf(network, ip)))
      if (this.#askers.get(asker) === container) {
        this.#askers.delete(asker)
        this.#said.delete(asker)
      }
    const lists = this.#lists.get(container)
    lists?.delete(owner)
    if (lists?.size === 0) this.#lists.delete(container)
  }

  /** @returns of each how long the answer may last at most; undefined: the client shall not have it */
  readonly permit = (permits: readonly Permit[]): (number | undefined)[] => {
    const refused = new Map<Permit, unknown>()
    const fills = permits.flatMap(permit => {
      try {
        return this.#fillsOf(permit).map(fill => ({ ...fill, permit }))
      } catch (thrown) {
        refused.set(permit, thrown)
        return []
      }
    })
    try {
      for (const [{ permit }, why] of fillReach(fills)) refused.set(permit, why)
    } catch (thrown) {
      for (const { permit } of fills) refused.set(permit, thrown)
    }
    for (const [permit, why] of refused) this.#say(permit, 'is not told', `is not told it: ${messageOf(why)}`)
    return permits.map(permit => (refused.has(permit) ? undefined : TTL_MAX_S))
  }

  #fillsOf(permit: Permit): Fill[] {
    const { network, ip, name, addresses, ttlS } = permit
    const fills: Fill[] = []
    for (const [owner, reach] of this.#lists.get(this.#askers.get(askerOf(network, ip)) ?? '') ?? []) {
      const entries = reach.entriesOf(name, addresses, ttlS)
      if (entries === undefined) continue
      const { elements, lastsS, near, beyond } = entries
      fills.push({ owner, elements, lastsS })
      if (near.length > 0)
        this.#say(
          permit,
          'near',
          `is led to ${someOf(near)} by it: a name does not allow that, an entry of the address would`,
        )
      if (beyond.length > 0)
        this.#say(
          permit,
          'beyond',
          `may not reach ${beyond.length} of its addresses, which are that many: allow their prefix`,
        )
    }
    return fills
  }

  /** Once for each name of a container, and no more than so many. */
  #say({ network, ip, name }: Permit, kind: string, what: string): void {
    const asker = askerOf(network, ip)
    const said = this.#said.get(asker) ?? new Set()
    const key = `${kind} ${name}`
    if (said.has(key) || said.size >= SAID_MAX) return
    this.#said.set(asker, said.add(key))
    const who = `container ${ip} of network ${network}`
    this.#log(`name ${name}: ${who} ${what}`)
    if (said.size === SAID_MAX) this.#log(`${who}: no more is said of the names that it asks for`)
  }
}

const someOf = (addresses: readonly Ip[]): string =>
  addresses.length > SHOWN_MAX
    ? `${addresses.slice(0, SHOWN_MAX).join(', ')} and ${addresses.length - SHOWN_MAX} more`
    : addresses.join(', ')

const askerOf = (network: string, ip: Ip): string => `${ip} ${network}`
