/** Random bytes, from the kernel: Node's crypto takes 4 ms to load. */

import { libc, must } from './ffi.ts'

/** @param count at most 256, which the kernel gives at once. Source: getrandom(2) */
export function randomBytes(count: number): Uint8Array {
  const bytes = new Uint8Array(count)
  must('getrandom', libc.getrandom(bytes, count, 0))
  return bytes
}
