/**
 * A container leaves a network, running or not.
 *
 * What is taken down is what was written down when it joined: list, result, ports. Where that is lost, the
 * list of the name as it is now, and where that is lost too, tsnet's own record alone.
 */

import { hasCode } from '../model/errors.ts'
import type { AttachmentKey, NamespaceId } from '../model/network.ts'
import { everyStep } from '../model/undo.ts'
import { detach } from '../network/network.ts'
import { type CachedAttachment, type ListCall, removeCached } from '../networks/cache.ts'
import { isAlive, type Known, listKnown, livesElsewhere } from '../networks/known.ts'
import type { Host } from '../networks/places.ts'
import { findNetworkList, parseNetworkList } from '../runtime/conflist.ts'
import { callsOf, deleteList } from './run-list.ts'

export interface LeaveRequest {
  network: string
  containerId: string
  /** Absent: all interfaces that it has on the network. */
  ifname?: string
  /** The container's namespace, while it is there: what lives in another one is another container's. */
  netns?: NamespaceId
}

/**
 * @returns what was taken down; empty where the container was not on the network
 * @throws what could not be taken down, after having tried all
 */
export async function leave(request: LeaveRequest, host: Host): Promise<AttachmentKey[]> {
  const { network, containerId } = request
  const known = whoLeaves(request, host)
  await everyStep(known.map(each => () => leaveKnown(each, host)))
  return known.map(({ ifname }) => ({ network, containerId, ifname }))
}

/** The attachments that a request means. */
export const whoLeaves = ({ network, containerId, ifname, netns }: LeaveRequest, host: Host): Known[] =>
  listKnown(host).filter(
    each =>
      each.network === network &&
      each.containerId === containerId &&
      (ifname ?? each.ifname) === each.ifname &&
      !(netns !== undefined && livesElsewhere(each, netns)),
  )

/** What leaveKnown would call. Without any list our own record is what is taken down. */
export function callsToLeave(known: Known, host: Host): string[] {
  const { network, containerId, ifname, cached } = known
  const netns = isAlive(known) ? known.netns : ''
  const list = cached === undefined ? listNow(network, host) : listOf(cached, host)
  const call = cached ?? { containerId, ifname, args: [], capabilities: {} }
  return list === undefined
    ? [`take down what is recorded of ${containerId} ${ifname} on ${network}`]
    : callsOf('DEL', list, { ...call, netns }, host, cached?.result)
}

/**
 * Takes down an attachment by what is known of it. Plugins are told of its namespace only where it is there: the
 * path of one that is gone may lead to another container by now.
 */
export async function leaveKnown(known: Known, host: Host): Promise<void> {
  const netns = isAlive(known) ? known.netns : ''
  if (known.cached === undefined) await leaveUnwritten({ ...known, netns }, host)
  else await leaveAs({ ...known.cached, netns }, host)
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
