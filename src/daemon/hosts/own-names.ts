/**
 * What containers of this host are called, for the other hosts of their networks.
 *
 * An ADD or DEL is noticed as it has ended, or within a second where nobody told of it, and waits for nothing.
 */

import type { NameWord } from '../../hosts/hosts.ts'
import type { EntryIndex } from '../../records/entry-index.ts'
import type { Called } from '../names/known.ts'
import type { HostNetworks } from './hosts.ts'

export class OwnNames {
  readonly #index: Pick<EntryIndex<{ called: Called }>, 'others'>
  readonly #networks: Pick<HostNetworks, 'isNeeded' | 'say'>
  #seen: readonly unknown[] | undefined
  #next: NodeJS.Immediate | undefined

  constructor(
    index: Pick<EntryIndex<{ called: Called }>, 'others'>,
    networks: Pick<HostNetworks, 'isNeeded' | 'say'>,
  ) {
    this.#index = index
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
    if (!this.#networks.isNeeded) return
    const entries = this.#index.others()
    if (entries === this.#seen) return
    this.#seen = entries
    const said = new Map<string, Map<string, NameWord>>()
    for (const { owner, value } of entries) {
      const { network } = value.called
      const there = said.get(network) ?? new Map<string, NameWord>()
      said.set(network, there.set(owner, value.called))
    }
    this.#networks.say(said)
  }
}
