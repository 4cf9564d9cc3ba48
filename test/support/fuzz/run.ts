/** So many inputs of one subject. */

import fc from 'fast-check'
import type { Input, Subject } from './fuzz.ts'
import { checkPrototypes } from './promises.ts'

/** Of the processor's time none takes more; it does not hang on what else the machine is doing. */
const LIMIT_MS = 1000

/** How often a slow one is tried again, before the machine is believed to be innocent. */
const TRIES = 3

/** Kept by a subject while it runs, at most. */
const MEMORY_MAX = 128 * 1024 * 1024

/** A promise that was broken. */
export interface Failure {
  subject: string
  input: Input
  reason: string
  /** As fast-check has them; absent for an input that was not drawn. */
  seed?: number
  path?: string
}

export interface Draw {
  seed: number
  runs: number
  /** Of one input, to have it again. */
  path?: string
  /** Is told of each input before it is tried. */
  before?: (index: number) => void
}

/** @throws what the subject does, and an error where it takes too long or changes what all objects have */
export async function tryInput(subject: Subject, input: Input, limitMs = LIMIT_MS): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const began = process.cpuUsage()
    await subject.holds(input)
    checkPrototypes()
    const { user, system } = process.cpuUsage(began)
    const took = (user + system) / 1000
    if (took <= limitMs) return
    if (attempt === TRIES) throw new Error(`it took ${Math.round(took)} ms, more than ${limitMs}`)
  }
}

/** Tries drawn inputs until one fails, which is then made smaller. */
export async function runDrawn(
  subject: Subject,
  { seed, runs, path, before }: Draw,
): Promise<Failure | undefined> {
  let index = 0
  const property = fc.asyncProperty(subject.inputs, async input => {
    before?.(index++)
    await tryInput(subject, input)
  })
  const memory = used()
  const details = await fc.check(property, { seed, numRuns: runs, ...(path !== undefined && { path }) })
  if (details.failed) {
    const [input] = details.counterexample ?? []
    return {
      subject: subject.name,
      input,
      reason: reasonOf(details.errorInstance),
      seed: details.seed,
      path: details.counterexamplePath ?? '',
    }
  }
  const more = used() - memory
  if (more < MEMORY_MAX) return undefined
  return {
    subject: subject.name,
    input: undefined,
    seed,
    reason: `it keeps ${Math.round(more / 2 ** 20)} MB`,
  }
}

/** Tries all long inputs. @param before is told of each */
export async function runLong(
  subject: Subject,
  length: number,
  limitMs = LIMIT_MS,
  before: (index: number) => void = () => {},
): Promise<Failure | undefined> {
  for (const [index, input] of subject.long(length).entries()) {
    before(index)
    try {
      await tryInput(subject, input, limitMs)
    } catch (thrown) {
      return { subject: subject.name, input, reason: reasonOf(thrown) }
    }
  }
  return undefined
}

function used(): number {
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

const reasonOf = (thrown: unknown): string =>
  thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)

/** What somebody needs who wants to see it. */
export function describeFailure({ subject, input, reason, seed, path }: Failure): string {
  const again =
    seed === undefined
      ? ''
      : `\n  again: npm run test:fuzz -- --only ${subject} --seed ${seed}${path ? ` --path ${path}` : ''}`
  return `${subject} fails on ${fc.stringify(input).slice(0, 400)}${again}\n  ${reason.split('\n').slice(0, 8).join('\n  ')}`
}
