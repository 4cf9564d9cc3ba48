/** When a daemon that was started by the way may end: nobody has needed it for a while. */

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
