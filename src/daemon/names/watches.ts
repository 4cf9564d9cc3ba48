/**
 * Who hears what containers are told of names while he is connected (`tsnet egress learn`), whether their lists have them or not.
 *
 * A thread says which client was told; whose address that is, is looked up here. Who reads too slowly misses some, and is told how many
 * once he has read the rest.
 */

import type { Peer } from '../../control/server.ts'
import type { Telling } from '../../dns/dns.ts'
import { TsnetError } from '../../model/errors.ts'
import type { Told } from './known.ts'

/** How many may watch at once. */
export const WATCHES_MAX = 64

/** Who watches. */
export type NameWatcher = Pick<Peer, 'onGone' | 'stays' | 'tell' | 'dismiss'>

interface Watch {
  owners: ReadonlySet<string>
  watcher: NameWatcher
  /** How much he has missed. */
  lost: number
}

export class NameWatches {
  readonly #watches = new Set<Watch>()
  readonly #told: ReadonlyMap<string, Told>
  readonly #changed: (owner: string, told: Told) => void

  /**
   * @param told of all attachments
   * @param changed hears whom somebody watches, or nobody any more
   */
  constructor(told: ReadonlyMap<string, Told>, changed: (owner: string, told: Told) => void) {
    this.#told = told
    this.#changed = changed
  }

  /** @throws TsnetError `try-again` */
  begin(owners: readonly string[], watcher: NameWatcher): void {
    if (this.#watches.size >= WATCHES_MAX)
      throw new TsnetError('try-again', `${WATCHES_MAX} watch names already, which is as many as may`)
    const watch: Watch = { owners: new Set(owners), watcher, lost: 0 }
    this.#watches.add(watch)
    watcher.stays()
    this.#changes(watch)
    watcher.onGone(() => {
      if (this.#watches.delete(watch)) this.#changes(watch)
    })
  }

  #changes({ owners }: Watch): void {
    for (const owner of owners) {
      const told = this.#told.get(owner)
      if (told !== undefined) this.#changed(owner, told)
    }
  }

  isWatched(owner: string): boolean {
    return [...this.#watches].some(({ owners }) => owners.has(owner))
  }

  readonly heard = ({ name, addresses, network, ip }: Telling): void => {
    for (const watch of this.#watches) {
      const isOf = ({ known }: Told) => known.network === network && known.addresses.includes(ip)
      if (![...watch.owners].flatMap(owner => this.#told.get(owner) ?? []).some(isOf)) continue
      const { watcher, lost } = watch
      if (lost > 0 && watcher.tell({ event: 'lost', about: { count: lost } })) watch.lost = 0
      if (watch.lost > 0 || !watcher.tell({ event: 'told', about: { name, addresses } })) watch.lost++
    }
  }

  /** A successor tells names: who watches is to ask him. */
  end(): void {
    for (const { watcher } of this.#watches) watcher.dismiss()
    this.#watches.clear()
  }
}
