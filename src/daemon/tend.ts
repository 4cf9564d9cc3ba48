/** Looking after things again and again, each time after the last has ended. */

import { messageOf } from '../model/errors.ts'

export interface Tending {
  start(): void
  /** Settles when nothing is looked after any more. */
  stop(): Promise<void>
  /** The pause is another one from now on. */
  paceChanged(): void
}

export function tend(look: () => Promise<void>, pauseMs: () => number, log: (line: string) => void): Tending {
  let timer: NodeJS.Timeout | undefined
  let going = false
  let looking: Promise<void> | undefined
  const schedule = () => {
    clearTimeout(timer)
    if (going && looking === undefined) timer = setTimeout(again, pauseMs())
  }
  const again = () => {
    looking = look()
      .catch(thrown => log(`looking after containers failed: ${messageOf(thrown)}`))
      .then(() => {
        looking = undefined
        schedule()
      })
  }
  return {
    start() {
      going = true
      schedule()
    },
    async stop() {
      going = false
      clearTimeout(timer)
      await looking
    },
    paceChanged: schedule,
  }
}
