/**
 * Which publications a command was to end that the daemon does for a launcher, one file each while it is done. Should
 * the daemon die, the launcher becomes Node and stays the same process: so it knows whether its words named anything, and
 * what of that is left.
 */

import { listOf, text } from '../model/json/shape.ts'
import { processIdentity } from '../netns/processes.ts'
import { listNames } from './run-directory.ts'
import { readState, removeState, writeState } from './state-files.ts'

const FOLDER = 'choices'
const fileOf = (caller: string): string => `${FOLDER}/${caller}.json`

/** @param caller as processIdentity has it */
export const writeChoice = (caller: string, ids: readonly string[]): void => writeState(fileOf(caller), ids)

/** Of this process, before it became what it is; undefined where nothing was chosen for it. */
export function readOwnChoice(): string[] | undefined {
  const caller = processIdentity('self')
  return caller === undefined ? undefined : readState<string[]>(fileOf(caller), listOf(text))
}

export const removeChoice = (caller = processIdentity('self')): void => {
  if (caller !== undefined) removeState(fileOf(caller))
}

/** Removes those of processes that are no more. */
export function tidyChoices(): void {
  for (const name of listNames(FOLDER)) {
    const caller = name.replace(/\.json$/, '')
    if (processIdentity(Number.parseInt(caller, 10)) !== caller) removeChoice(caller)
  }
}
