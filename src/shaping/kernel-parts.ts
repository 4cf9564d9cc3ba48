/** Steps for which the kernel needs parts, or may have nothing left to do. */

import { hasCode, messageOf, TsnetError } from '../model/errors.ts'

/** Runs a step for which the kernel must have a part that can be left out of it. */
export function needs<T>(part: string, step: () => T): T {
  try {
    return step()
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT', 'EOPNOTSUPP')) throw cause
    throw new TsnetError(
      'missing',
      `bandwidth: this kernel has no ${part}, without which it cannot be limited`,
      { details: messageOf(cause), cause },
    )
  }
}

/** Takes something away that may be gone already, with the link it was on. */
export function unlessGone(work: () => void): void {
  try {
    work()
  } catch (thrown) {
    if (!hasCode(thrown, 'ENODEV', 'ENOENT')) throw thrown
  }
}
