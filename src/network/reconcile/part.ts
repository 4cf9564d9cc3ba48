/** One part of what is compared and put back: it alone fails, and it alone rests. */

import { messageOf } from '../../model/errors.ts'
import type { Loss } from '../../nat/nat.ts'

export interface Part {
  /** What it is about, for people and for whoever counts how often it was put back: `rules (nftables)`, `bridge cni0`. */
  subject: string
  /**
   * Compares, and puts back unless it is a dry run.
   * @returns what was lacking
   * @throws what is in the way
   */
  mend: (isDry: boolean) => Promise<PartLoss[]>
}

export interface PartLoss extends Loss {
  /** Why it stays as it is: it cannot be put back, or somebody else is at it. */
  why?: string
  /** It will not be otherwise by itself. */
  isFinal?: true
}

/** Why something stays that somebody is making or taking down: it is looked at again soon. */
export const BUSY = 'it is being changed at this moment'

/** Something that is not as it should be, or was not. */
export interface Difference extends PartLoss {
  subject: string
  /** `found` where nothing was to be changed; `kept`: it could not be put back, and `why` says why. */
  outcome: 'found' | 'restored' | 'kept'
}

/** Does a part, and says what became of each loss. */
export async function doPart({ subject, mend }: Part, isDry: boolean): Promise<Difference[]> {
  const outcomeOf = ({ why }: PartLoss) => (why !== undefined ? 'kept' : isDry ? 'found' : 'restored')
  try {
    return (await mend(isDry)).map(loss => ({ subject, ...loss, outcome: outcomeOf(loss) }))
  } catch (thrown) {
    return [{ subject, what: `${subject} could not be put back`, why: messageOf(thrown), outcome: 'kept' }]
  }
}
