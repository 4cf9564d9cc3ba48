/** What a meter is to do, as plain values and in the words of `meter.c`. */

/** One process, started and waited for. */
export interface Run {
  /** One word. What it says on stdout can be asked for by it. */
  name: string
  /** A path, and words. */
  command: readonly string[]
  /** All of it. */
  env: Readonly<Record<string, string>>
  stdin: readonly (string | { answerOf: string })[]
}

export type Step = { pauseMs: number } | { clockOf: number } | { netns: string } | { run: Run }

/** What a run took, or how much processor time a process has had by then. */
export interface Figure {
  /** From before it was started until it was waited for; of a clock 0. */
  ms: number
  /** User and system time of it and all that it waited for; undefined where nobody can tell. */
  processorMs: number | undefined
  /** Of a clock: how long the process could have run and had no processor; undefined where nobody can tell. */
  waitedMs: number | undefined
}

/** Whether there is a figure for it. */
export const isMeasured = (step: Step): boolean => 'run' in step || 'clockOf' in step

/** A line for each word. @throws Error for a text that is more than one */
export const planText = (steps: readonly Step[]): string => steps.flatMap(linesOf).map(oneLine).join('')

function linesOf(step: Step): string[] {
  if ('pauseMs' in step) return [`pause ${step.pauseMs}`]
  if ('clockOf' in step) return [`clock ${step.clockOf}`]
  if ('netns' in step) return [`netns ${step.netns}`]
  const { name, command, env, stdin } = step.run
  return [
    ...command.map(word => `arg ${word}`),
    ...Object.entries(env).map(entry => `env ${entry.join('=')}`),
    ...stdin.map(piece => (typeof piece === 'string' ? `text ${piece}` : `answer ${piece.answerOf}`)),
    `run ${name}`,
  ]
}

function oneLine(line: string): string {
  if (line.includes('\n')) throw new Error(`a word of a plan has to be one line: ${JSON.stringify(line)}`)
  return `${line}\n`
}

const NS_PER_MS = 1e6

/** What `meter.c` printed, a line for each of them. */
export function figuresIn(output: string): Figure[] {
  return output
    .split('\n')
    .filter(line => line !== '')
    .map(line => {
      const [ms, processorMs, waitedMs] = line.split(' ').map(text => Number(text) / NS_PER_MS)
      if (ms === undefined || processorMs === undefined || waitedMs === undefined || Number.isNaN(waitedMs))
        throw new Error(`not what a meter prints: ${line}`)
      return { ms, processorMs, waitedMs }
    })
}
