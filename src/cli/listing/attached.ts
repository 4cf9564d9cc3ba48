/** Who is attached: the daemon knows without reading; where none answers, the records are read. */

import { TsnetError } from '../../model/errors.ts'
import { type Attached, listAttached, toldAttached } from '../../networks/attached.ts'
import { readDaemon } from '../ask.ts'
import type { Terminal } from '../terminal.ts'

/** @returns answers a word that may mean some, see networks/attached.ts; absent: all */
export function attachedHere(terminal: Terminal): (word?: string) => Promise<Attached[]> {
  let isTold = true
  return async word => {
    const told = isTold ? await toldBy(terminal, word) : undefined
    isTold = told !== undefined
    return told ?? listAttached(word)
  }
}

async function toldBy(terminal: Terminal, word: string | undefined): Promise<Attached[] | undefined> {
  try {
    using client = await readDaemon(terminal)
    client?.mustAnswer()
    return await toldAttached(client, word)
  } catch (thrown) {
    // None can be asked.
    if (thrown instanceof TsnetError) return undefined
    throw thrown
  }
}
