/**
 * Lists of whom containers may reach (`egress.allow`), beside networks without one and with lists of another length.
 *
 *     names       names that a list allows, each new, as its network's name service answers them
 *     traffic     packets that a list lets through
 *     size        calls by the length of the list, and those of a neighbour
 */

import { startOurs } from '../names/calls.ts'
import type { Report } from '../report.ts'
import { furnishSandbox } from '../sandbox.ts'
import { versionsOf } from '../versions.ts'
import { nameLines } from './names.ts'
import { startUpstream } from './site.ts'
import { sizeCurves } from './size.ts'
import { trafficLines } from './traffic.ts'

/** Turns for each call of a list: that of ten thousand takes as long as ten others. */
const SIZE_SHARE = 3

export async function benchEgress(rounds: number, only: readonly string[] = ['']): Promise<Report> {
  furnishSandbox()
  const daemon = await startOurs()
  const stopUpstream = startUpstream()
  const isWanted = (part: string) => only.some(word => part.includes(word))
  try {
    return {
      title: 'Whom containers may reach',
      unit: '',
      versions: versionsOf('iperf3', 'node', 'linux'),
      lines: [
        ...(isWanted('names') ? nameLines(rounds, daemon.pid) : []),
        ...(isWanted('traffic') ? await trafficLines(rounds) : []),
      ],
      ...(isWanted('size') && { curves: sizeCurves(Math.ceil(rounds / SIZE_SHARE)) }),
      notes: [
        'each name leads to an address of its own; upstream is a program in C that knows all of them',
        'half of the entries of a list are addresses, half addresses with a port',
      ],
    }
  } finally {
    await daemon.stop()
    stopUpstream()
  }
}
