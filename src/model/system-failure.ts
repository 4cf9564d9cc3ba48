/**
 * Errors of the system that nobody foresaw at the place where they came up: a file that cannot be opened since there
 * are too many, a namespace that cannot be entered for want of memory. They are nobody's fault here, and what to do about
 * them follows from their name (errno(3)).
 */

import type { ErrorCode } from './errors.ts'

export interface SystemFailure {
  code: ErrorCode
  /** What is to be done. */
  details?: string
}

const OPEN_FILES = 'this process has as many files open as it may: raise its limit (ulimit -n, LimitNOFILE)'
const PROCESSES = 'no more processes may be started here: raise the limit (ulimit -u, pids.max, TasksMax)'
const MEMORY = 'no memory is left, on this host or in this control group (memory.max)'

/** What is used up, by errno's name. Later there may be some again. */
const LIMITS: Record<string, string> = {
  EMFILE: OPEN_FILES,
  ENFILE: 'this host has as many files open as it may: raise fs.file-max',
  ENOMEM: MEMORY,
  ENOBUFS: MEMORY,
  EAGAIN: PROCESSES,
}

/** What EAGAIN means a limit for; elsewhere it is a matter of waiting. */
const STARTS = /spawn|fork|clone|starting /

/** What the system said, where that is what something is about; undefined for all else. */
export function systemFailure(thrown: unknown): SystemFailure | undefined {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    const { code = '', syscall = '' } = error as Error & { code?: unknown; syscall?: unknown }
    const limit = LIMITS[String(code)]
    if (limit !== undefined && (code !== 'EAGAIN' || STARTS.test(String(syscall))))
      return { code: 'try-again', details: limit }
  }
  const isSystems = thrown instanceof Error && 'syscall' in thrown && 'code' in thrown
  return isSystems ? { code: thrown.name === 'SystemError' ? 'kernel' : 'io' } : undefined
}
