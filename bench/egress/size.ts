/** What a list costs by its length: the container's own calls, and those of a neighbour. */

import { resolve } from 'node:path'
import { type Curve, curveOf } from '../curve.ts'
import { measure, type Part } from '../meter/meter.ts'
import { callOf, ENV } from '../names/calls.ts'
import { ip } from '../sandbox.ts'
import { rotate } from '../statistics.ts'
import { attach, entries, networkWith } from './site.ts'

const SIZES = [10, 1_000, 10_000]
/** Calls of the neighbour for each of the list's. */
const NEIGHBOURS = 5
/** Nothing may grow faster than the list. */
const OWN_GROWTH = 1_000
const FLAT = 1.1

const OWN = ['ADD', 'CHECK', 'egress ls', 'DEL'] as const
const BESIDE = ['ADD of a neighbour', 'DEL of a neighbour'] as const
type Work = (typeof OWN)[number] | (typeof BESIDE)[number]

export function sizeCurves(rounds: number): Curve[] {
  for (const netns of ['long', 'beside']) ip('netns', 'add', netns)
  // The bridges stay.
  for (const n of [7, 8]) attach(n, undefined, 'peer')
  const taken = SIZES.map(size => ({
    size,
    ms: Object.fromEntries([...OWN, ...BESIDE].map(work => [work, []])) as unknown as Record<Work, number[]>,
  }))
  const turns = Array.from({ length: rounds + 1 }, (_, turn) => turn - 1)
  measure(
    turns.flatMap(turn =>
      rotate(taken, turn + 1).flatMap(({ size, ms }) =>
        partsOf(size, (work, taken) => void (turn >= 0 && ms[work].push(taken))),
      ),
    ),
  )
  const curve = (work: Work, budget: number) =>
    curveOf(
      { work, by: 'a list', unit: 'ms', budget },
      taken.map(({ size, ms }) => ({ size, values: ms[work] })),
    )
  return [...OWN.map(work => curve(work, OWN_GROWTH)), ...BESIDE.map(work => curve(work, FLAT))]
}

function partsOf(size: number, keep: (work: Work, ms: number) => void): Part[] {
  const network = networkWith(7, entries(size))
  const short = networkWith(8, entries(10))
  const part = (work: Work, step: Part['steps'][number]): Part => ({
    steps: [step],
    keep: ([figure]) => keep(work, figure?.ms ?? Number.NaN),
  })
  const add = callOf('ADD', 'long', 'long', network)
  const neighbours = Array.from({ length: NEIGHBOURS }, () => [
    part('ADD of a neighbour', callOf('ADD', 'beside', 'beside', short)),
    part('DEL of a neighbour', callOf('DEL', 'beside', 'beside', short)),
  ])
  return [
    part('ADD', add),
    part('CHECK', callOf('CHECK', 'long', 'long', network)),
    part('egress ls', {
      run: {
        name: 'ls',
        command: [resolve('dist/bin/tsnet'), 'egress', 'ls', 'long', '--json'],
        env: ENV,
        stdin: [],
      },
    }),
    ...neighbours.flat(),
    part('DEL', callOf('DEL', 'long', 'long', network)),
  ]
}
