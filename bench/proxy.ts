/**
 * A published port by several ways: Docker's proxy, haproxy, socat, ours (the daemon, `--mode proxy`) and
 * directly.
 *
 * Every turn measures everything on each side, one after the other; who goes first alternates. Docker's
 * proxy is the peer that the others are held against, as a ratio of medians.
 */

import type { ChildProcess } from 'node:child_process'
import { IDLE_NOTES, idleLines } from './proxy-idle.ts'
import { iperf, KEPT, SECONDS, UDP_BYTES, udpRate, wrk } from './proxy-load.ts'
import { rangeLines } from './proxy-range.ts'
import { endScene, openScene, type Side } from './proxy-scene.ts'
import type { Line, Report } from './report.ts'
import { summarize } from './statistics.ts'
import { versionsOf } from './versions.ts'

/** One kind of work. */
interface Work {
  name: string
  unit: string
  /** What the ratio to the peer must reach, or may not exceed. */
  atLeast?: number
  budget?: number
  measure(side: Side): Promise<number | undefined>
}

export async function benchProxy(rounds: number): Promise<Report> {
  // Asked before the sandbox hides Debian's records.
  const versions = versionsOf('docker-proxy', 'haproxy', 'socat', 'nginx', 'wrk', 'iperf3', 'node', 'linux')
  try {
    const { sides, sink } = await openScene()
    const works = worksOf(sink)
    const samples = new Map<string, number[]>()
    for (let round = -1; round < rounds; round++) {
      for (const work of works) {
        for (const side of rotate(sides, round)) {
          const figure = await work.measure(side)
          const key = `${work.name} ${side.name}`
          if (figure !== undefined && round >= 0) samples.set(key, [...(samples.get(key) ?? []), figure])
        }
      }
    }
    return {
      title: 'A published port',
      unit: 'units as given',
      versions,
      lines: [
        ...works.flatMap(work => linesOf(work, sides, samples)),
        ...(await idleLines(sides)),
        ...(await rangeLines()),
      ],
      notes: [
        `${rounds} turns in turn, ${SECONDS} s each; × peer is to docker-proxy of the same run`,
        ...IDLE_NOTES,
      ],
    }
  } finally {
    endScene()
  }
}

function worksOf(sink: ChildProcess): Work[] {
  return [
    { name: 'one stream', unit: 'Gbit/s', atLeast: 1.5, measure: async side => iperf(side, 1) },
    { name: 'eight streams', unit: 'Gbit/s', atLeast: 1.5, measure: async side => iperf(side, 8) },
    {
      name: `requests on ${KEPT} kept connections`,
      unit: '1/s',
      atLeast: 1.3,
      measure: async side => wrk(side, KEPT).rate,
    },
    { name: 'latency on one, p50', unit: 'µs', budget: 1, measure: async side => wrk(side, 1).medianUs },
    {
      name: 'new connections',
      unit: '1/s',
      atLeast: 1.5,
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

function linesOf(work: Work, sides: Side[], samples: Map<string, number[]>): Line[] {
  const of = (name: string) => samples.get(`${work.name} ${name}`)
  const peer = of('docker-proxy')
  return sides.flatMap(({ name }): Line[] => {
    const own = of(name)
    if (own === undefined || peer === undefined) return []
    const summary = summarize(own)
    const line = { work: work.name, by: name, unit: work.unit, summary }
    if (name === 'docker-proxy') return [line]
    const ratio = summary.median / summarize(peer).median
    if (name !== 'tsnet') return [{ ...line, ratio }]
    const { atLeast, budget } = work
    return [
      { ...line, ratio, ...(atLeast !== undefined && { atLeast }), ...(budget !== undefined && { budget }) },
    ]
  })
}

/** The list, begun somewhere else each time. */
const rotate = <T>(list: T[], by: number): T[] => {
  const begin = (by + list.length) % list.length
  return [...list.slice(begin), ...list.slice(0, begin)]
}
