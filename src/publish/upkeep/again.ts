/**
 * The containers of a publication as they are now. Only a runtime that answers, and does not know one any more,
 * says that it is gone; while it does not run, or nobody can say, it stays as it was. To a publication that is kept one
 * that is gone may come back, so it stays among its containers.
 */

import { hasCode } from '../../model/errors.ts'
import type { Container, Publication } from '../../model/publication/publication.ts'
import { isThere } from '../../netns/container.ts'
import { lookAgain } from '../../runtime/runtime.ts'
import type { Resolver } from '../resolve.ts'

export interface FoundAgain {
  /** Without those that are gone for good. */
  containers: Container[]
  /** There is none that is there, or of which nobody can say. */
  areGone: boolean
  /** Why nobody could say of some. */
  failures: unknown[]
}

/** @param anew look into those that run, too: addresses may have come since */
export async function findAgain(
  { containers, keep }: Pick<Publication, 'containers' | 'keep'>,
  resolver: Pick<Resolver, 'findAgain'>,
  anew: boolean,
): Promise<FoundAgain> {
  const failures: unknown[] = []
  let gone = 0
  const again = async (container: Container): Promise<Container | undefined> => {
    if (isThere(container.netns)) return anew ? refreshed(container) : container
    try {
      return await resolver.findAgain(container)
    } catch (thrown) {
      if (isGone(container, thrown)) {
        gone++
        return keep ? container : undefined
      }
      if (!hasCode(thrown, 'not-running')) failures.push(thrown)
      return container
    }
  }
  const found = await Promise.all(containers.map(again))
  return {
    containers: found.filter(each => each !== undefined),
    areGone: gone === containers.length,
    failures,
  }
}

/** With the addresses that it has now; where it cannot be looked into, those that are known. */
function refreshed(container: Container): Container {
  try {
    return lookAgain(container)
  } catch {
    return container
  }
}

/** A namespace that has no container is its name: it is gone with that. */
export const isGone = ({ runtime }: Container, thrown: unknown): boolean =>
  hasCode(thrown, 'unknown-container') || (runtime === 'netns' && hasCode(thrown, 'invalid-netns'))
