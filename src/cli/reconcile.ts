/** `tsnet reconcile`. */

import { connectControl } from '../control/client.ts'
import { TsnetError } from '../model/errors.ts'
import { type Found, reconcile } from '../network/reconcile/reconcile.ts'
import { requireRunDirectory } from '../records/run-directory.ts'
import { tableOf } from './listing/table.ts'
import { Told } from './outcome.ts'
import type { Terminal } from './terminal.ts'

/** It may stand in line for a lock. */
const WITHIN_MS = 120_000

/**
 * Puts back what others took away, or says what it is. Where a daemon runs, it does so, since it may be at it already.
 * @throws TsnetError `mismatch` where something could not be put back; Told where the JSON says so
 */
export async function reconcileByHand(
  terminal: Terminal,
  { json, isDry }: { json: boolean; isDry: boolean },
): Promise<void> {
  requireRunDirectory()
  using client = await connectControl()
  const found =
    client === undefined
      ? await reconcile({ isDry })
      : ((await client.ask('reconcile', { isDry }, WITHIN_MS)) as Found[])
  if (json) terminal.out(`${JSON.stringify(found)}\n`)
  else terminal.out(`${found.length === 0 ? 'nothing is lacking' : tableFor(found, terminal.columns)}\n`)
  const kept = found.filter(({ outcome }) => outcome === 'kept')
  if (kept.length === 0) return
  if (json) throw new Told()
  const message = `${kept.length === 1 ? 'one thing is' : `${kept.length} things are`} not as they should be`
  throw new TsnetError('mismatch', message, { details: 'the reasons are listed' })
}

const tableFor = (found: readonly Found[], columns: number | undefined): string =>
  tableOf(
    ['STATE', 'OF', 'WHAT'],
    found.map(({ outcome, network, name, ifname, subject, what, why }) => [
      outcome,
      name === undefined ? subject : `${name} (${network} ${ifname})`,
      why === undefined ? what : `${what}: ${why}`,
    ]),
    columns,
  )
