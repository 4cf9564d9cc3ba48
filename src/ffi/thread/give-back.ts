/**
 * Gives back to the kernel what work has left behind: objects that nobody has any more, and freed memory that the C
 * library keeps.
 *
 * V8 collects by what is added, so a process that has come to rest keeps what its last work left for as long as it
 * rests; and until it has collected once, it does not begin to shrink. It takes some ten milliseconds of this thread.
 */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { libc } from '../ffi.ts'

/** V8 frees the memory of buffers in threads of its own, which the collection sets to work. */
const FREED_WITHIN_MS = 1_000

/** What is free goes back a moment later. */
export function giveBackMemory(): void {
  // A context that is made after the flag is set has the function, and goes with the next collection.
  setFlagsFromString('--expose-gc')
  runInNewContext('gc()')
  setTimeout(trim, FREED_WITHIN_MS).unref()
}

function trim(): void {
  try {
    libc.malloc_trim(0)
  } catch {
    // musl has no such function, and keeps less.
  }
}
