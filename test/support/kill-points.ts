/** System calls at which a process changes something outside of itself, and so the places to kill it. */

/** What strace looks at. Writes are those to files and to settings, among others. */
const CALLS = ['sendto', 'sendmsg', 'rename', 'link', 'unlink', 'mkdir', 'rmdir', 'setns', 'write'] as const

/** The nth call of this name in a thread, since that is what strace counts. */
export interface Point {
  call: string
  nth: number
}

/** The words before a command. */
export const strace = (options: readonly string[]): string[] => [
  'strace',
  '-qqq',
  '-e',
  'signal=none',
  '-e',
  `trace=${CALLS.join(',')}`,
  ...options,
]

/** The points of a run, from what strace has said of it with -f. */
export function pointsIn(trace: string): Point[] {
  const most = new Map<string, number>()
  const seen = new Map<string, number>()
  for (const [, thread = '', call = ''] of trace.matchAll(/^(?:\[pid +(\d+)\] )?(\w+)\(/gm)) {
    const nth = (seen.get(`${thread} ${call}`) ?? 0) + 1
    seen.set(`${thread} ${call}`, nth)
    most.set(call, Math.max(most.get(call) ?? 0, nth))
  }
  return [...most].flatMap(([call, count]) => Array.from({ length: count }, (_, i) => ({ call, nth: i + 1 })))
}

/** Some of them, spread evenly over all. */
export function someOf<T>(points: readonly T[], count: number): T[] {
  if (points.length <= count) return [...points]
  return Array.from(
    { length: count },
    (_, i) => points[Math.floor(((i + 0.5) * points.length) / count)],
  ).filter(point => point !== undefined)
}
