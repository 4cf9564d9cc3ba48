/**
 * Rules of others change after something was published: a firewall is turned on, or off. The kernel numbers the
 * generations of its rule set, so nothing is looked at while nothing changes; legacy iptables has no such number,
 * and is looked at every few seconds.
 */

import { generationHere, hasLegacyRules, othersHaveRules } from '../../foreign/foreign.ts'
import type { Publication } from '../../model/publication/publication.ts'

/** How long others may wait for what is judged at one time. */
const TURN_MS = 20
const LEGACY_EVERY_MS = 5_000

/** Who is to be judged anew. */
export class Reconsidering {
  #generation: number | undefined
  #lookedAt = 0
  /** Ids that are still to be judged since the rules changed. */
  #left = new Set<string>()

  /**
   * Judges as many as there is time for; the others, and those that something else is done to, are next time's.
   * @param all is asked for only where there is something to judge
   * @param isSettled false: it cannot be judged now
   * @param judge true where something about it has changed
   * @returns those about which it has
   */
  changed<T extends Pick<Publication, 'id' | 'natObstacle'>>(
    all: () => readonly T[],
    isSettled: (one: T) => boolean,
    judge: (one: T) => boolean,
  ): T[] {
    const isNew = this.#haveRulesChanged()
    if (!isNew && this.#left.size === 0) return []
    const here = all()
    // Without any rules of others nobody is obstructed who was not.
    const concerns =
      isNew && othersHaveRules() ? () => true : ({ natObstacle }: T) => natObstacle !== undefined
    const left = here.filter(one => (isNew ? concerns(one) : this.#left.has(one.id)))
    this.#left = new Set(left.map(({ id }) => id))
    const until = performance.now() + TURN_MS
    return here.filter(one => {
      if (!this.#left.has(one.id) || performance.now() > until || !isSettled(one)) return false
      this.#left.delete(one.id)
      return judge(one)
    })
  }

  /** One that was judged, and then was another already: it is judged once more. */
  again(id: string): void {
    this.#left.add(id)
  }

  #haveRulesChanged(): boolean {
    const now = performance.now()
    const generation = generationHere()
    const isLegacyDue = now - this.#lookedAt > LEGACY_EVERY_MS && ([4, 6] as const).some(hasLegacyRules)
    if (generation === this.#generation && !isLegacyDue) return false
    this.#generation = generation
    this.#lookedAt = now
    return true
  }
}
