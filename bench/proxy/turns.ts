/** Turns: everything is measured on each side, one after the other, and who goes first alternates. */

import { rotate } from '../statistics.ts'
import type { Side } from './scene.ts'

/** Figures by `${name} ${side}`. */
export type Samples = Map<string, number[]>

/**
 * Takes a turn that counts for nothing, and then as many as are asked for.
 * @param measure gives figures with their names; none where a side cannot do such work
 */
export async function inTurns<Work>(
  rounds: number,
  works: readonly Work[],
  sides: readonly Side[],
  measure: (work: Work, side: Side) => Promise<readonly (readonly [name: string, figure: number])[]>,
): Promise<Samples> {
  const samples: Samples = new Map()
  for (let round = -1; round < rounds; round++) {
    for (const work of works) {
      for (const side of rotate(sides, round)) {
        const figures = await measure(work, side)
        if (round < 0) continue
        for (const [name, figure] of figures) {
          const key = `${name} ${side.name}`
          samples.set(key, [...(samples.get(key) ?? []), figure])
        }
      }
    }
  }
  return samples
}
