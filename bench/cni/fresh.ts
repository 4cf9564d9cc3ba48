/**
 * The first ADDs of a daemon that has just been started: V8 compiles what it runs often, and that takes some fifteen
 * calls. Whoever starts a daemon and looks at ten calls sees these.
 */

import type { Daemon } from '../daemon.ts'
import { measure } from '../meter/meter.ts'
import { callOf } from './calls.ts'
import { daemonOn, type Host } from './host.ts'
import type { Side } from './sides.ts'

const CALLS = 10
const DAEMONS = 6
const PAUSE_MS = 10

/** What they are kept under. */
export const FRESH = `ADD, the first ${CALLS} of a daemon`

/** @param daemons whose one of the side's host is replaced again and again */
export async function benchFresh(side: Side, daemons: Map<Host, Daemon>): Promise<void> {
  if (side.ours === undefined) return
  const pause = { steps: [{ pauseMs: PAUSE_MS }] }
  for (let count = 0; count < DAEMONS; count++) {
    await daemons.get(side.host)?.stop()
    daemons.set(side.host, await daemonOn(side.host, side.ours.build))
    measure(
      Array.from({ length: CALLS }, () => [
        pause,
        callOf(side, 'ADD', FRESH),
        pause,
        callOf(side, 'DEL'),
      ]).flat(),
    )
  }
}
