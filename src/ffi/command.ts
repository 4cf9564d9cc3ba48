/**
 * Runs a command to its end. While few run, waiting is `poll(2)` for a millisecond at a time, between which
 * the event loop goes on; while many run, it is a timer.
 */

import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { Child } from './child.ts'

export interface Finished {
  /** Exit code; 128 + the signal's number for a command that a signal ended. */
  code: number
  stdout: string
  stderr: string
}

export interface CommandOptions {
  stdin?: string
  /** The whole environment, as `NAME=value`. */
  env?: string[]
  /** Killed after this time. */
  withinMs: number
}

const TURN_MS = 1

/** Above this many commands at a time nobody may hold the event loop. */
const FEW = 2
let running = 0

/** Lets time pass until a child may have said something. @param many others want the event loop */
export async function pause(child: Child, many: boolean): Promise<void> {
  if (many) await sleep(TURN_MS)
  else child.wait(TURN_MS)
  await setImmediate()
}

/**
 * Runs a command to its end.
 * @param path absolute
 * @throws SystemError when it cannot be started
 */
export async function runCommand(path: string, args: string[], options: CommandOptions): Promise<Finished> {
  const { env = [], stdin = '', withinMs } = options
  const child = new Child(path, args, env)
  child.feed(stdin)
  child.endInput()
  const began = performance.now()
  running++
  try {
    for (;;) {
      const code = child.pump() ? undefined : child.reap()
      if (code !== undefined) return { code, stdout: child.stdout, stderr: child.stderr }
      if (performance.now() - began > withinMs) child.kill()
      await pause(child, running > FEW)
    }
  } finally {
    child.close()
    running--
  }
}
