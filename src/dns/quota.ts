/** So many at a time, of one client and of all. */

import type { Ip } from '../model/address/address.ts'

export class Quota {
  readonly #most: number
  readonly #mostOfOne: number
  readonly #perClient = new Map<Ip, number>()
  #count = 0

  constructor(most: number, mostOfOne: number) {
    this.#most = most
    this.#mostOfOne = mostOfOne
  }

  get count(): number {
    return this.#count
  }

  /** @returns false where there are too many */
  enter(client: Ip): boolean {
    const ofClient = this.#perClient.get(client) ?? 0
    if (this.#count >= this.#most || ofClient >= this.#mostOfOne) return false
    this.#perClient.set(client, ofClient + 1)
    this.#count++
    return true
  }

  leave(client: Ip): void {
    const left = (this.#perClient.get(client) ?? 1) - 1
    if (left > 0) this.#perClient.set(client, left)
    else this.#perClient.delete(client)
    this.#count--
  }
}
