/**
 * A network over many hosts (docs/hosts.md): what it costs a daemon to follow the others, how soon a new host is reached,
 * what the carriers lose, and what a call pays.
 *
 *     crowd     1 daemon among 10, 100 and 1 000 hosts, which are records in a real etcd
 *     joining   hosts that come, one after the other
 *     carriers  one TCP stream, beside the same path built by hand
 *     calls     ADD and DEL, beside a network of this host alone
 */

import type { Etcd } from '../../src/hosts/etcd/etcd.ts'
import { curveOf } from '../curve.ts'
import type { Line, Report } from '../report.ts'
import { summarize } from '../statistics.ts'
import { versionsOf } from '../versions.ts'
import { measureCalls } from './calls.ts'
import { measureCarriers } from './carriers.ts'
import { type CrowdFigures, crowdKeys, measureCrowd, writeHosts } from './crowd.ts'
import { measureJoining } from './joining.ts'
import { addHost, end, openSite } from './site.ts'

const SIZES = [10, 100, 1_000]
const SECONDS = 10
const JOINING = 50
/** What is measured among many, and what of it 1 000 hosts may cost. */
const WORKS: Record<keyof CrowdFigures, { work: string; unit: string; limit?: number }> = {
  completeMs: { work: 'from exec to a route to each host', unit: 'ms', limit: 2_000 },
  idle: { work: 'nothing changes', unit: '% of a core' },
  followed: { work: '100 changes a second', unit: '% of a core', limit: 10 },
  memoryMb: { work: 'the most of RSS meanwhile', unit: 'MB', limit: 100 },
}
const JOINED_LIMIT = 200
/** Of what takes little time, for each round. */
const TURNS = 10

export async function benchHosts(rounds: number, only?: readonly string[]): Promise<Report> {
  const isWanted = (part: string) => only === undefined || only.some(word => part.includes(word))
  const report: Report = {
    title: 'A network over many hosts',
    unit: '',
    versions: versionsOf('etcd', 'iperf3', 'strace', 'node', 'linux'),
    lines: [],
    notes: [],
  }
  const { etcd, store } = await openSite()
  try {
    if (isWanted('joining')) await addJoining(report)
    for (const [part, measure] of [
      ['carriers', measureCarriers],
      ['calls', measureCalls],
    ] as const) {
      if (!isWanted(part)) continue
      const { lines, notes } = await measure(TURNS * rounds)
      report.lines.push(...lines)
      report.notes.push(...notes)
    }
    if (isWanted('crowd')) await addCrowd(report, rounds, store)
  } finally {
    store[Symbol.dispose]()
    await end(etcd)
  }
  return report
}

async function addJoining({ lines, notes }: Report): Promise<void> {
  const summary = summarize(await measureJoining(JOINING))
  const one = (by: string, value: number): Line => ({
    work: 'a new host reaches all, and all it, after it is ready',
    by,
    unit: 'ms',
    summary: { ...summary, samples: 1, median: value, p10: value, p90: value },
  })
  lines.push(
    { ...one('tsnet, p50', summary.median) },
    { ...one('tsnet, p99', summary.p99), limit: JOINED_LIMIT },
  )
  notes.push(`${JOINING} hosts come to three, one after the other; all of them stay known`)
}

async function addCrowd(report: Report, rounds: number, store: Etcd): Promise<void> {
  const figures = new Map<number, CrowdFigures[]>()
  for (const [i, size] of SIZES.entries()) {
    await writeHosts(store, size)
    const all: CrowdFigures[] = []
    for (let round = 0; round < rounds; round++) {
      const host = addHost(`crowd${size}-${round}`, 512 + i * 64 + round, crowdKeys(size))
      all.push(await measureCrowd(host, store, size, SECONDS))
    }
    figures.set(size, all)
  }
  const largest = SIZES.at(-1) ?? 0
  for (const [name, { work, unit, limit }] of Object.entries(WORKS)) {
    const valuesOf = (size: number) => (figures.get(size) ?? []).map(each => each[name as keyof CrowdFigures])
    report.lines.push({
      work: `${largest} hosts: ${work}`,
      by: 'tsnet',
      unit,
      summary: summarize(valuesOf(largest)),
      ...(limit !== undefined && { limit }),
    })
    const samples = SIZES.map(size => ({ size, values: valuesOf(size) }))
    report.curves = [...(report.curves ?? []), curveOf({ work, by: 'tsnet', unit }, samples)]
  }
  report.notes.push(
    `curves by the number of hosts, which are records in etcd; ${SECONDS} s each; each change is an address of one host`,
  )
}
