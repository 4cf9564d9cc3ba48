/**
 * What a command that is done by the daemon reads of it: as it is here, where through the socket thousands of ports would
 * be printed and read again. It is the daemon's own and must not be changed. Who has been succeeded asks his successor.
 */

import { type Asker, connectControl } from '../../control/client.ts'
import type { Handlers, Peer } from '../../control/server.ts'
import { TsnetError } from '../../model/errors.ts'
import type { Succession } from '../succession.ts'

/** Change nothing, and answer at once. */
const READING: readonly string[] = ['attached', 'held', 'host-troubles', 'ports']

/** None of them asks who it is. */
const NOBODY: Peer = {
  pid: () => 0,
  onGone() {},
  stays() {},
  tell: () => false,
  isThere: () => true,
  dismiss() {},
}

export function ownAsker(operations: Handlers, succession: Pick<Succession, 'whileServing'>): Asker {
  return {
    async ask(operation, words, withinMs) {
      const read = READING.includes(operation) ? operations[operation] : undefined
      const look = async () => ({ is: await read?.(words, NOBODY) })
      const answer = read === undefined ? undefined : await succession.whileServing(look)
      if (answer !== undefined) return answer.is
      using client = await connectControl()
      if (client === undefined) throw new TsnetError('try-again', 'the daemon is being replaced')
      return await client.ask(operation, words, withinMs)
    },
    standstill: () => undefined,
    mustAnswer() {},
    [Symbol.dispose]() {},
  }
}
