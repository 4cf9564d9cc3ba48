/** What a process takes of the machine's memory. */

import { readFileSync } from 'node:fs'

export interface Memory {
  /** Pages that are no file's: its own. Processes that come or go beside it, and share its files, change nothing. */
  anonymousKb: number
  /** Its own pages, and its share of those that it has with others. */
  pssKb: number
  /** All of its pages, as `ps` counts them. */
  rssKb: number
}

/** @param proc such as /proc/12 */
export function memoryOf(proc: string): Memory {
  const rollup = readFileSync(`${proc}/smaps_rollup`, 'utf8')
  const kb = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0)
  return { anonymousKb: kb('Anonymous'), pssKb: kb('Pss'), rssKb: kb('Rss') }
}

/** The most that it has had at once. */
export const peakKbOf = (proc: string): number =>
  Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`${proc}/status`, 'utf8'))?.[1] ?? 0)
