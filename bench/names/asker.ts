/** Questions from inside a namespace, by a program in C (`asker.c`) that does nothing else. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Asker {
  /** @returns µs of each answer, one after the other */
  one(netns: string, server: string, count: number, names: readonly string[]): number[]
  /** @returns how many answers there were within so long, with as many under way as one socket bears */
  many(netns: string, server: string, withinMs: number, names: readonly string[]): number
}

/** Compiled, and gone with this process. @throws where there is no C compiler */
export function makeAsker(): Asker {
  const folder = mkdtempSync(join(tmpdir(), 'tsnet-asker-'))
  process.on('exit', () => rmSync(folder, { recursive: true }))
  const program = join(folder, 'asker')
  execFileSync('cc', ['-O2', '-o', program, 'bench/names/asker.c'])
  const ask = (netns: string, ...words: string[]): string =>
    execFileSync('ip', ['netns', 'exec', netns, program, ...words], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      maxBuffer: 1 << 26,
    })
  return {
    one: (netns, server, count, names) =>
      ask(netns, server, 'one', String(count), ...names)
        .trim()
        .split('\n')
        .map(nanoseconds => Number(nanoseconds) / 1_000),
    many: (netns, server, withinMs, names) =>
      Number.parseInt(ask(netns, server, 'many', String(withinMs), ...names), 10),
  }
}

/** Processor time of a process by now, in µs: all of its threads that there are. */
export function processorOf(pid: number): number {
  const folder = `/proc/${pid}/task`
  const [sum] = readdirSync(folder)
    .map(task => Number.parseInt(readFileSync(`${folder}/${task}/schedstat`, 'utf8'), 10))
    .reduce<[number]>(([total], each) => [total + each], [0])
  return sum / 1_000
}
