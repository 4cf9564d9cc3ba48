/** Addresses without a link: what the role `host-local` gives to the plugin that called it. */

import { type Allocation, giveBack, heldLeases, obtain } from '../ipam/ipam.ts'
import type { Ip } from '../model/address/address.ts'
import { hasCode, TsnetError } from '../model/errors.ts'
import type { AttachmentKey, IpamOptions } from '../model/network.ts'
import { currentBootId } from '../netns/alive.ts'
import { tryOpenNetns } from '../netns/netns.ts'
import { collect } from '../network/collect.ts'

/**
 * Takes addresses. Where there are none, those of containers that are no more are freed first.
 * @param netns by whose end the lease ends; a path that leads nowhere is as good as none
 * @throws TsnetError as `obtain`
 */
export async function takeLeases(
  key: AttachmentKey,
  netns: string,
  ipam: IpamOptions,
  requestedIps: Ip[],
): Promise<Allocation> {
  using place = tryOpenNetns(netns)
  const owner = {
    ...key,
    bootId: currentBootId(),
    ...(place !== undefined && { netns: { path: netns, ...place.identity } }),
  }
  try {
    return await obtain(ipam, owner, requestedIps)
  } catch (thrown) {
    if (!hasCode(thrown, 'exhausted')) throw thrown
    await collect({ name: key.network, ipam, dropIn: true }, undefined).catch(() => {})
    return obtain(ipam, owner, requestedIps)
  }
}

/** Gives them back; any number of times. */
export const returnLeases = (key: AttachmentKey, ipam: IpamOptions): Promise<void> =>
  giveBack(ipam, key, undefined)

/** @throws TsnetError `mismatch` when the attachment has no address */
export function checkLeases(key: AttachmentKey, ipam: IpamOptions): void {
  if (heldLeases(ipam, key).length > 0) return
  throw new TsnetError(
    'mismatch',
    `host-local: Failed to find address added by container ${key.containerId}`,
    { details: `interface ${key.ifname} of network ${key.network}` },
  )
}
