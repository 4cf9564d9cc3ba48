/** Connections that do nothing: what each of them holds, and whether those who work notice. */

import type { ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import type { Line } from '../report.ts'
import { summarize } from '../statistics.ts'
import { KEPT, wrk } from './load.ts'
import { descriptorsOf, lineOf, memoryOf, program, type Side, start } from './scene.ts'

/** docker-proxy holds six descriptors a connection, and ends at the limit. */
const COUNT = { docker: 3_000, others: 9_000 }
const TIMES = 3
/** Of a few hundredths of a second of CPU each, p99 wavers by as much between two runs without any. */
const P99_BUDGET = 1.25

type Measured = Pick<Line, 'work' | 'unit' | 'detail'>

interface Sample {
  /** MB of all its processes with `COUNT.others` connections; in proportion where there were fewer. */
  megabytes: number
  kilobytesEach: number
  descriptorsEach: number
  p99Us: { alone: number; beside: number }
}

export const IDLE_NOTES = [
  `idle: ${COUNT.others} connections; docker-proxy ${COUNT.docker}, at more it ends: what they add is multiplied`,
  'memory is that of all processes, as top has it: our daemon, and what dockerd starts for the same ports',
]

export async function idleLines(sides: Side[]): Promise<Line[]> {
  // A closed connection keeps its port for a minute: thousands would make the next side search for free ones.
  writeFileSync('/proc/sys/net/ipv4/tcp_max_tw_buckets', '0')
  const proxies = sides.filter(({ pids }) => pids.length > 0)
  const samples = new Map(proxies.map(side => [side.name, [] as Sample[]]))
  for (let turn = 0; turn < TIMES; turn++) {
    for (const side of turn % 2 === 0 ? proxies : proxies.toReversed()) {
      samples.get(side.name)?.push(await sample(side, turn))
    }
  }
  // Of the first turn: what a process has once taken it keeps for the next.
  const row = (what: Measured, read: (sample: Sample) => number, budget?: number) => {
    const first = [...samples].map(([by, [sample]]) => ({
      by,
      value: sample === undefined ? 0 : read(sample),
    }))
    const peer = first.find(({ by }) => by === 'docker-proxy')?.value
    return first.map(({ by, value }): Line => {
      const line = { ...what, by, summary: summarize([value]) }
      if (by === 'docker-proxy' || peer === undefined) return line
      const ratio = value / peer
      return by === 'tsnet' && budget !== undefined ? { ...line, ratio, budget } : { ...line, ratio }
    })
  }
  const detail = true
  return [
    ...row({ work: `memory with ${COUNT.others} idle`, unit: 'MB' }, each => each.megabytes, 0.5),
    ...row({ work: 'memory of an idle one', unit: 'kB', detail }, each => each.kilobytesEach),
    ...row({ work: 'descriptors of an idle one', unit: '', detail }, each => each.descriptorsEach),
    ...[...samples].flatMap(([by, each]): Line[] => {
      const alone = summarize(each.map(({ p99Us }) => p99Us.alone))
      const beside = summarize(each.map(({ p99Us }) => p99Us.beside))
      const ratio = beside.median / alone.median
      return [
        { work: 'p99 without idle ones', by, unit: 'µs', summary: alone, detail },
        {
          work: 'p99 beside them, × without',
          by,
          unit: 'µs',
          summary: beside,
          detail,
          ratio,
          ...(by === 'tsnet' && { budget: P99_BUDGET }),
        },
      ]
    }),
  ]
}

async function sample(side: Side, turn: number): Promise<Sample> {
  const { pids, ip, http } = side
  const wanted = side.name === 'docker-proxy' ? COUNT.docker : COUNT.others
  const before = { memory: memoryOf(pids), descriptors: descriptorsOf(pids) }
  const alone = wrk(side, KEPT).p99Us
  const clients = start('client', process.execPath, program('idle-clients'), ip, String(http), String(wanted))
  const count = Number(await lineOf(clients))
  await until(() => descriptorsOf(pids) >= before.descriptors + (turn === 0 ? 2 * count : count))
  const added = memoryOf(pids) - before.memory
  const descriptorsEach = (descriptorsOf(pids) - before.descriptors) / count
  const beside = wrk(side, KEPT).p99Us
  await end(clients)
  // docker-proxy keeps the pipes, four descriptors of six.
  await until(() => descriptorsOf(pids) <= before.descriptors + 4 * (count + KEPT))
  return {
    megabytes: before.memory + (added * COUNT.others) / count,
    kilobytesEach: (added * 1000) / count,
    descriptorsEach,
    p99Us: { alone, beside },
  }
}

async function end(clients: ChildProcess): Promise<void> {
  const ended = new Promise(resolve => clients.once('exit', resolve))
  clients.stdin?.end()
  await ended
}

async function until(reached: () => boolean): Promise<void> {
  for (let tries = 600; !reached(); tries--) {
    if (tries === 0) throw new Error('the proxy does not get as far as its clients')
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}
