/**
 * A published port by several ways: Docker's proxy, haproxy, socat, ours (the daemon, `--mode proxy`) and
 * directly.
 *
 * Every turn measures everything on each side, one after the other; who goes first alternates. Docker's
 * proxy is the peer that the others are held against, as a ratio of medians.
 */

import type { ChildProcess } from 'node:child_process'
import type { Line, Report } from '../report.ts'
import { summarize } from '../statistics.ts'
import { isInstalled, versionsOf } from '../versions.ts'
import { IDLE_NOTES, idleLines } from './idle.ts'
import { iperf, KEPT, SECONDS, UDP_BYTES, udpRate, wrk } from './load.ts'
import { rangeLines } from './range.ts'
import { cpuMsOf, endScene, idleMs, openScene, type Side } from './scene.ts'
import { inTurns, type Samples } from './turns.ts'

interface Measured {
  name: string
  unit: string
  /** What the ratio to the peer must reach, or may not exceed. */
  atLeast?: number
  budget?: number
}

/** One kind of work. */
interface Work extends Measured {
  /** What of processor time is said: the proxy's for each of these, in this unit, and the machine's idle. */
  cost?: { of: string; unit: 'ms' | 'µs' }
  measure(side: Side): Promise<number | undefined>
}

export async function benchProxy(rounds: number, only: readonly string[] = ['']): Promise<Report> {
  const wanted = (name: string) => only.some(part => name.includes(part))
  // Asked before the sandbox hides Debian's records.
  const versions = versionsOf('docker-proxy', 'haproxy', 'socat', 'nginx', 'wrk', 'iperf3', 'node', 'linux')
  const title = 'A published port'
  const missing = ['nginx', 'wrk', 'iperf3'].filter(name => !isInstalled(name))
  if (missing.length > 0) {
    const notes = [`not installed: ${missing.join(', ')}; nothing was measured`]
    return { title, unit: '', versions, lines: [], notes }
  }
  try {
    const { sides, sink } = await openScene()
    const works = worksOf(sink).filter(({ name }) => wanted(name))
    const samples = await inTurns(rounds, works, sides, figuresOf)
    return {
      title,
      unit: 'units as given',
      versions,
      lines: [
        ...works.flatMap(work => linesOf(work, sides, samples)),
        ...works.flatMap(({ cost }) => (cost === undefined ? [] : linesOf(costOf(cost), sides, samples))),
        ...works.flatMap(({ cost }) => (cost === undefined ? [] : idleOf(cost, sides, samples))),
        ...(wanted('memory') ? await idleLines(sides) : []),
        ...(wanted('range') ? await rangeLines() : []),
      ],
      notes: [
        `${rounds} turns in turn, ${SECONDS} s each; × peer is to docker-proxy of the same run`,
        'nobody is bound to a processor; docker-proxy and haproxy have a thread for each, tsnet has one worker',
        'idle: of all processors, with the tens of ms that a client takes to start and end',
        'processor time is that of the proxy, which other work on the machine disturbs less than it does rates',
        ...IDLE_NOTES,
      ],
    }
  } finally {
    endScene()
  }
}

/** What one work gives on one side, and what it costs. */
async function figuresOf(work: Work, side: Side): Promise<[name: string, figure: number][]> {
  const before = cpuMsOf(side.pids)
  const idleBefore = idleMs()
  const figure = await work.measure(side)
  if (figure === undefined) return []
  const rate: [string, number] = [work.name, figure]
  if (work.cost === undefined) return [rate]
  const idle: [string, number] = [idleIn(work.cost).name, idleMs() - idleBefore]
  if (side.pids.length === 0) return [rate, idle]
  const spent = (cpuMsOf(side.pids) - before) * (work.cost.unit === 'µs' ? 1000 : 1)
  return [rate, idle, [costOf(work.cost).name, spent / (figure * Number(SECONDS))]]
}

const costOf = ({ of, unit }: { of: string; unit: string }): Measured => ({
  name: `processor time for ${of}`,
  unit,
})

const idleIn = ({ of }: { of: string }): Measured => ({ name: `idle beside ${of}`, unit: 'ms' })

const idleOf = (cost: { of: string }, sides: Side[], samples: Samples): Line[] =>
  linesOf(idleIn(cost), sides, samples).map(({ ratio: _, ...line }) => ({ ...line, detail: true }))

function worksOf(sink: ChildProcess): Work[] {
  return [
    {
      name: 'one stream',
      unit: 'Gbit/s',
      atLeast: 1.5,
      cost: { of: 'a Gbit of one stream', unit: 'ms' },
      measure: async side => iperf(side, 1),
    },
    {
      name: 'eight streams',
      unit: 'Gbit/s',
      atLeast: 1.5,
      cost: { of: 'a Gbit of eight', unit: 'ms' },
      measure: async side => iperf(side, 8),
    },
    {
      name: `requests on ${KEPT} kept connections`,
      unit: '1/s',
      atLeast: 1.3,
      cost: { of: 'a request', unit: 'µs' },
      measure: async side => wrk(side, KEPT).rate,
    },
    { name: 'latency on one, p50', unit: 'µs', budget: 1, measure: async side => wrk(side, 1).medianUs },
    {
      name: 'new connections',
      unit: '1/s',
      atLeast: 1.5,
      cost: { of: 'a new connection', unit: 'µs' },
      measure: async side => wrk(side, KEPT, '-H', 'Connection: close').rate,
    },
    {
      name: `UDP, ${UDP_BYTES} bytes, without loss`,
      unit: '1/s',
      atLeast: 3,
      measure: async side => (side.udp === undefined ? undefined : udpRate(side.ip, side.udp, sink)),
    },
  ]
}

function linesOf(work: Measured, sides: Side[], samples: Samples): Line[] {
  const of = (name: string) => samples.get(`${work.name} ${name}`)
  const peer = of('docker-proxy')
  return sides.flatMap(({ name }): Line[] => {
    const own = of(name)
    if (own === undefined) return []
    const summary = summarize(own)
    const line = { work: work.name, by: name, unit: work.unit, summary }
    if (name === 'docker-proxy' || peer === undefined) return [line]
    const ratio = summary.median / summarize(peer).median
    if (name !== 'tsnet') return [{ ...line, ratio }]
    const { atLeast, budget } = work
    return [
      { ...line, ratio, ...(atLeast !== undefined && { atLeast }), ...(budget !== undefined && { budget }) },
    ]
  })
}
