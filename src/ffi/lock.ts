/**
 * A lock on a file, by flock(2): gone with its holder, however that dies, and honoured between processes
 * and between tasks of one process alike (each lock has its own open file).
 *
 * Letting go comes first: whatever the kernel says to the removal of the file, the lock is free afterwards and the
 * next in line is called. A file that stays is a name without a holder, which is said, and which GC removes.
 *
 * Tasks of one process stand in line, and each is called by the one before. Between processes waiting is
 * polling: a blocked flock could neither be given up at a deadline nor let other tasks run.
 */

import { constants, fstatSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import { surroundings } from '../model/surroundings.ts'
import { errno, libc, SystemError } from './ffi.ts'
import { removeFile } from './remove.ts'

const LOCK_EX = 2
const LOCK_NB = 4

export interface LockOptions {
  /** How long to wait for the holder. */
  withinMs?: number
  /** Remove the file at release, so that locks of short-lived things leave nothing behind. */
  removeAfter?: boolean
}

export class FileLock implements Disposable {
  readonly #path: string
  readonly #removeAfter: boolean
  /**
   * The file was there, and nobody held it: of a lock whose file goes with its holder, the last one died. Now and
   * then true of a file that somebody has just made.
   */
  readonly wasLeft: boolean
  /** Called once it is released. */
  onRelease: () => void = () => {}
  #fd: number

  constructor(path: string, fd: number, removeAfter: boolean, wasLeft = false) {
    this.#path = path
    this.#fd = fd
    this.#removeAfter = removeAfter
    this.wasLeft = wasLeft
  }

  /** The open file that holds it. Whoever has a copy holds it too, until the last copy is closed. */
  get number(): number {
    return this.#fd
  }

  /** Leaves it to whoever has a copy of the open file. */
  leave(): void {
    if (this.#fd < 0) return
    // Not Node's: it is closed whatever close(2) answers.
    libc.close(this.#fd)
    this.#fd = -1
    this.onRelease()
  }

  [Symbol.dispose](): void {
    if (this.#fd < 0) return
    try {
      // Removed while held: whoever waits for this file notices that it has no name any more.
      if (this.#removeAfter) removeFile(this.#path)
    } catch (thrown) {
      // What was done under it is done: that a name is left over makes no failure of it.
      surroundings().complain(`tsnet: warning: a lock file stays: ${messageOf(thrown)}\n`)
    } finally {
      this.leave()
    }
  }
}

/**
 * Takes the lock, or returns undefined when somebody holds it.
 * @throws Node's error when the file cannot be opened; SystemError when it cannot be locked
 */
export function tryLockFile(path: string, options: LockOptions = {}): FileLock | undefined {
  // A FIFO in its place would be waited for.
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const fresh = openNew(path, flags)
  const fd = fresh ?? openSync(path, flags, 0o600)
  let isOurs = false
  try {
    isOurs = tryFlock(fd) && !wasRemoved(fd)
  } finally {
    if (!isOurs) libc.close(fd)
  }
  return isOurs ? new FileLock(path, fd, options.removeAfter ?? false, fresh === undefined) : undefined
}

/** Undefined where the file is there. */
function openNew(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags | constants.O_EXCL, 0o600)
  } catch (thrown) {
    if (hasCode(thrown, 'EEXIST')) return undefined
    throw thrown
  }
}

function tryFlock(fd: number): boolean {
  if (libc.flock(fd, LOCK_EX | LOCK_NB) === 0) return true
  const failure = new SystemError('flock', errno())
  if (failure.code === 'EAGAIN' || failure.code === 'EINTR') return false
  throw failure
}

/** The last in line for each path: settled when the next may try. */
const lines = new Map<string, Promise<void>>()

/**
 * Waits for the lock.
 * @throws TsnetError `try-again` when it is not free in time
 */
export async function lockFile(path: string, options: LockOptions = {}): Promise<FileLock> {
  const { withinMs = 60_000 } = options
  const before = lines.get(path)
  const { promise: done, resolve: leave } = withResolvers()
  lines.set(path, done)
  const left = () => {
    if (lines.get(path) === done) lines.delete(path)
    leave()
  }
  if (before !== undefined && !(await settles(before, withinMs))) {
    // Whoever stands behind us still waits for the one before us.
    void before.then(left)
    throw notInTime(path, withinMs)
  }
  try {
    const lock = await poll(path, options, withinMs)
    lock.onRelease = left
    return lock
  } catch (thrown) {
    left()
    throw thrown
  }
}

async function poll(path: string, options: LockOptions, withinMs: number): Promise<FileLock> {
  // Looked at only when there is something to wait for: Node's clock takes 1 ms to load.
  let deadline: number | undefined
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 1.5, 20)) {
    const lock = tryLockFile(path, options)
    if (lock !== undefined) return lock
    deadline ??= performance.now() + withinMs
    if (performance.now() > deadline) throw notInTime(path, withinMs)
    // Uneven pauses keep a crowd from knocking all at once.
    await sleep(pauseMs * (0.5 + Math.random()))
  }
}

const notInTime = (path: string, withinMs: number): TsnetError =>
  new TsnetError('try-again', `${path} has been locked by another process for ${withinMs / 1000} s`)

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>(settle => {
    resolve = settle
  })
  return { promise, resolve }
}

/** False when the promise does not settle in time. */
async function settles(promise: Promise<void>, withinMs: number): Promise<boolean> {
  const ended = new AbortController()
  try {
    const late = sleep(withinMs, false, { signal: ended.signal }).catch(() => false)
    return await Promise.race([promise.then(() => true), late])
  } finally {
    ended.abort()
  }
}

/** True for a file that its last holder removed: others lock another one by then. Nobody gives it a second name. */
const wasRemoved = (fd: number): boolean => fstatSync(fd).nlink === 0
