/**
 * Names that a list allows, each asked for once and leading to an address that is new, beside the same from a network
 * without a list.
 */

import { makeAsker, processorOf } from '../names/asker.ts'
import type { Line } from '../report.ts'
import { rotate, summarize } from '../statistics.ts'
import { attach } from './site.ts'

const MANY_MS = 300
const ONE_BY_ONE = 300
/** Of the names that one run asks for. */
const NUMBERS = 100_000
/** Rounds that count for nothing: what runs all the time is compiled by then. */
const WARM_UP = 3

const WILDCARD = '*.example.org'
const LONG = Array.from({ length: 10_000 }, (_, i) => `n${i}.example.net`)
const AT_LEAST = 0.9

const WORKS = [
  { figure: 'rate', work: 'new names, many under way', unit: '1/s', demand: { atLeast: AT_LEAST } },
  { figure: 'p50', work: 'a new name, one question after the other', unit: 'µs', demand: {} },
  { figure: 'processor', work: 'processor time of a new name', unit: 'µs', demand: {} },
] as const

export function nameLines(rounds: number, pid: number): Line[] {
  const asker = makeAsker()
  const sides = [
    { by: 'no list', guest: attach(1) },
    { by: 'a list', guest: attach(2, [WILDCARD]) },
    { by: 'a list with a port', guest: attach(7, [`${WILDCARD}:443`]) },
    { by: 'a list of 10000 names', guest: attach(6, [...LONG, WILDCARD]) },
  ].map(side => ({ ...side, rate: [] as number[], p50: [] as number[], processor: [] as number[] }))
  let first = 0
  const fresh = () => {
    first += NUMBERS
    return [`#${first}.example.org`]
  }
  for (let round = -WARM_UP; round < rounds; round++)
    for (const { guest, rate, p50, processor } of rotate(sides, round + WARM_UP)) {
      const { netns, server } = guest
      const before = processorOf(pid)
      const answers = asker.many(netns, server, MANY_MS, fresh())
      const used = (processorOf(pid) - before) / answers
      const one = summarize(asker.one(netns, server, ONE_BY_ONE, fresh())).median
      if (round < 0) continue
      rate.push((answers * 1_000) / MANY_MS)
      p50.push(one)
      processor.push(used)
    }
  return WORKS.flatMap(({ figure, work, unit, demand }) => {
    const [open, ...listed] = sides.map(side => ({ by: side.by, summary: summarize(side[figure]) }))
    if (open === undefined) return []
    return [
      { work, unit, ...open },
      ...listed.map(
        (line): Line => ({
          work,
          unit,
          ...line,
          ratio: line.summary.median / open.summary.median,
          ...demand,
        }),
      ),
    ]
  })
}
