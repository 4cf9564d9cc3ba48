/** Which clients are served: those on the allow list, or all where there is none, without those denied. */

import {
  bitsOf,
  type Cidr,
  type Family,
  familyOf,
  type Ip,
  ipOf,
  lengthOf,
  numberOf,
} from '../../model/address/address.ts'

interface Prefix {
  family: Family
  hostBits: bigint
  network: bigint
}

const prefixOf = (cidr: Cidr): Prefix => {
  const family = familyOf(cidr)
  const hostBits = BigInt(bitsOf(family) - lengthOf(cidr))
  return { family, hostBits, network: numberOf(ipOf(cidr)) >> hostBits }
}

export class AccessList {
  /** False when everybody is served, so that nobody's address has to be looked at. */
  readonly restricts: boolean
  readonly #allow: readonly Prefix[]
  readonly #deny: readonly Prefix[]

  constructor(allow: readonly Cidr[], deny: readonly Cidr[]) {
    this.#allow = allow.map(prefixOf)
    this.#deny = deny.map(prefixOf)
    this.restricts = allow.length > 0 || deny.length > 0
  }

  admits(ip: Ip): boolean {
    const family = familyOf(ip)
    const address = numberOf(ip)
    const isIn = (prefix: Prefix) => prefix.family === family && address >> prefix.hostBits === prefix.network
    return !this.#deny.some(isIn) && (this.#allow.length === 0 || this.#allow.some(isIn))
  }
}
