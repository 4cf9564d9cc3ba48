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

export const NAMES_ALLOW = ['*.example.org']
const AT_LEAST = 0.9

export function nameLines(rounds: number, pid: number): Line[] {
  const asker = makeAsker()
  const sides = [
    { by: 'no list', guest: attach(1) },
    { by: 'a list', guest: attach(2, NAMES_ALLOW) },
  ].map(side => ({ ...side, rate: [] as number[], p50: [] as number[], processor: [] as number[] }))
  let first = 0
  const fresh = () => {
    first += NUMBERS
    return [`#${first}.example.org`]
  }
  for (let round = -1; round < rounds; round++)
    for (const { guest, rate, p50, processor } of rotate(sides, round)) {
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
  const [open, listed] = sides.map(({ rate, p50, processor }) => ({
    rate: summarize(rate),
    p50: summarize(p50),
    processor: summarize(processor),
  }))
  if (open === undefined || listed === undefined) return []
  return (
    [
      ['rate', 'new names, many under way', '1/s', { atLeast: AT_LEAST }],
      ['p50', 'a new name, one question after the other', 'µs', {}],
      ['processor', 'processor time of a new name', 'µs', {}],
    ] as const
  ).flatMap(([figure, work, unit, demand]): Line[] => [
    { work, by: 'no list', unit, summary: open[figure] },
    {
      work,
      by: 'a list',
      unit,
      summary: listed[figure],
      ratio: listed[figure].median / open[figure].median,
      ...demand,
    },
  ])
}
