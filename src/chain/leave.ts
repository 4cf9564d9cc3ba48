/**
 * A container leaves a network, running or not.
 *
 * What is taken down is what was written down when it joined: list, result, ports. Where that is lost, the
 * list of the name as it is now, and where that is lost too, tsnet's own record alone.
 */

import { hasCode } from '../model/errors.ts'
import type { AttachmentKey } from '../model/network.ts'
import { everyStep } from '../model/undo.ts'
import { detach } from '../network/network.ts'
import { listEntries } from '../network/state.ts'
import { type CachedAttachment, listCached, removeCached } from './cache.ts'
import { findNetworkList, parseNetworkList } from './conflist.ts'
import type { Host } from './places.ts'
import { deleteList, type ListCall } from './run-list.ts'

export interface LeaveRequest {
  network: string
  containerId: string
  /** Absent: all interfaces that it has on the network. */
  ifname?: string
  /** Path of its namespace; absent where it is gone. */
  netns?: string
}

/**
 * @returns what was taken down; empty where the container was not on the network
 * @throws what could not be taken down, after having tried all
 */
export async function leave(request: LeaveRequest, host: Host): Promise<AttachmentKey[]> {
  const { network, containerId } = request
  const isMeant = (key: AttachmentKey) =>
    key.network === network &&
    key.containerId === containerId &&
    (request.ifname ?? key.ifname) === key.ifname
  const cached = listCached(host.cache).filter(isMeant)
  const recorded = listEntries()
    .map(({ entry }) => entry.attachment)
    .filter(each => isMeant(each) && !cached.some(({ ifname }) => ifname === each.ifname))
  await everyStep([
    ...cached.map(each => () => leaveAs(each, host)),
    ...recorded.map(each => () => leaveUnwritten({ ...each, netns: request.netns ?? '' }, host)),
  ])
  return [...cached, ...recorded].map(({ ifname }) => ({ network, containerId, ifname }))
}

/** Takes down an attachment as it was written down, and then what was written. */
export async function leaveAs(cached: CachedAttachment, host: Host): Promise<void> {
  const list = listOf(cached, host)
  if (list === undefined) await detach(cached)
  else await deleteList(list, cached, cached.result, host)
  removeCached(host.cache, cached)
}

function listOf({ list, network }: CachedAttachment, host: Host) {
  try {
    return parseNetworkList(list)
  } catch {
    return listNow(network, host)
  }
}

function listNow(network: string, host: Host) {
  try {
    return findNetworkList(network, host.confDir)
  } catch (thrown) {
    if (hasCode(thrown, 'invalid-environment')) return undefined
    throw thrown
  }
}

/** Also for one that a killed attempt left before anything was written into the cache. */
export async function leaveUnwritten(key: AttachmentKey & { netns: string }, host: Host): Promise<void> {
  const { network, containerId, ifname, netns } = key
  const list = listNow(network, host)
  const call: ListCall = { containerId, ifname, netns, args: [], capabilities: {} }
  if (list === undefined) await detach({ network, containerId, ifname })
  else await deleteList(list, call, undefined, host)
}
