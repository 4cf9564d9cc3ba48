/**
 * Names that a list allows, beside the same from a network without a list: each asked for once and leading to an address that is
 * new, and a hundred again and again.
 */

import { makeAsker, processorOf } from '../names/asker.ts'
import type { Line } from '../report.ts'
import { rotate, summarize } from '../statistics.ts'
import { attach } from './site.ts'

const MANY_MS = 300
const ONE_BY_ONE = 300
/** Of the names that one run asks for. */
const NUMBERS = 100_000
/** As programs ask: for few names, often. */
const FEW = Array.from({ length: 100 }, (_, i) => `n${String(i).padStart(7, '0')}.example.org`)
/** Rounds that count for nothing: what runs all the time is compiled by then. */
const WARM_UP = 3

const WILDCARD = '*.example.org'
const LONG = Array.from({ length: 10_000 }, (_, i) => `n${i}.example.net`)
const AT_LEAST = 0.9

const WORKS = [
  { figure: 'rate', work: 'new names, many under way', unit: '1/s', demand: { atLeast: AT_LEAST } },
  { figure: 'again', work: 'a hundred names, many under way', unit: '1/s', demand: { atLeast: AT_LEAST } },
  { figure: 'p50', work: 'a new name, one question after the other', unit: 'µs', demand: {} },
  { figure: 'processor', work: 'processor time of a new name', unit: 'µs', demand: {} },
] as const

const none = (): number[] => []

export function nameLines(rounds: number, pid: number): Line[] {
  const asker = makeAsker()
  const sides = [
    { by: 'no list', guest: attach(1) },
    { by: 'a list', guest: attach(2, [WILDCARD]) },
    { by: 'a list with a port', guest: attach(7, [`${WILDCARD}:443`]) },
    { by: 'a list of 10000 names', guest: attach(6, [...LONG, WILDCARD]) },
  ].map(side => ({ ...side, rate: none(), again: none(), p50: none(), processor: none() }))
  let first = 0
  const fresh = () => {
    first += NUMBERS
    return [`#${first}.example.org`]
  }
  for (let round = -WARM_UP; round < rounds; round++)
    for (const { guest, rate, again, p50, processor } of rotate(sides, round + WARM_UP)) {
      const { netns, server } = guest
      const before = processorOf(pid)
      const answers = asker.many(netns, server, MANY_MS, fresh())
      const used = (processorOf(pid) - before) / answers
      const few = asker.many(netns, server, MANY_MS, FEW)
      const one = summarize(asker.one(netns, server, ONE_BY_ONE, fresh())).median
      if (round < 0) continue
      rate.push((answers * 1_000) / MANY_MS)
      again.push((few * 1_000) / MANY_MS)
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
