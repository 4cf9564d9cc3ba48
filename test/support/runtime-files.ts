/** Folders of runtimes that are not there: what each would leave on a disk, below a folder of the test's. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export type Files = Record<string, string | object>

/** Writes files below a folder; values that are no text as JSON. */
export function writeFiles(root: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  }
}

/** As runtimes write it down beside a pid: when we ourselves started, in ticks since boot. */
export function ownStartTicks(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
}

/** An id as machines make them. */
export const longId = (beginning: string): string => beginning.padEnd(64, '0')
