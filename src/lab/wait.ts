/**
 * Waiting for a state, never for a time: a condition is asked again and again until it holds or a
 * deadline passes.
 */

import { messageOf } from '../model/errors.ts'

export interface Patience {
  /** What is waited for, as it stands in the error: `the port to answer`. */
  what: string
  /** Default 30 000: it costs nothing where all is well, and machines are busy. */
  withinMs?: number
}

/**
 * Asks until the answer is truthy, and returns it. An answer that throws counts as "not yet".
 * @throws Error after `withinMs`, saying what was waited for and the last error
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  patience: Patience,
): Promise<NonNullable<T>> {
  const { what, withinMs = 30_000 } = patience
  const deadline = performance.now() + withinMs
  let pauseMs = 2
  let reason = ''
  for (;;) {
    try {
      const answer = await condition()
      if (answer) return answer
      reason = ''
    } catch (thrown) {
      reason = `: ${messageOf(thrown)}`
    }
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms for ${what}, in vain${reason}`)
    await new Promise(resolve => setTimeout(resolve, pauseMs))
    pauseMs = Math.min(pauseMs * 1.5, 100)
  }
}
