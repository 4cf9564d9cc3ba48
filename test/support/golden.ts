/** Golden files: what a pure function should say, as a page that a person can read. */

import { readFileSync, writeFileSync } from 'node:fs'

/**
 * The text of test/golden/NAME. With TSNET_GOLDEN=write it is `actual` from now on; look at the difference
 * before you commit it.
 */
export function golden(name: string, actual: string): string {
  const path = `test/golden/${name}`
  if (process.env.TSNET_GOLDEN === 'write') writeFileSync(path, actual)
  return readFileSync(path, 'utf8')
}
