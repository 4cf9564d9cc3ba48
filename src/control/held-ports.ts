/**
 * The operations of network/ with a daemon that holds the published ports of what is attached, so that they answer
 * on loopback too. Where none runs, whoever publishes starts one; where that is forbidden or fails, everything is
 * the same but for that. Where the runtime wants to listen on the ports itself, the daemon comes after it
 * (publish/attachment-ports.ts).
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../model/errors.ts'
import { ownerTag } from '../model/network.ts'
import { describeHostPorts } from '../model/port-mapping.ts'
import { surroundings } from '../model/surroundings.ts'
import * as network from '../network/network.ts'
import { portHolder } from '../network/take-down.ts'
import { runDirectory } from '../records/run-directory.ts'
import { type ControlClient, connectControl } from './client.ts'
import { readSettings, SETTINGS_FILE } from './settings.ts'
import { daemonAtHand } from './start.ts'

/** Who holds the ports of attachments. */
export interface PortHolder {
  /** All ports of an attachment, or none. */
  serve(owner: string): Promise<void>
  release(owner: string): Promise<void>
}

type Held = (PortHolder & Disposable) | undefined
type Attach = Parameters<typeof network.attach>

/**
 * The operations of this process, whatever takes an attachment down included.
 * @param holder whoever holds ports now; it is let go of after each operation
 * @param forPorts whoever shall hold the ports of a new attachment
 */
export function operationsWith(
  holder: () => Promise<Held>,
  forPorts: (request: Attach[0]) => Promise<Held> = holder,
) {
  portHolder.release = async owner => {
    using held = await holder()
    // A daemon in trouble is no reason to keep anything: it looks for itself soon.
    await held?.release(owner).catch(() => {})
  }
  return { ...network, attach: (...asked: Attach) => attachWith(forPorts, ...asked) }
}

async function attachWith(forPorts: (request: Attach[0]) => Promise<Held>, ...[request, context]: Attach) {
  using held = request.ports.length > 0 ? await forPorts(request) : undefined
  if (held === undefined) return network.attach(request, context)
  const attachment = await network.attach(request, { ...context, loopbackServed: true })
  try {
    await held.serve(ownerTag(attachment))
    return attachment
  } catch (thrown) {
    await network.detach(attachment)
    throw thrown
  }
}

/** The daemon that runs. That there is none is found out before anything is loaded for it. */
async function running(): Promise<ControlClient | undefined> {
  const mayRun = existsSync(join(runDirectory(), 'control.sock'))
  return mayRun ? await connectControl() : undefined
}

/** One that is stopped looks for itself when it goes on. */
async function answering(): Promise<Held> {
  const client = await running()
  if (client === undefined || !client.isStopped()) return client && holderOf(client)
  client[Symbol.dispose]()
  return undefined
}

const holderOf = (client: ControlClient): PortHolder & Disposable => ({
  serve: async owner => void (await client.ask('serve', { owner })),
  release: async owner => void (await client.ask('release', { owner })),
  [Symbol.dispose]: () => client[Symbol.dispose](),
})

/** A runtime waits for us, and from outside the port answers in any case. */
const START_WITHIN_MS = 10_000

/** The daemon, started where none runs. What keeps it from starting, or answering, is said, and is no error. */
async function atHand({ ports }: Attach[0]): Promise<Held> {
  const there = await running()
  try {
    there?.mustAnswer()
    if (there !== undefined || !mayStart()) return there && holderOf(there)
    return holderOf(await daemonAtHand(START_WITHIN_MS))
  } catch (thrown) {
    there?.[Symbol.dispose]()
    const which = ports.map(describeHostPorts).join(', ')
    surroundings().complain(
      `tsnet: port ${which} does not answer on 127.0.0.1 and ::1 of this host: ${messageOf(thrown)}\n`,
    )
    return undefined
  }
}

function mayStart(): boolean {
  if (surroundings().env.TSNET_DAEMON === 'running') return false
  try {
    return readSettings(SETTINGS_FILE).onDemand
  } catch {
    // It will say itself what is wrong with its settings.
    return true
  }
}

export const { attach, detach, check, collect, status } = operationsWith(answering, atHand)
