/**
 * What calls cost, each from exec to exit (`meter/meter.ts`).
 *
 *     containers     one comes and goes: bridge, address, masquerade and one published port. The peer is the chain of
 *                    reference plugins, run as a runtime's library runs it: `bridge` (which runs `host-local`) and then
 *                    `portmap`, each with the result of the one before; DEL the other way round. Ours is one process,
 *                    with each backend, once done by the daemon, once without one
 *     foreign        the same on hosts full of others' chains, over an empty one
 *     publication    ten thousand ports by one command
 *
 * Sides alternate, and who goes first rotates. The reference has a host of its own, and so has each build of ours: a
 * second one, from another checkout, takes its turns beside this one where it is asked for (`--against`).
 *
 * What each may cost is in `budgets.ts`.
 */

import { harness, measure } from '../meter/meter.ts'
import type { Report } from '../report.ts'
import { furnishSandbox } from '../sandbox.ts'
import { summarize } from '../statistics.ts'
import { versionsOf } from '../versions.ts'
import { benchContainers } from './containers.ts'
import { benchForeign } from './foreign.ts'
import type { Found } from './lines.ts'
import { benchPublication } from './publication.ts'
import { type Build, otherBuild, THIS } from './sides.ts'

const PARTS: Record<string, (rounds: number, builds: readonly Build[]) => Promise<Found>> = {
  containers: benchContainers,
  foreign: benchForeign,
  publication: benchPublication,
}

/**
 * @param only names that parts have to contain one of
 * @param against another checkout, which has been built
 */
export async function benchCni(
  rounds: number,
  only: readonly string[] = [''],
  against?: string,
): Promise<Report> {
  const other = against === undefined ? [] : [otherBuild(against)]
  // Asked before the sandbox hides Debian's records.
  const versions = versionsOf('reference plugins', 'iptables', 'nft', 'strace', 'node', 'linux')
  furnishSandbox()
  const found: Found[] = []
  for (const [name, bench] of Object.entries(PARTS)) {
    if (only.some(part => name.includes(part))) found.push(await bench(rounds, [...other, THIS]))
  }
  return {
    title: 'CNI: bridge, address, masquerade, one port',
    unit: 'ms',
    versions,
    lines: found.flatMap(({ lines }) => lines),
    notes: [
      `${harness()}; a process that does nothing takes ${startTime()} ms`,
      ...found.flatMap(({ notes }) => notes),
      ...other.map(({ name, folder }) => `${name} is ${folder}; × other is this build over it`),
    ],
  }
}

function startTime(): string {
  const times: number[] = []
  const run = { name: 'true', command: ['true'], env: {}, stdin: [] }
  measure([
    {
      steps: Array.from({ length: 20 }, () => ({ run })),
      keep: figures => {
        times.push(...figures.map(({ ms }) => ms))
      },
    },
  ])
  return summarize(times).median.toFixed(1)
}
