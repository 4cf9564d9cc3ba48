/** Lists of whom a container may reach (`egress.allow`), beside networks without one. */

import { startOurs } from '../names/calls.ts'
import type { Report } from '../report.ts'
import { furnishSandbox } from '../sandbox.ts'
import { versionsOf } from '../versions.ts'
import { nameLines } from './names.ts'
import { startUpstream } from './site.ts'

export async function benchEgress(rounds: number, only: readonly string[] = ['']): Promise<Report> {
  furnishSandbox()
  const daemon = await startOurs()
  const stopUpstream = startUpstream()
  const isWanted = (part: string) => only.some(word => part.includes(word))
  try {
    return {
      title: 'Whom containers may reach',
      unit: '',
      versions: versionsOf('node', 'linux'),
      lines: [...(isWanted('names') ? nameLines(rounds, daemon.pid) : [])],
      notes: [],
    }
  } finally {
    await daemon.stop()
    stopUpstream()
  }
}
