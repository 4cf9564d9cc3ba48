/** Looking after things again and again, each time after the last has ended. */

import { messageOf } from '../model/errors.ts'

export interface Tending {
  start(): void
  stop(): void
}

export function tend(look: () => Promise<void>, pauseMs: () => number, log: (line: string) => void): Tending {
  let timer: NodeJS.Timeout | undefined
  let going = false
  const again = () => {
    if (!going) return
    timer = setTimeout(() => {
      look()
        .catch(thrown => log(`looking after containers failed: ${messageOf(thrown)}`))
        .then(again)
    }, pauseMs())
  }
  return {
    start() {
      if (going) return
      going = true
      again()
    },
    stop() {
      going = false
      clearTimeout(timer)
    },
  }
}
