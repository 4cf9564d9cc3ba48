/** Waiting for a state of the kernel. */

/**
 * Asks at once, then at growing intervals, until the answer is true or the time is over.
 * @returns false when it never was
 */
export async function until(withinMs: number, condition: () => boolean): Promise<boolean> {
  let deadline: number | undefined
  for (let pauseMs = 0.5; ; pauseMs = Math.min(pauseMs * 2, 50)) {
    if (condition()) return true
    deadline ??= performance.now() + withinMs
    if (performance.now() >= deadline) return false
    await new Promise(resolve => setTimeout(resolve, pauseMs))
  }
}
