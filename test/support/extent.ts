/** How much a test of faults does: a little in `npm test`, all of it in `npm run test:faults`, which sets TSNET_FAULTS. */

export const isLong = process.env.TSNET_FAULTS === 'all'

/** @param more what the long form does */
export const extent = <T>(few: T, more: T): T => (isLong ? more : few)

/** What random choices begin with: TEST_SEED, or one, or in the long form five. */
export const seeds: readonly number[] =
  process.env.TEST_SEED === undefined ? extent([1], [1, 2, 3, 4, 5]) : [Number(process.env.TEST_SEED)]
