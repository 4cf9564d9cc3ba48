/** System calls of one ADD and one DEL of a side. */

import type { Daemon } from '../daemon.ts'
import { measure } from '../meter/meter.ts'
import { countCalls } from '../system-calls.ts'
import { type Command, callBy } from './calls.ts'
import { keepSample, type Side } from './sides.ts'

export const COUNTS: Record<Command, string> = { ADD: 'ADD, system calls', DEL: 'DEL, system calls' }

export async function countSide(side: Side, daemon: Daemon | undefined): Promise<void> {
  for (const command of ['ADD', 'DEL'] as const) {
    const count = await countCalls(prefix => measure([callBy(side, command, prefix)]), daemon?.pid)
    keepSample(side, COUNTS[command], count)
  }
}
