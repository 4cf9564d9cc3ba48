/**
 * What the plugins of a chain do for a container that another plugin has attached, and those without a link:
 *
 *     portmap      ports of the host lead to it
 *     firewall     its packets are let through
 *     bandwidth    its interface gets limits
 *     tuning       settings of its interface and its namespace
 *     loopback     its `lo` is up
 *     host-local   addresses, for a plugin that calls for them
 *
 * They stand in the places of the reference plugins of the same names and can be mixed with them, so what they make
 * has the reference's names, and each takes away what the other made (nat/reference/). The role `bridge` is an
 * attachment of its own: network/bridge-role/.
 *
 * What was done for a container is written down before (records/chained.ts; bandwidth and tuning need no file of
 * ours), so DEL needs the key alone, and GC takes away what belongs to containers that are no more. Every one
 * refuses to work in our own namespace.
 */

import { type AttachmentKey, nameInNetwork } from '../model/network.ts'
import { currentBootId } from '../netns/alive.ts'
import { openContainer } from '../netns/container.ts'
import { listRecords, type Records, type Role } from '../records/chained.ts'
import { deadCheck } from '../records/dead.ts'

/** What a plugin of a chain is told about the attachment. */
export interface ChainedCall extends AttachmentKey {
  /** Path of the container's network namespace. */
  netns: string
  /** Accept a container in our own network namespace (CNI_NETNS_OVERRIDE). */
  allowOwnNetns: boolean
}

/** What every record says of its attachment. @throws TsnetError `invalid-netns` */
export function recordOf({ network, containerId, ifname, netns: path, allowOwnNetns }: ChainedCall) {
  using netns = openContainer(path, allowOwnNetns)
  return {
    network,
    containerId,
    ifname,
    netns: { path, ...netns.identity },
    bootId: currentBootId(),
    createdAt: new Date().toISOString(),
  }
}

/**
 * The records of a network whose attachments are no more.
 * @param valid attachments that live; absent: only what is provably dead is no more
 */
export function recordsToCollect<R extends Role>(
  role: R,
  network: string,
  valid: { containerId: string; ifname: string }[] | undefined,
): Records[R][] {
  const isDead = deadCheck()
  const lives = valid && new Set(valid.map(nameInNetwork))
  return listRecords(role).filter(
    record =>
      record.network === network &&
      (lives === undefined ? isDead(record) : !lives.has(nameInNetwork(record))),
  )
}
