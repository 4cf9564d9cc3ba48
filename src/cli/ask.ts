/**
 * Asks the daemon for what a command wants done. One that dies before it has answered is followed by another, which is
 * asked once more, and told since when: what was done by then is in records, and counts as done. Whoever is hung up on at
 * once has met the dying one again.
 *
 * A launcher that had asked for us says so (TSNET_ASKED_AT, seconds since the epoch; src/launcher/launch.c).
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { type Asker, connectControl, HungUp } from '../control/client.ts'
import type { Terminal } from './terminal.ts'

const { TSNET_ASKED_AT: askedAt } = process.env
// It is nothing to those whom we start.
delete process.env.TSNET_ASKED_AT

/**
 * @param connect finds the daemon anew each time
 * @param ask `since`: milliseconds since the epoch; absent where nobody has been asked yet
 */
export async function askOnce<Client extends Asker | undefined, T>(
  { daemon }: Terminal,
  connect: () => Promise<Client>,
  ask: (client: Client, since: number | undefined) => Promise<T>,
): Promise<T> {
  const beganAt = Date.now()
  const attempt = async (since: number | undefined) => {
    const client = await connect()
    try {
      return await ask(client, since)
    } finally {
      client?.[Symbol.dispose]()
    }
  }
  const since =
    daemon !== undefined || !/^\d{1,12}$/.test(askedAt ?? '') ? undefined : Number(askedAt) * 1_000
  let deadline: number | undefined
  for (let asked = since; ; asked = since ?? beganAt) {
    try {
      return await attempt(asked)
    } catch (thrown) {
      if (daemon !== undefined || !(thrown instanceof HungUp)) throw thrown
      deadline ??= performance.now() + DYING_MS
      if (performance.now() > deadline) throw thrown
    }
    await sleep(PAUSE_MS)
  }
}

/** A process that dies closes its connections one after the other, and listens until it comes to that. */
const DYING_MS = 2_000
const PAUSE_MS = 20

/** Whom a command asks that changes nothing: the daemon, or what it says of itself where it does the command. */
export const readDaemon = async ({ daemon }: Terminal): Promise<Asker | undefined> =>
  daemon ?? (await connectControl())
