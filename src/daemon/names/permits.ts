/**
 * Lets containers reach what they are about to be told, where their lists have the name (nat/reach/names.ts).
 *
 * Who asks for it is a thread that reads what strangers send: so nothing is taken from it but who asked, the name and the
 * addresses, and whether a list has the name is looked up here.
 */

import type { Permit } from '../../dns/dns.ts'
import type { Ip } from '../../model/address/address.ts'
import { messageOf } from '../../model/errors.ts'
import { fillReach, NamedReach, TTL_MAX_S } from '../../nat/nat.ts'
import type { Told } from './known.ts'

/** Names of which something was said are remembered, so that it is said once. */
const SAID_MAX = 1_024

export class NamePermits {
  readonly #log: (line: string) => void
  /** By the container: its interfaces with a list, by owner. */
  readonly #lists = new Map<string, Map<string, NamedReach>>()
  /** Who asks, by network and address. */
  readonly #askers = new Map<string, string>()
  readonly #said = new Set<string>()

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
    lists.set(owner, new NamedReach(told.named))
    this.#lists.set(container, lists)
  }

  #forget(owner: string, { known: { network, container, addresses } }: Told): void {
    // Who has the address by now may have come before it was noticed that this one had gone.
    for (const asker of addresses.map(ip => askerOf(network, ip)))
      if (this.#askers.get(asker) === container) this.#askers.delete(asker)
    const lists = this.#lists.get(container)
    lists?.delete(owner)
    if (lists?.size === 0) this.#lists.delete(container)
  }

  /** @returns how long the answer may last at most; undefined: the client shall not have it */
  readonly permit = ({ network, ip, name, addresses, ttlS }: Permit): number | undefined => {
    const lists = this.#lists.get(this.#askers.get(askerOf(network, ip)) ?? '')
    try {
      for (const [owner, reach] of lists ?? []) {
        const entries = reach.entriesOf(name, addresses, ttlS)
        if (entries === undefined) continue
        fillReach(owner, entries)
        if (entries.near.length > 0)
          this.#say(
            `name ${name} leads container ${ip} of network ${network} to ${entries.near.join(', ')}: a name does not allow that, an entry of the address would`,
          )
        if (entries.beyond.length > 0)
          this.#say(
            `name ${name} has so many addresses that container ${ip} of network ${network} may not reach ${entries.beyond.length} of them: allow their prefix`,
          )
      }
      return TTL_MAX_S
    } catch (thrown) {
      this.#say(`container ${ip} of network ${network} is not told ${name}: ${messageOf(thrown)}`)
      return undefined
    }
  }

  #say(line: string): void {
    if (this.#said.has(line)) return
    if (this.#said.size >= SAID_MAX) this.#said.clear()
    this.#said.add(line)
    this.#log(line)
  }
}

const askerOf = (network: string, ip: Ip): string => `${ip} ${network}`
