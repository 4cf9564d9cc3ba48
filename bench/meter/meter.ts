/**
 * Measures processes from exec to exit, and adds nothing to either side: a small program in C (`meter.c`) starts
 * each with posix_spawn and waits for it, while this one sleeps.
 *
 *     parts ──plan.ts──▶ a file ──meter.c──▶ figures ──▶ each part keeps its own
 *
 * All turns of a measurement are one plan, so between two calls nothing happens but the pauses in it. Where there
 * is no C compiler, `node-meter.ts` does the same from here, and then a figure has in it what Node takes to start a
 * process; the report says which it was.
 */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runByNode } from './node-meter.ts'
import { type Figure, figuresIn, isMeasured, planText, type Step } from './plan.ts'

/** Steps, and what becomes of their figures. */
export interface Part {
  steps: readonly Step[]
  /** Gets one figure for each run and each clock; absent where nobody wants to know. */
  keep?(figures: readonly Figure[]): void
}

const SOURCE = 'bench/meter/meter.c'

/** Carries out all parts in order. @throws Error with what the first call that failed said */
export function measure(parts: readonly Part[]): void {
  const steps = parts.flatMap(part => part.steps)
  const made = meter()
  const figures = made === undefined ? runByNode(steps) : runByMeter(made, steps)
  let at = 0
  for (const { steps, keep } of parts) {
    const end = at + steps.filter(isMeasured).length
    keep?.(figures.slice(at, end))
    at = end
  }
}

/** What a report says of how it measured. */
export const harness = (): string =>
  meter() === undefined
    ? 'no C compiler: calls are started and waited for by Node, which adds one or two milliseconds to each, and nobody knows their processor time'
    : 'calls are measured from exec to exit by a program in C that does nothing else (bench/meter)'

interface Meter {
  program: string
  /** Of plans, and of what calls say. */
  folder: string
}

let compiled: { meter: Meter | undefined } | undefined

/** Made once, and gone with this process. @returns undefined where there is no compiler */
function meter(): Meter | undefined {
  if (compiled === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'tsnet-meter-'))
    process.on('exit', () => rmSync(folder, { recursive: true }))
    const program = join(folder, 'meter')
    const { status } = spawnSync('cc', ['-O2', '-o', program, SOURCE], { stdio: 'ignore' })
    compiled = { meter: status === 0 ? { program, folder } : undefined }
  }
  return compiled.meter
}

function runByMeter({ program, folder }: Meter, steps: readonly Step[]): Figure[] {
  const plan = join(folder, 'plan')
  writeFileSync(plan, planText(steps))
  const options = { encoding: 'utf8', maxBuffer: 1 << 26 } as const
  const { status, stdout, stderr } = spawnSync(program, [plan, folder], options)
  if (status !== 0) throw new Error(stderr.trim())
  return figuresIn(stdout)
}
