/**
 * What a network of hosts writes down, as one: this host's prefix (kept.ts), who the others are and what their containers are
 * called (known.ts). It is read when a daemon begins, and stays when one ends.
 */

import type { HostPool } from '../model/hosts/hosts.ts'
import type { Claim } from './claim.ts'
import { forgetHeld, type Kept, readHeld, writeHeld } from './kept.ts'
import {
  type Known,
  KnownFile,
  type KnownName,
  readKnown,
  readKnownNames,
  writeKnown,
  writeKnownNames,
} from './known.ts'

export class Written {
  /** Of the others, when this daemon began. */
  readonly known: Known | undefined
  /** Who they are from now on, and what they say of their containers. */
  readonly members: KnownFile<Known>
  readonly names: KnownFile<KnownName[]>
  readonly #network: string
  readonly #pools: HostPool[]

  constructor(network: string, pools: HostPool[]) {
    this.#network = network
    this.#pools = pools
    this.known = readKnown(network)
    this.members = new KnownFile(each => writeKnown(network, each))
    this.names = new KnownFile(each => writeKnownNames(network, each))
  }

  /** This host's number, as it was last written. */
  get held(): Kept | undefined {
    return readHeld(this.#network, this.#pools)
  }

  /** Names of the others' containers, as they were last written. */
  get knownNames(): KnownName[] {
    return readKnownNames(this.#network)
  }

  hold({ number, until }: Claim, mtu: number): void {
    writeHeld(this.#network, { number, until, pools: this.#pools, mtu })
  }

  letGo(): void {
    forgetHeld(this.#network)
  }

  /** The network is not on this host any more. Its prefix stays, should it come back. */
  forgetOthers(): void {
    writeKnown(this.#network, undefined)
    writeKnownNames(this.#network, undefined)
  }
}
