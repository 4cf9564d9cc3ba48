/**
 * What leads to the other hosts, as soon as it is known who they are and which prefix is this host's.
 *
 *     remember()              who was known when the machine went down, where the kernel holds nothing yet
 *     claimed(), changed()    who is there: what the kernel holds is made that
 *     look()                  and kept so, when something of it is gone (misses)
 *
 * Before all is read nothing is taken away: what an earlier daemon left would go, and come again.
 */

import { Carrier, linkAddress, type Underlay } from './carrier/carrier.ts'
import { Egress, removeEgress } from './egress/egress.ts'
import type { Layout } from './keys.ts'
import type { Loss } from './losses.ts'
import type { Member, MembersChange } from './members.ts'

export interface LeadingOptions {
  network: string
  /** This host. */
  id: string
  layout: Layout
  /** How the network leaves its hosts; absent: each by itself. */
  leaving?: ConstructorParameters<typeof Egress>[1] | undefined
  /** Ids of hosts that take nothing new. */
  drained(): ReadonlySet<string>
  /** The other hosts, as they are known now. */
  members(): Member[]
  /** It leads to all others. */
  made(): void
  log(line: string): void
}

interface Led {
  carrier: Carrier
  egress: Egress | undefined
  number: number
}

export class Leading {
  readonly #options: LeadingOptions
  #underlay: Underlay
  #number: number | undefined
  /** Who the others are was read from etcd. */
  #isRead = false
  #carrier: Led | undefined

  constructor(options: LeadingOptions, underlay: Underlay) {
    this.#options = options
    this.#underlay = underlay
  }

  /** @param number that this host had @throws what the kernel says */
  remember(number: number): void {
    const made = this.#carrierOf(number)
    if (!made.carrier.isThere()) this.#lead(made)
  }

  /** @throws what the kernel says; the next look tries again */
  claimed(number: number): void {
    this.#number = number
    this.#make()
  }

  /** @throws what the kernel says; the next look tries again */
  changed(change: MembersChange): void {
    this.#isRead = true
    if (this.#carrier !== undefined) {
      const { carrier, egress } = this.#carrier
      carrier.change(change)
      egress?.follow(this.#options.members(), this.#options.drained(), carrier.link)
    }
    this.#make()
  }

  /** @throws what the kernel says */
  look(underlay: Underlay): void {
    this.#underlay = underlay
    this.#carrier?.carrier.look(underlay)
    this.#leave()
  }

  /** Whether one of these is something that it has made. */
  misses(losses: ReadonlySet<Loss>): boolean {
    const carrier = this.#carrier?.carrier
    if (losses.has('anything') || carrier === undefined) return true
    return [...losses].some(key => carrier.holds(key))
  }

  /** Nothing was refused. */
  get isWhole(): boolean {
    return this.#carrier?.carrier.isWhole ?? true
  }

  /** By which packets go to other hosts. */
  get links(): number[] {
    return [this.#underlay.index, this.#carrier?.carrier.link?.index].filter(index => index !== undefined)
  }

  remove(): void {
    this.#carrier?.carrier.remove()
  }

  #make(): void {
    const number = this.#number
    if (number === undefined || !this.#isRead) return
    if (this.#carrier?.number !== number) this.#lead(this.#carrierOf(number))
    this.#options.made()
  }

  #lead(made: Led): void {
    this.#carrier = made
    // A list may have said otherwise before.
    if (made.egress === undefined) removeEgress(this.#options.network)
    made.carrier.look()
    this.#leave()
  }

  /** How the network leaves this host, as it should be now. */
  #leave(): void {
    if (this.#carrier === undefined) return
    const { carrier, egress } = this.#carrier
    egress?.look(this.#options.members(), this.#options.drained(), carrier.link)
  }

  #carrierOf(number: number): Led {
    const { network, id, layout, leaving, members, log } = this.#options
    const place = { network, layout, number, mac: linkAddress(id, network) }
    const carrier = new Carrier(place, this.#underlay, members(), log)
    return { carrier, egress: leaving && new Egress(place, leaving, log), number }
  }
}
