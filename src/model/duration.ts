/** Durations: as people write them (`500ms`, `10s`, `5m`, `1h`, `1h30m`, `2d`), and of a processor. */

import { TsnetError } from './errors.ts'
import { shown } from './json/shown.ts'

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** The longest that a timer of Node can wait for, about 24 days. */
const LONGEST_MS = 2 ** 31 - 1

/**
 * Milliseconds.
 * @param what names the value in the error, such as `--wait`
 * @throws TsnetError `invalid-environment`
 */
export function parseDuration(text: string, what: string): number {
  const parts = [...text.matchAll(/(\d+)(ms|s|m|h|d)/gy)]
  const whole = parts.map(([part]) => part).join('') === text && text !== ''
  const milliseconds = parts.reduce(
    (sum, [, number, unit]) => sum + Number(number) * (units[unit ?? ''] ?? 0),
    0,
  )
  if (!whole || milliseconds > LONGEST_MS) {
    throw new TsnetError(
      'invalid-environment',
      `${what}: ${shown(text)} is not a time up to 24 days, such as 10s, 5m or 1h30m`,
    )
  }
  return milliseconds
}

/** How long a processor has worked for this process since then, in milliseconds. */
export function processorMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since)
  return (user + system) / 1_000
}
