/**
 * Takes a container off a network.
 *
 * What is taken down is what the record says, whatever the configuration says by now, and whether or not
 * the namespace is still there. Without a record everything that carries the owner tag goes, and the
 * addresses that the configured IPAM holds for the container.
 */

import { type AttachmentKey, type IpamOptions, ownerTag } from '../model/network.ts'
import { isOurOwn, refuseOwn } from '../netns/container.ts'
import { tryOpenNetns } from '../netns/netns.ts'
import { readEntry, removeEntry, whileLocked } from '../records/records.ts'
import { type Foreign, hasPair, takeDownForeign } from './bridge-role/end.ts'
import type { Context } from './context.ts'
import { takeDownEntry, takeDownUnrecorded } from './take-down.ts'

/** What the caller still knows; used only where no record says it. */
export interface DetachHint {
  /** CNI_NETNS, where given. */
  netns?: string
  ipam?: IpamOptions
  /** The role `bridge`: the reference may have made it, of which there is no record. */
  foreign?: Foreign
}

/**
 * Idempotent: succeeds when nothing is left to take away.
 * @throws TsnetError `invalid-netns` when the path leads to our own namespace and no record says otherwise;
 *   or what could not be taken down, after having tried everything
 */
export async function detach(
  key: AttachmentKey,
  hint: DetachHint = {},
  context: Context = {},
): Promise<void> {
  const owner = ownerTag(key)
  await whileLocked(owner, async () => {
    const entry = readEntry(owner)
    if (entry === undefined) {
      if (!context.allowOwnNetns) refuseOwnPath(hint.netns)
      if (hint.foreign === undefined) await takeDownUnrecorded(key, hint.ipam, hint.netns, context)
      // A killed ADD may have begun to write one.
      removeEntry(owner)
    } else {
      await takeDownEntry(owner, entry.attachment, context)
    }
    if (hint.foreign !== undefined) await detachForeign(key, hint, entry !== undefined, context)
  })
}

/** @param recorded what we made is gone: a link that is still there was made by the reference since */
async function detachForeign(
  key: AttachmentKey,
  { netns: path, ipam, foreign }: DetachHint,
  recorded: boolean,
  context: Context,
): Promise<void> {
  using netns = path === undefined ? undefined : tryOpenNetns(path)
  const ours = netns !== undefined && context.allowOwnNetns !== true && isOurOwn(netns.id)
  const place = ours ? undefined : netns
  if (recorded && (place === undefined || !hasPair(place, key.ifname))) return
  await takeDownForeign(key, ipam, place, foreign, context)
}

function refuseOwnPath(path: string | undefined): void {
  using netns = path === undefined ? undefined : tryOpenNetns(path)
  if (netns !== undefined)
    refuseOwn(netns, ', and nothing is recorded for a container in it; nothing was changed')
}
