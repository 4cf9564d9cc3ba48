/** `tsnet top`. */

import { setTimeout as sleep } from 'node:timers/promises'
import { HungUp } from '../../control/client.ts'
import { parseDuration, processorMs } from '../../model/duration.ts'
import { TsnetError } from '../../model/errors.ts'
import type { CountersReport, Look } from '../../observe/observe.ts'
import { requireRunDirectory } from '../../records/run-directory.ts'
import type { Terminal } from '../terminal.ts'
import { type Frame, frameOf, linesOf } from './frame.ts'
import { openScreen, type Screen } from './screen.ts'
import { daemonHere } from './watching.ts'

const INTERVAL = '2s'
const INTERVAL_LEAST_MS = 100

/**
 * Of a core, for this command and the daemon together: on a full host it looks less often. What it costs
 * the daemon to print its answer it cannot say in it, and 0.03 is what is promised.
 */
const SHARE = 0.02

/**
 * What goes through ports and to containers: live on a terminal, else once. One frame takes an interval, as what moves is
 * what two looks differ by.
 * @throws TsnetError `invalid-environment` for an interval, `missing` where no daemon runs
 */
export async function top(
  terminal: Terminal,
  { once, json, interval = INTERVAL }: { once: boolean; json: boolean; interval?: string | undefined },
): Promise<void> {
  const intervalMs = parseDuration(interval, '--interval')
  if (intervalMs < INTERVAL_LEAST_MS)
    throw new TsnetError(
      'invalid-environment',
      `--interval: ${interval} is too short; ${INTERVAL_LEAST_MS}ms is not`,
    )
  requireRunDirectory()
  const before = await report()
  const screen = once || json ? undefined : openScreen()
  if (screen !== undefined) return live(terminal, screen, before, intervalMs)
  await sleep(intervalMs)
  const frame = frameOf(await report(), before)
  if (json) terminal.out(`${JSON.stringify([...frame.ports, ...frame.containers])}\n`)
  else {
    const { columns = Number.POSITIVE_INFINITY, lively } = terminal
    terminal.out(`${linesOf(frame, { columns, lively }).join('\n')}\n`)
  }
}

async function live(
  { lively }: Terminal,
  screen: Screen,
  first: CountersReport,
  intervalMs: number,
): Promise<void> {
  let before = first
  let frame: Frame = frameOf(first, undefined)
  const show = () => screen.show(linesOf(frame, { columns: screen.columns, rows: screen.rows, lively }))
  screen.onResize(show)
  try {
    for (let spent = process.cpuUsage(); ; ) {
      show()
      const costMs = before.tookMs + processorMs(spent)
      spent = process.cpuUsage()
      const pause = sleep(Math.max(intervalMs, costMs / SHARE), false)
      if (await Promise.race([pause, screen.left.then(() => true)])) return
      const now = wholeOf(await report(before), before)
      frame = frameOf(now, before)
      before = now
    }
  } finally {
    screen.close()
  }
}

/** Of the daemon that runs; where it is succeeded at this moment, of its successor. */
async function report(since?: Look): Promise<CountersReport> {
  try {
    return await ask(since)
  } catch (thrown) {
    if (!(thrown instanceof HungUp)) throw thrown
    return await ask()
  }
}

/** With all that is as it was. */
export function wholeOf(report: CountersReport, before: CountersReport): CountersReport {
  if (report.isWhole) return report
  const ports = new Map(report.ports.map(each => [each.id, each]))
  const containers = new Map(report.containers.map(each => [each.owner, each]))
  return {
    ...report,
    isWhole: true,
    ports: before.ports.map(each => ports.get(each.id) ?? each),
    containers: before.containers.map(each => containers.get(each.owner) ?? each),
  }
}

async function ask(since?: Look): Promise<CountersReport> {
  using client = await daemonHere()
  return (await client.ask(
    'counters',
    since && { at: since.at, generation: since.generation },
  )) as CountersReport
}
