/**
 * What a network of hosts writes down, as one: this host's prefix (kept.ts), who the others are and what their containers are
 * called (known.ts). It is read when a daemon begins, and stays when one ends.
 */

import type { HostPool } from '../model/hosts/hosts.ts'
import type { Claim } from './claim.ts'
import { forgetHeld, isBelieved, isSameCut, type Kept, readHeld, writeHeld } from './kept.ts'
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
  readonly #network: string
  readonly #pools: HostPool[]
  readonly #members: KnownFile<Known>
  readonly #names: KnownFile<KnownName[]>

  constructor(network: string, pools: HostPool[]) {
    this.#network = network
    this.#pools = pools
    this.known = readKnown(network)
    this.#members = new KnownFile(each => writeKnown(network, each))
    this.#names = new KnownFile(each => writeKnownNames(network, each))
  }

  /** This host's number, as it was last written. */
  get held(): Kept | undefined {
    const held = readHeld(this.#network)
    return held !== undefined && isSameCut(held.pools, this.#pools) ? held : undefined
  }

  /** The same while nobody else can have it. */
  get believed(): Kept | undefined {
    const { held } = this
    return held !== undefined && isBelieved(held) ? held : undefined
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

  membersChanged(): void {
    this.#members.changed()
  }

  namesChanged(): void {
    this.#names.changed()
  }

  /** @param isLast nobody is there later who would write it */
  writeMembers(members: () => Known, isLast: boolean): void {
    this.#members.write(members, isLast)
  }

  /** @param isLast as of writeMembers */
  writeNames(names: () => KnownName[], isLast: boolean): void {
    this.#names.write(names, isLast)
  }

  /** The network is not on this host any more. Its prefix stays, should it come back. */
  forgetOthers(): void {
    writeKnown(this.#network, undefined)
    writeKnownNames(this.#network, undefined)
  }
}
