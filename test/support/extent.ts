/** How much a test of faults does: a little in `npm test`, all of it in `npm run test:faults`, which sets TSNET_FAULTS. */

import { ALL } from './faults.ts'

export const isLong = ALL

/** @param more what the long form does */
export const extent = <T>(few: T, more: T): T => (isLong ? more : few)

/** What random choices begin with: TEST_SEED, or one, or in the long form five. */
export const seeds: readonly number[] =
  process.env.TEST_SEED === undefined ? extent([1], [1, 2, 3, 4, 5]) : [Number(process.env.TEST_SEED)]
