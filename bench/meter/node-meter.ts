/** The meter where there is no C compiler: as `meter.c`, by Node, with what Node adds. */

import { spawnSync } from 'node:child_process'
import type { Figure, Run, Step } from './plan.ts'

/** What calls said, for those that follow. */
const answers = new Map<string, string>()

/** @throws Error with what the first call that failed said */
export function runByNode(steps: readonly Step[]): Figure[] {
  const figures: Figure[] = []
  let netns: string | undefined
  for (const step of steps) {
    if ('netns' in step) netns = step.netns
    else if ('pauseMs' in step) sleep(step.pauseMs)
    else if ('clockOf' in step) figures.push(figure(0))
    else figures.push(figure(time(step.run, netns)))
  }
  return figures
}

function time({ name, command, env, stdin }: Run, netns: string | undefined) {
  const input = stdin
    .map(piece => (typeof piece === 'string' ? piece : (answers.get(piece.answerOf) ?? '')))
    .join('')
  const [file = '', ...words] = [...(netns === undefined ? [] : ['nsenter', `--net=${netns}`]), ...command]
  const start = performance.now()
  const { status, stdout, stderr } = spawnSync(file, words, { input, env, encoding: 'utf8' })
  const ms = performance.now() - start
  if (status !== 0) throw new Error(`${name} of ${command[0]} ended with ${status}: ${stdout}${stderr}`)
  answers.set(name, stdout)
  return ms
}

const sleep = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

const figure = (ms: number): Figure => ({ ms, processorMs: undefined, waitedMs: undefined })
