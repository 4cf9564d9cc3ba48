/** What a list costs those packets that it lets through: a stream, and how long a connection takes to be there. */

import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Line } from '../report.ts'
import { rotate, summarize } from '../statistics.ts'
import { addressOf, attach, compile, entries, makeOutside, OUTSIDE, startIn } from './site.ts'

const IPERF = 5201
const PORT = 5300
const SECONDS = '1'
const CONNECTIONS = 1_000
/** Of the list's own entries. */
const SIZES = [10, 10_000]
const STREAM_AT_LEAST = 0.98
/** Of the longer list to the shorter. */
const GROWTH = 1.05
/** The peer is the second that comes to its network. */
const PEER = 2

const WAYS = ['routed', 'bridged'] as const

export async function trafficLines(rounds: number): Promise<Line[]> {
  makeOutside()
  const program = compile('bench/egress/connections.c')
  const sides = [undefined, ...SIZES].map((size, i) => {
    const n = 3 + i
    attach(n, undefined, 'peer')
    const peer = addressOf(n, PEER)
    const reached = [OUTSIDE, peer].flatMap(to => [`${to}:${IPERF}`, `${to}:${PORT}`])
    const { netns } = attach(n, size === undefined ? undefined : [...entries(size), ...reached])
    const by = size === undefined ? 'no list' : `a list of ${size}`
    return { by, netns, size, to: { routed: OUTSIDE, bridged: peer }, peer: `peer${n}`, figures: figures() }
  })
  const stops = ['outside', ...sides.map(({ peer }) => peer)].flatMap(netns => [
    // It says on stderr that it was ended.
    startIn(netns, 'sh', '-c', 'exec iperf3 -s 2>/dev/null'),
    startIn(netns, program, 'listen', String(PORT)),
  ])
  await sleep(500)
  try {
    for (let round = -1; round < rounds; round++)
      for (const way of WAYS)
        for (const { netns, to, figures } of rotate(sides, round)) {
          const stream = gigabits(netns, to[way])
          const connect = summarize(microseconds(netns, program, to[way])).median
          if (round < 0) continue
          figures[way].stream.push(stream)
          figures[way].connect.push(connect)
        }
  } finally {
    for (const stop of stops) stop()
  }
  return WAYS.flatMap(way => [
    ...linesOf(`a stream, ${way}`, 'Gbit/s', sides, ({ figures }) => figures[way].stream),
    ...linesOf(`a connection, ${way}`, 'µs', sides, ({ figures }) => figures[way].connect),
  ])
}

type Figures = Record<(typeof WAYS)[number], { stream: number[]; connect: number[] }>

const figures = (): Figures => ({
  routed: { stream: [], connect: [] },
  bridged: { stream: [], connect: [] },
})

interface Measured {
  by: string
  size: number | undefined
  figures: Figures
}

function linesOf<S extends Measured>(
  work: string,
  unit: string,
  sides: readonly S[],
  of: (side: S) => number[],
): Line[] {
  const [open, short] = sides.map(side => summarize(of(side)).median)
  return sides.map((side, i): Line => {
    const line = { work, by: side.by, unit, summary: summarize(of(side)) }
    if (i === 0) return line
    // Both lists beside no list; the longer one's connections beside the shorter's, since that must be flat.
    if (unit === 'Gbit/s')
      return { ...line, ratio: line.summary.median / (open ?? Number.NaN), atLeast: STREAM_AT_LEAST }
    if (i === 1) return { ...line, ratio: line.summary.median / (open ?? Number.NaN) }
    return { ...line, ratio: line.summary.median / (short ?? Number.NaN), budget: GROWTH }
  })
}

const inside = (netns: string, ...words: string[]): string =>
  execFileSync('ip', ['netns', 'exec', netns, ...words], { encoding: 'utf8', maxBuffer: 1 << 26 })

function gigabits(netns: string, to: string): number {
  const { end } = JSON.parse(inside(netns, 'iperf3', '-c', to, '-p', String(IPERF), '-t', SECONDS, '-J'))
  return end.sum_received.bits_per_second / 1e9
}

const microseconds = (netns: string, program: string, to: string): number[] =>
  inside(netns, program, to, String(PORT), String(CONNECTIONS))
    .trim()
    .split('\n')
    .map(line => Number(line) / 1_000)
