/**
 * `npm run test:fuzz [-- --runs N --calls N --seed N --only NAME --path PATH]`: inputs for all parsers, split by
 * weight, and calls of the executables where we are root. Ends with 1 where a promise was broken.
 */

import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { allSubjects } from './all.ts'
import { keep, readCorpus } from './corpus.ts'
import type { Subject } from './fuzz.ts'
import { describeFailure, type Failure, runDrawn, runLong, tryInput } from './run.ts'
import { startWatchdog } from './watchdog.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1000000' },
    calls: { type: 'string', default: '1000' },
    seed: { type: 'string' },
    only: { type: 'string' },
    path: { type: 'string' },
  },
})
/** So many between two lines of progress. */
const BATCH = 5000
/** Long enough for what grows with the square to take seconds. */
const LONG = 50_000

const seed = Number(values.seed ?? randomInt(2 ** 31))
const only = values.only?.split(',')
const chosen = allSubjects.filter(
  ({ name }) => only === undefined || only.some(each => name.startsWith(each)),
)
const total = chosen.reduce((sum, { weight }) => sum + weight, 0)
const began = Date.now()
const failures: Failure[] = []
using watchdog = startWatchdog()

const seconds = () => `${((Date.now() - began) / 1000).toFixed(0).padStart(5)} s`
const tell = (text: string) => console.log(`${seconds()}  ${text}`)

console.log(`seed ${seed}, ${values.runs} inputs for ${chosen.length} parsers`)
for (const subject of chosen) await fuzz(subject)
const calls = Number(values.calls)
if (calls > 0 && (only === undefined || only.includes('executable')) && process.getuid?.() === 0) {
  // The watchdog is for what never waits.
  watchdog.watch('')
  const { fuzzExecutables } = await import('./executable.ts')
  for (const failure of await fuzzExecutables({ seed, calls, tell })) report(failure)
}
console.log(`\n${failures.length} failed, seed ${seed}, ${seconds().trim()}`)
process.exitCode = failures.length > 0 ? 1 : 0

async function fuzz(subject: Subject): Promise<void> {
  const failure = (await again(subject)) ?? (await drawn(subject))
  if (failure !== undefined) {
    report(failure, keep(failure))
  }
}

function report(failure: Failure, kept?: string): void {
  failures.push(failure)
  tell(`${describeFailure(failure)}${kept === undefined ? '' : `\n  kept as ${kept}`}`)
}

/** What failed once, and what is long. */
async function again(subject: Subject): Promise<Failure | undefined> {
  if (values.path !== undefined) return undefined
  for (const { input } of readCorpus().filter(each => each.subject === subject.name)) {
    watchdog.watch(`--only ${subject.name} --seed ${seed}`)
    try {
      await tryInput(subject, input)
    } catch (thrown) {
      return { subject: subject.name, input, reason: String(thrown) }
    }
  }
  watchdog.watch(`--only ${subject.name} --seed ${seed} # a long input`)
  return runLong(subject, LONG, undefined, index => watchdog.tick(index))
}

async function drawn(subject: Subject): Promise<Failure | undefined> {
  const { path } = values
  const runs = path === undefined ? Math.ceil((Number(values.runs) * subject.weight) / total) : 1
  for (let done = 0; done < runs; done += BATCH) {
    // Whoever gives seed and path has one input again.
    const draw = {
      seed: seed + done / BATCH,
      runs: Math.min(BATCH, runs - done),
      ...(path !== undefined && { path }),
    }
    watchdog.watch(`--only ${subject.name} --seed ${draw.seed}`)
    const failure = await runDrawn(subject, { ...draw, before: index => watchdog.tick(index) })
    if (failure !== undefined) return failure
  }
  tell(`${subject.name}: ${runs} inputs`)
  return undefined
}
