/**
 * Commands that go on until somebody ends them: what happens, and what is live.
 *
 *     events   a line for each thing that happens           events.ts
 *     top      a table of ports and containers, with rates  top.ts, screen.ts
 *     ports --watch                                         cli/ports.ts
 *
 * All hear from the daemon. One that is succeeded is followed: who listened to it listens to its successor.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { type ControlClient, connectControl } from '../../control/client.ts'
import { messageOf, TsnetError } from '../../model/errors.ts'
import type { Told } from '../../observe/happening.ts'

/** How long a successor may take to answer. */
const AGAIN_WITHIN_MS = 5_000
const AGAIN_EVERY_MS = 100

/** The daemon that runs. @throws TsnetError `missing` */
export async function daemonHere(hear?: (told: Told) => void): Promise<ControlClient> {
  const client = await connectControl(event => hear?.(event as Told))
  if (client !== undefined) return client
  throw new TsnetError('missing', 'no daemon runs here, and only it knows what goes on', {
    details: 'start one: tsnet daemon, or with the host: tsnet install',
  })
}

/**
 * Hears what happens until `until` settles.
 * @param begun is called with each daemon that is listened to
 * @throws TsnetError `missing`; `io` when the daemon ends and no other takes its place
 */
export async function listen(
  hear: (told: Told) => void,
  until: Promise<unknown>,
  begun: (client: ControlClient) => void = () => {},
): Promise<void> {
  let client = await daemonHere(hear)
  for (;;) {
    try {
      await client.ask('watch')
      begun(client)
      const isOver = await Promise.race([until.then(() => true), client.closed.then(() => false)])
      if (isOver) return
    } catch (thrown) {
      // It ended before it answered.
      if (!(thrown instanceof TsnetError) || thrown.code !== 'io') throw thrown
    } finally {
      client[Symbol.dispose]()
    }
    client = await successor(hear)
  }
}

async function successor(hear: (told: Told) => void): Promise<ControlClient> {
  const until = performance.now() + AGAIN_WITHIN_MS
  for (;;) {
    await sleep(AGAIN_EVERY_MS)
    try {
      return await daemonHere(hear)
    } catch (thrown) {
      if (performance.now() > until)
        throw new TsnetError('io', `the daemon has ended: ${messageOf(thrown)}`, { cause: thrown })
    }
  }
}
