/**
 * What containers of this host are called, for the other hosts of their networks.
 *
 * An ADD or DEL is noticed as it has ended, or within a second where nobody told of it, and waits for nothing.
 */

import type { NameWord } from '../../hosts/hosts.ts'
import { type CalledEntries, Changes } from './changes.ts'
import type { HostNetworks } from './hosts.ts'

export class OwnNames {
  readonly #changes: Changes
  readonly #networks: Pick<HostNetworks, 'isNeeded' | 'say'>
  readonly #said = new Map<string, Map<string, NameWord>>()
  #next: NodeJS.Immediate | undefined

  constructor(index: CalledEntries, networks: Pick<HostNetworks, 'isNeeded' | 'say'>) {
    this.#changes = new Changes(index)
    this.#networks = networks
  }

  /** Looks once those have been answered who wait now. */
  soon(): void {
    if (!this.#networks.isNeeded) return
    this.#next ??= setImmediate(() => {
      this.#next = undefined
      this.look()
    })
  }

  look(): void {
    const changes = this.#networks.isNeeded ? this.#changes.next() : undefined
    if (changes === undefined) return
    const { go, come } = changes
    for (const [owner, { network }] of go) this.#said.get(network)?.delete(owner)
    for (const [owner, called] of come) {
      const there = this.#said.get(called.network) ?? new Map<string, NameWord>()
      this.#said.set(called.network, there.set(owner, called))
    }
    this.#networks.say(this.#said, new Set([...go, ...come].map(([, { network }]) => network)))
  }
}
