/** `tsnet gc`. */

import { leaveKnown } from '../../chain/leave.ts'
import { TsnetError } from '../../model/errors.ts'
import { indented } from '../../model/text/text.ts'
import { findGarbage, GARBAGE_KINDS, type Garbage, hostOf, removeGarbage } from '../../networks/networks.ts'
import { requireRunDirectory } from '../../records/run-directory.ts'
import { tableOf } from '../listing/table.ts'
import { Told } from '../outcome.ts'
import type { Terminal } from '../terminal.ts'

export interface GcOptions {
  dryRun?: true
  json?: true
  confDir?: string
}

type Outcome = Garbage & { outcome: 'dead' | 'removed' | 'kept' }

/**
 * Removes what is left of containers that are no more, and says what it was.
 * @throws TsnetError `mismatch` where some of it is still there; Told where the JSON says so
 */
export async function gc(
  terminal: Terminal,
  { dryRun = false, json = false, confDir }: Given,
): Promise<void> {
  requireRunDirectory()
  const host = hostOf(process.env, confDir)
  if (dryRun) {
    print(
      terminal,
      json,
      (await findGarbage(host)).map(each => ({ ...each, outcome: 'dead' })),
    )
    return
  }
  const { removed, kept, failures } = await removeGarbage(host, process.env, known => leaveKnown(known, host))
  print(terminal, json, [
    ...removed.map((each): Outcome => ({ ...each, outcome: 'removed' })),
    ...kept.map((each): Outcome => ({ ...each, outcome: 'kept' })),
  ])
  if (kept.length === 0 && failures.length === 0) return
  const why =
    failures.length > 0 ? failures.join('; ') : 'somebody is busy with it, or it is not to be removed'
  if (json) {
    terminal.error(`tsnet: ${why}\n`)
    throw new Told()
  }
  throw new TsnetError(
    'mismatch',
    `${kept.length} of ${kept.length + removed.length} could not be removed: ${why}`,
  )
}

interface Given {
  dryRun?: boolean | undefined
  json?: boolean | undefined
  confDir?: string | undefined
}

function print(terminal: Terminal, json: boolean, all: readonly Outcome[]): void {
  const sorted = [...all].sort((a, b) => GARBAGE_KINDS.indexOf(a.kind) - GARBAGE_KINDS.indexOf(b.kind))
  if (json) terminal.out(`${JSON.stringify(sorted)}\n`)
  else terminal.out(`${table(sorted, terminal.columns)}\n`)
}

const table = (all: readonly Outcome[], columns: number | undefined): string =>
  all.length === 0
    ? indented('', 'nothing is left of anybody', columns)
    : tableOf(
        ['STATE', 'KIND', 'OF', 'NETWORK', 'WHY'],
        all.map(({ outcome, kind, what, network = '-', why }) => [outcome, kind, what, network, why]),
        columns,
      )
