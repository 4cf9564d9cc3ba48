/** Who is attached: the daemon knows without reading; where none answers, the records are read. */

import { connectControl } from '../../control/client.ts'
import { TsnetError } from '../../model/errors.ts'
import { type Attached, listAttached } from '../../networks/networks.ts'

/** Then the records tell it as well. */
const WITHIN_MS = 5_000

/** @param word whom it may mean, see networks/attached.ts; absent: all */
export async function attachedHere(word?: string): Promise<Attached[]> {
  try {
    using client = await connectControl()
    client?.mustAnswer()
    if (client !== undefined) return (await client.ask('attached', { word }, WITHIN_MS)) as Attached[]
  } catch (thrown) {
    // It is an earlier one, hangs, or has just ended.
    if (!(thrown instanceof TsnetError)) throw thrown
  }
  return listAttached(word)
}
