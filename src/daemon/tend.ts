/**
 * Looking after things again and again. A look that takes long holds up none of the next ones, which leave alone
 * what it is about.
 */

import { messageOf } from '../model/errors.ts'

export interface Tending {
  /** Looks at once, and then after each pause. */
  start(): void
  /** Settles when nothing is looked after any more. */
  stop(): Promise<void>
  /** The pause is another one from now on. */
  paceChanged(): void
}

export function tend(look: () => Promise<void>, pauseMs: () => number, log: (line: string) => void): Tending {
  let timer: NodeJS.Timeout | undefined
  let going = false
  const looking = new Set<Promise<void>>()
  const schedule = () => {
    clearTimeout(timer)
    if (going) timer = setTimeout(again, pauseMs())
  }
  const again = () => {
    const one = look()
      .catch(thrown => log(`looking after containers failed: ${messageOf(thrown)}`))
      .finally(() => looking.delete(one))
    looking.add(one)
    schedule()
  }
  return {
    start() {
      going = true
      again()
    },
    async stop() {
      going = false
      clearTimeout(timer)
      await Promise.all(looking)
    },
    paceChanged: schedule,
  }
}

/** How many changes there may be at once. */
const BATCH_MS = 20

/** Looks once for all who ask within a moment, and not while it looks still. */
export function soon(look: () => Promise<void>, log: (line: string) => void): () => void {
  let isAsked = false
  let isLooking = false
  const begin = (): void => {
    isAsked = false
    isLooking = true
    look()
      .catch(thrown => log(`looking after services failed: ${messageOf(thrown)}`))
      .finally(() => {
        isLooking = false
        if (isAsked) setTimeout(begin, BATCH_MS).unref()
      })
  }
  return () => {
    if (!isAsked && !isLooking) setTimeout(begin, BATCH_MS).unref()
    isAsked = true
  }
}
