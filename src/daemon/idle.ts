/** When a daemon has nothing to do: for a moment, after work; and for so long that one which was started by the way may end. */

/** How often it is looked what was done. */
const LOOK_MS = 1_000
/** Of the time between two looks: what is more is work, what is less is looking after things. */
const [WORK, REST] = [0.1, 0.05]

/**
 * Looks again and again, and keeps no process alive that is at its end for another reason.
 * @param isNeeded asked every so often
 * @returns settles when it has not been needed for idleMs
 */
export function whenIdle(idleMs: number, isNeeded: () => boolean): Promise<'not needed'> {
  return new Promise(resolve => {
    let since = performance.now()
    const look = () => {
      if (isNeeded()) since = performance.now()
      else if (performance.now() - since >= idleMs) {
        clearInterval(timer)
        resolve('not needed')
      }
    }
    const timer = setInterval(look, Math.max(idleMs / 10, 10)).unref()
  })
}

/**
 * Says after work that it is done: there was some since the last time, and now there is none. What it takes to hear that
 * counts as no work.
 * @param pauseMs it is not said more often
 * @param shareOfWork of the time since it was asked last
 */
export function afterWork(
  done: () => void,
  { lookMs = LOOK_MS, pauseMs = 10 * LOOK_MS, shareOfWork = loopsShare() } = {},
): Disposable {
  let hasWorked = true
  let saidAt = Number.NEGATIVE_INFINITY
  const look = () => {
    const share = shareOfWork()
    hasWorked ||= share > WORK
    if (!hasWorked || share > REST || performance.now() - saidAt < pauseMs) return
    hasWorked = false
    done()
    shareOfWork()
    saidAt = performance.now()
  }
  const timer = setInterval(look, lookMs).unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** Of the event loop's time. */
function loopsShare(): () => number {
  let seen = performance.eventLoopUtilization()
  return () => {
    const { utilization } = performance.eventLoopUtilization(seen)
    seen = performance.eventLoopUtilization()
    return utilization
  }
}
