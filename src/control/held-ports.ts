/**
 * The operations of network/ where a daemon runs: it holds the published ports of what is attached, so
 * that they answer on loopback too. Without it everything is the same, but for that. Where the runtime
 * wants to listen on them itself, the daemon comes after it (network/attachment-ports.ts).
 */

import { ownerTag } from '../model/network.ts'
import * as network from '../network/network.ts'
import { portHolder } from '../network/take-down.ts'
import { connectControl } from './client.ts'

/** Who holds the ports of attachments. */
export interface PortHolder {
  /** All ports of an attachment, or none. */
  serve(owner: string): Promise<void>
  release(owner: string): Promise<void>
}

/**
 * The operations of this process, whatever takes an attachment down included.
 * @param holder whoever holds ports now; it is let go of after each operation
 */
export function operationsWith(holder: () => Promise<(PortHolder & Disposable) | undefined>) {
  portHolder.release = async owner => {
    using held = await holder()
    // A daemon in trouble is no reason to keep anything: it looks for itself soon.
    await held?.release(owner).catch(() => {})
  }
  return { ...network, attach: (...asked: Parameters<typeof network.attach>) => attachWith(holder, ...asked) }
}

async function attachWith(
  holder: Parameters<typeof operationsWith>[0],
  ...[request, context]: Parameters<typeof network.attach>
) {
  using held = request.ports.length > 0 ? await holder() : undefined
  if (held === undefined) return network.attach(request, context)
  const attachment = await network.attach(request, { ...context, loopbackServed: true })
  if (attachment.portsReserved === true) return attachment
  try {
    await held.serve(ownerTag(attachment))
    return attachment
  } catch (thrown) {
    await network.detach(attachment)
    throw thrown
  }
}

/** The daemon, by its control socket. */
async function daemon(): Promise<(PortHolder & Disposable) | undefined> {
  const client = await connectControl()
  return (
    client && {
      serve: async owner => void (await client.ask('serve', { owner })),
      release: async owner => void (await client.ask('release', { owner })),
      [Symbol.dispose]: () => client[Symbol.dispose](),
    }
  )
}

export const { attach, detach, check, collect, status } = operationsWith(daemon)
