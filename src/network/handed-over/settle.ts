/** Where the container of an attachment is that was handed over. */

import { announceTaken, findHostEnd } from '../../bridge/bridge.ts'
import { TsnetError } from '../../model/errors.ts'
import { type Attachment, type AttachmentKey, NOWHERE, ownerTag } from '../../model/network.ts'
import { shortName } from '../../model/publication/container-name.ts'
import { type Link, listLinks } from '../../netlink/link/link.ts'
import { openNetlink } from '../../netlink/netlink.ts'
import { isOurOwn } from '../../netns/container.ts'
import { inside, type Netns, tryOpenNetns } from '../../netns/netns.ts'
import { isWaiting } from '../../records/dead.ts'
import { readEntry, whileLocked, writeEntry } from '../../records/records.ts'

/**
 * Its runtime says by which path its namespace will be found.
 * @throws TsnetError `conflict` where there is no such attachment, or it is elsewhere
 */
export const expect = (key: AttachmentKey, path: string): Promise<Attachment> =>
  change(key, attachment => {
    if (attachment.netns.path === path) return attachment
    if (!isWaiting(attachment))
      throw new TsnetError('conflict', `${called(key)} has been taken by another container already`)
    return { ...attachment, netns: { ...NOWHERE, path } }
  })

/**
 * Its runtime takes it out of the container: it waits among the host's links again, for whoever asked for it.
 * @throws TsnetError `conflict` where there is no such attachment
 */
export const letGo = (key: AttachmentKey): Promise<Attachment> =>
  change(key, attachment => {
    const { handedOver } = attachment
    if (handedOver === undefined) throw new TsnetError('conflict', `${called(key)} was not handed over`)
    return { ...attachment, netns: NOWHERE, handedOver: { ...handedOver, since: new Date().toISOString() } }
  })

/**
 * Looks whether the container's end has been taken to the path that its runtime told, and writes down what is there.
 * @param aliases what it is called, as far as that is known by now
 * @returns undefined while it has not
 */
export async function settle(
  owner: string,
  aliases: readonly string[] = [],
): Promise<Attachment | undefined> {
  return whileLocked(owner, () => {
    const entry = readEntry(owner)
    if (entry?.state !== 'attached' || entry.attachment.handedOver === undefined) return undefined
    const { attachment } = entry
    const place = isWaiting(attachment) ? placeOf(owner, attachment) : {}
    if (place === undefined) return undefined
    const named = aliases.length > 0 ? { aliases: [...aliases] } : {}
    const settled = { ...attachment, ...place, ...named }
    writeEntry(owner, { state: 'attached', attachment: settled })
    return settled
  })
}

function placeOf(
  owner: string,
  { netns: { path } }: Attachment,
): Pick<Attachment, 'netns' | 'containerInterface'> | undefined {
  using netns = path === '' ? undefined : tryOpenNetns(path)
  if (netns === undefined || isOurOwn(netns.id)) return undefined
  const link = endIn(netns, owner)
  if (link === undefined) return undefined
  const { name, mac, mtu } = link
  return { netns: { path, ...netns.identity }, containerInterface: { name, mac, mtu } }
}

/**
 * The other end of the attachment's pair, if it is in that namespace and up: until then it may get another name. Its
 * addresses may have been another's a moment ago, so whoever is on the network is told whose they are.
 */
function endIn(netns: Netns, owner: string): Link | undefined {
  using host = openNetlink()
  const end = findHostEnd(host, owner)
  if (end === undefined) return undefined
  using nl = inside(netns, () => openNetlink())
  const isIt = ({ index, peerIndex, up }: Link) => up && index === end.peerIndex && peerIndex === end.index
  const found = listLinks(nl, { kind: 'veth' }).find(isIt)
  if (found !== undefined) announceTaken(netns, nl, found)
  return found
}

function change(key: AttachmentKey, to: (attachment: Attachment) => Attachment): Promise<Attachment> {
  const owner = ownerTag(key)
  return whileLocked(owner, () => {
    const entry = readEntry(owner)
    if (entry?.state !== 'attached') throw new TsnetError('conflict', `${called(key)} is not there`)
    const attachment = to(entry.attachment)
    if (attachment !== entry.attachment) writeEntry(owner, { state: 'attached', attachment })
    return attachment
  })
}

const called = ({ network, containerId }: AttachmentKey): string =>
  `attachment ${shortName(containerId)} of network ${network}`
