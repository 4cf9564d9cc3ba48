/** A call of netavark, as the daemon does it for its caller. */

import type { Operations } from '../../cni/plugin.ts'
import { answer } from '../../netavark/netavark.ts'
import { hostOf } from '../../networks/networks.ts'
import { hasPathsOfItsOwn } from './caller.ts'
import type { Asked, Job } from './calls.ts'

const COMMANDS: readonly (string | undefined)[] = ['create', 'setup', 'teardown']

export const isNetavarks = ({ kind, caller }: Asked): boolean =>
  kind === 'command' && COMMANDS.includes(caller.words[0])

/** Undefined where the caller has other files than we, or names them from where it is. */
export function netavarkCall({ caller, stdin }: Asked, operations: Operations): Job | undefined {
  const { words, env, sameView } = caller
  const [command, ...more] = words
  if (!sameView || hasPathsOfItsOwn(env) || more.some(path => !path.startsWith('/'))) return undefined
  const host = { ...hostOf(env), operations: async () => operations }
  const doAs = (words: readonly string[]) => () => answer({ words, readStdin: () => stdin, host })
  return {
    container: containerIn(stdin),
    carryOut: doAs(words),
    ...(command === 'setup' && { takeBack: doAs(['teardown', ...more]) }),
  }
}

/** What cannot be read is refused, in whatever order. */
function containerIn(json: string): string | undefined {
  const [, id] = /"container_id"\s*:\s*"([^"\\]*)"/.exec(json) ?? []
  return id
}
