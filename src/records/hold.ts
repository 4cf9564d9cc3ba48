/** Locks of many owners at once, without waiting for any. */

import { type FileLock, tryLockFile } from '../ffi/lock.ts'
import { lockPath } from './records.ts'

export class HeldOwners implements Disposable {
  readonly #locks = new Map<string, FileLock>()

  /** True where nobody else does anything to this owner until all is let go. */
  take(owner: string): boolean {
    if (this.#locks.has(owner)) return true
    const lock = tryLockFile(lockPath(owner), { removeAfter: true })
    if (lock !== undefined) this.#locks.set(owner, lock)
    return lock !== undefined
  }

  [Symbol.dispose](): void {
    for (const lock of this.#locks.values()) lock[Symbol.dispose]()
    this.#locks.clear()
  }
}
