/** Things that wait for the kernel, at the same time. */

import { everyStep, type Step } from './undo.ts'

/** Begins all steps, then waits for all. @throws what failed */
export async function sideBySide(...steps: Step[]): Promise<void> {
  const begun = steps.map(async step => step())
  await Promise.allSettled(begun)
  await everyStep(begun.map(step => () => step))
}
