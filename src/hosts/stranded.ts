/**
 * Containers that have an address of a prefix which this host had before. After it was away for so long that its prefix
 * ended it may get another one: others lead nothing to these containers any more, or to whoever has the prefix now.
 */

import { type Cidr, contains, familyOf, ipOf } from '../model/address/address.ts'
import type { HostPool } from '../model/hosts/hosts.ts'
import { listEntries } from '../records/records.ts'

const LOOK_MS = 60_000

const isWithin = (prefixes: readonly Cidr[], address: Cidr): boolean =>
  prefixes.some(prefix => familyOf(prefix) === familyOf(address) && contains(prefix, ipOf(address)))

export class Stranded {
  readonly #network: string
  readonly #subnets: Cidr[]
  #prefixes: string | undefined
  #count = 0
  #lookedAt = 0

  constructor(network: string, pools: readonly HostPool[]) {
    this.#network = network
    this.#subnets = pools.map(({ subnet }) => subnet)
  }

  /** A sentence; undefined: there are none. */
  get trouble(): string | undefined {
    const all = this.#count === 1 ? '1 container has' : `${this.#count} containers have`
    return this.#count === 0
      ? undefined
      : `${all} an address of a prefix that this host had before: other hosts do not reach them until they are attached again`
  }

  /** Looks at records of all containers where the prefix is another one, and now and then while there are some. */
  look(prefixes: readonly Cidr[]): void {
    const isSame = prefixes.join() === this.#prefixes
    if (isSame && (this.#count === 0 || performance.now() - this.#lookedAt < LOOK_MS)) return
    this.#prefixes = prefixes.join()
    this.#lookedAt = performance.now()
    this.#count = listEntries().filter(({ entry: { attachment } }) => {
      const addresses = attachment.network === this.#network ? attachment.leases : []
      return addresses.some(({ address }) => isWithin(this.#subnets, address) && !isWithin(prefixes, address))
    }).length
  }
}
