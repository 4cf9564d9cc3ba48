/**
 * The name of a container, asked from inside a namespace over UDP, beside dnsmasq and aardvark-dns.
 *
 *     one after the other     what a resolver waits for
 *     many under way          the server's processor time of an answer: what is left of a core for others
 *     a name of others        what it takes longer by a server than asking upstream itself
 *     ADD                     on a network that tells names, beside one that does not
 *
 * All serve the same names, each on a bridge of its own. Every answer is looked at: it must be one, and have a record.
 */

import type { Line, Report } from '../report.ts'
import { furnishSandbox } from '../sandbox.ts'
import { rotate, summarize } from '../statistics.ts'
import { versionsOf } from '../versions.ts'
import { makeAsker, processorOf } from './asker.ts'
import { compareAdds, startOurs, UPSTREAM } from './calls.ts'
import { aardvarkSide, dnsmasqSide, ELSEWHERE, NAMES, ourSide, type Side, startUpstream } from './sides.ts'

const QUESTIONS = 2_000
const MANY_MS = 500
const ADDS_PER_ROUND = 10

const WORKS = {
  one: 'a container, one question after the other',
  processor: 'processor time of an answer, many under way',
  elsewhere: 'a name of others beyond asking upstream itself',
} as const

/** µs: 20 000 answers a second from one core. */
const PROCESSOR_LIMIT = 50
const ELSEWHERE_LIMIT = 300
const ADD_BUDGET = 1.02

type Samples = Record<keyof typeof WORKS, number[]>

export async function benchNames(rounds: number): Promise<Report> {
  const versions = versionsOf('dnsmasq', 'aardvark-dns', 'node', 'linux')
  const asker = makeAsker()
  furnishSandbox()
  const stopUpstream = startUpstream()
  const daemon = await startOurs()
  const sides: Side[] = []
  const samples = new Map<Side, Samples>()
  try {
    const aardvark = await aardvarkSide(2)
    sides.push(dnsmasqSide(1), ...(aardvark === undefined ? [] : [aardvark]), ourSide(3, daemon))
    for (const side of sides) samples.set(side, { one: [], processor: [], elsewhere: [] })
    for (let round = -1; round < rounds; round++)
      for (const side of rotate(sides, round)) {
        const { guest, server, pid } = side
        const median = (from: string, name: readonly string[]) =>
          summarize(asker.one(guest, from, QUESTIONS, name)).median
        const one = median(server, NAMES)
        const before = processorOf(pid)
        const answers = asker.many(guest, server, MANY_MS, NAMES)
        const processor = (processorOf(pid) - before) / answers
        const elsewhere =
          side.name === 'aardvark-dns'
            ? Number.NaN
            : median(server, [ELSEWHERE]) - median(UPSTREAM, [ELSEWHERE])
        if (round < 0) continue
        for (const [work, figure] of Object.entries({ one, processor, elsewhere }))
          samples.get(side)?.[work as keyof Samples].push(figure)
      }
    const adds = compareAdds(rounds * ADDS_PER_ROUND, 4)
    return {
      title: 'Names of containers',
      unit: 'µs',
      versions,
      lines: [
        ...(Object.keys(WORKS) as (keyof Samples)[]).flatMap(work => linesOf(work, samples)),
        ...addLines(adds),
      ],
      notes: [
        `${rounds} turns of ${QUESTIONS} questions; ${NAMES.length} containers; nothing is remembered by anybody`,
        ...(aardvark === undefined ? ['aardvark-dns is not installed'] : []),
        'aardvark-dns asks others whom resolv.conf names, which is not measured',
      ],
    }
  } finally {
    for (const side of sides) side.stop()
    await daemon.stop()
    stopUpstream()
  }
}

function linesOf(work: keyof Samples, samples: Map<Side, Samples>): Line[] {
  const measured = [...samples]
    .map(([{ name }, figures]) => ({ name, figures: figures[work].filter(Number.isFinite) }))
    .filter(({ figures }) => figures.length > 0)
  const peer = summarize(measured[0]?.figures ?? [])
  return measured.map(({ name, figures }, i): Line => {
    const summary = summarize(figures)
    const line = { work: WORKS[work], by: name, summary, unit: 'µs' }
    if (i === 0) return line
    const compared = { ...line, ratio: summary.median / peer.median }
    if (name !== 'tsnet') return compared
    if (work === 'one') return { ...compared, budget: 1 }
    return { ...compared, limit: work === 'processor' ? PROCESSOR_LIMIT : ELSEWHERE_LIMIT }
  })
}

function addLines({ on, off }: { on: number[]; off: number[] }): Line[] {
  const [peer, summary] = [summarize(off), summarize(on)]
  const work = 'ADD'
  return [
    { work, by: 'tsnet, no names', unit: 'ms', summary: peer },
    {
      work,
      by: 'tsnet, names',
      unit: 'ms',
      summary,
      ratio: summary.median / peer.median,
      budget: ADD_BUDGET,
    },
  ]
}
