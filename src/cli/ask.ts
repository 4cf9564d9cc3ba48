/**
 * Asks the daemon for what a command wants done. One that dies before it has answered is followed by another, which is
 * asked once more, and told since when: what was done by then is in records, and counts as done (control/ask-again.ts).
 *
 * A launcher that had asked for us says so (TSNET_ASKED_AT, seconds since the epoch; src/launcher/launch.c).
 */

import { askAgain } from '../control/ask-again.ts'
import { type Asker, connectControl } from '../control/client.ts'
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
  // What the daemon does for a launcher, the launcher asks again.
  if (daemon !== undefined) return attempt(undefined)
  const since = /^\d{1,12}$/.test(askedAt ?? '') ? Number(askedAt) * 1_000 : undefined
  return askAgain(isAgain => attempt(isAgain ? (since ?? beganAt) : since))
}

/** Whom a command asks that changes nothing: the daemon, or what it says of itself where it does the command. */
export const readDaemon = async ({ daemon }: Terminal): Promise<Asker | undefined> =>
  daemon ?? (await connectControl())
