/** How much of what can fail is made to fail; test/faults/faults.ts tells the theory. */

/** All points (`npm run test:faults`), and not only those that are quick. */
export const ALL: boolean = process.env.TSNET_FAULTS === 'all'
