/** A CNI call, as the daemon does it for its caller. */

import { answer } from '../../cni/cni.ts'
import type { Operations } from '../../cni/plugin.ts'
import { runDirectory } from '../../records/records.ts'
import { sharesFiles } from './caller.ts'
import type { Asked, Job } from './calls.ts'

/** Where plugins keep leases and what else there is, unless they are told otherwise. */
const STATE = ['/var/lib/cni', '/run/cni/tuning', '/etc/cni/tuning']

/** Undefined where the caller has other files than we. */
export function cniCall(asked: Asked, operations: Operations): Job | undefined {
  const { caller, stdin } = asked
  if (!sharesFiles(caller, pathsOf(asked))) return undefined
  const command = caller.env.CNI_COMMAND
  const doAs = (command: string | undefined) => async () => {
    const env = { ...caller.env, CNI_COMMAND: command }
    const { calledAs } = caller
    return answer({ env, calledAs, readStdin: () => stdin, operations: async () => operations })
  }
  return {
    container: caller.env.CNI_CONTAINERID,
    carryOut: doAs(command),
    ...(command === 'ADD' && { takeBack: doAs('DEL') }),
  }
}

/** Every path that a call names, as far as one can tell: it must mean the same file here. */
function pathsOf({ caller, stdin }: Asked): string[] {
  const { CNI_NETNS, CNI_PATH = '' } = caller.env
  const named = [CNI_NETNS ?? '', ...CNI_PATH.split(':')].filter(path => path !== '')
  return [runDirectory(), ...STATE, ...named, ...(caller.sameView ? [] : pathsIn(stdin))]
}

/** Keys whose value may be a path from where the caller is, which nobody else can follow. */
const isPathKey = (key: string): boolean => /^(dataDir|resolvConf)$/i.test(key)

/** All that looks like a path in a configuration. */
function pathsIn(json: string): string[] {
  const found: string[] = []
  try {
    JSON.parse(json, (key, value) => {
      if (typeof value === 'string' && (value.startsWith('/') || isPathKey(key))) found.push(value)
      return value
    })
  } catch {
    // It will be refused as it stands.
  }
  return found
}
