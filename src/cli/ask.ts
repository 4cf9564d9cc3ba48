/**
 * Asks the daemon for what a command wants done. One that dies before it has answered is followed by another, which is
 * asked once more, and told since when: what was done by then is in records, and counts as done.
 *
 * A launcher that had asked for us says so (TSNET_ASKED_AT, seconds since the epoch; src/launcher/launch.c).
 */

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
  try {
    return await attempt(since)
  } catch (thrown) {
    if (daemon !== undefined || !(thrown instanceof HungUp)) throw thrown
    return await attempt(since ?? beganAt)
  }
}

/** Whom a command asks that changes nothing: the daemon, or what it says of itself where it does the command. */
export const readDaemon = async ({ daemon }: Terminal): Promise<Asker | undefined> =>
  daemon ?? (await connectControl())
