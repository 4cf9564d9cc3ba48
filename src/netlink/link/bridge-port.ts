/**
 * What only bridges and their ports have: hairpin, isolation and the other port settings, and VLANs.
 */

import type { ValueOf } from '../codecs.ts'
import { command } from '../command.ts'
import * as k from '../constants.ts'
import type { Netlink, Request } from '../netlink.ts'
import { type BridgePortSettings, changeLink, type LinkRef, nameOf } from './link.ts'
import { bridgeLinkMessage } from './tables.ts'

/**
 * Changes settings of a link that is a port of a bridge.
 * Equivalent to: ip link set dev NAME type bridge_slave hairpin on isolated on
 * @throws NetlinkError `EOPNOTSUPP` when the link is no port of a bridge
 */
export const setBridgePort = (nl: Netlink, link: LinkRef, port: BridgePortSettings): void =>
  changeLink(nl, link, { port })

/** VLANs `first` to `last` of one link. */
export interface BridgeVlans {
  first: number
  last: number
  /** Untagged frames that come in belong to it; a single VLAN only. */
  pvid: boolean
  /** Frames go out without a tag. */
  untagged: boolean
}

/** Whose VLANs: a port's (its bridge holds them), or the bridge's own as a port of itself. */
export type VlanHolder = LinkRef & { self?: boolean }

/**
 * Lets VLANs through a port.
 * Equivalent to: bridge vlan add dev NAME vid FIRST-LAST [pvid] [untagged] [self]
 * @throws NetlinkError `EOPNOTSUPP` where the kernel has no VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING)
 */
export const addBridgeVlans = (nl: Netlink, link: VlanHolder, vlans: BridgeVlans): void =>
  nl.change(vlanRequest('add', link, vlans))

/**
 * Lets VLANs through no more.
 * Equivalent to: bridge vlan delete dev NAME vid FIRST-LAST [self]
 */
export const deleteBridgeVlans = (
  nl: Netlink,
  link: VlanHolder,
  vlans: Pick<BridgeVlans, 'first' | 'last'>,
): void => nl.change(vlanRequest('delete', link, { ...vlans, pvid: false, untagged: false }))

function vlanRequest(verb: 'add' | 'delete', link: VlanHolder, vlans: BridgeVlans): Request {
  const { first, last, pvid, untagged } = vlans
  const single = first === last
  const flags = (pvid ? k.BRIDGE_VLAN_INFO_PVID : 0) | (untagged ? k.BRIDGE_VLAN_INFO_UNTAGGED : 0)
  return {
    equivalent: () =>
      command(
        `bridge vlan ${verb} dev`,
        nameOf(link),
        ['vid', single ? first : `${first}-${last}`],
        pvid && 'pvid',
        untagged && 'untagged',
        link.self && 'self',
      ),
    type: verb === 'add' ? k.RTM_SETLINK : k.RTM_DELLINK,
    payload: [
      bridgeLinkMessage.encode({
        header: { family: k.AF_BRIDGE, index: link.index },
        attributes: {
          spec: {
            flags: link.self ? k.BRIDGE_FLAGS_SELF : undefined,
            vlans: single
              ? [{ vid: first, flags }]
              : [
                  { vid: first, flags: flags | k.BRIDGE_VLAN_INFO_RANGE_BEGIN },
                  { vid: last, flags: flags | k.BRIDGE_VLAN_INFO_RANGE_END },
                ],
          },
        },
      }),
    ],
  }
}

/**
 * The VLANs of every bridge and every port, by the link's index.
 * Equivalent to: bridge -compressvlans vlan show
 */
export function listBridgeVlans(nl: Netlink): Map<number, BridgeVlans[]> {
  const links = nl.dump({
    equivalent: 'bridge -compressvlans vlan show',
    type: k.RTM_GETLINK,
    payload: [
      bridgeLinkMessage.encode({
        header: { family: k.AF_BRIDGE },
        attributes: { extendedMask: k.RTEXT_FILTER_BRVLAN_COMPRESSED },
      }),
    ],
  })
  const decoded = links.map(message => bridgeLinkMessage.decode(message.payload))
  return new Map(decoded.map(({ header, attributes }) => [header.index, readVlans(attributes.spec?.vlans)]))
}

type VlanInfo = ValueOf<typeof bridgeLinkMessage>['attributes']['spec']

/** Joins the two entries that stand for a range. */
export function readVlans(entries: NonNullable<VlanInfo>['vlans'] = []): BridgeVlans[] {
  const vlans: BridgeVlans[] = []
  let begin: number | undefined
  for (const { vid, flags } of entries) {
    if ((flags & k.BRIDGE_VLAN_INFO_RANGE_BEGIN) !== 0) {
      begin = vid
      continue
    }
    vlans.push({
      first: (flags & k.BRIDGE_VLAN_INFO_RANGE_END) === 0 ? vid : (begin ?? vid),
      last: vid,
      pvid: (flags & k.BRIDGE_VLAN_INFO_PVID) !== 0,
      untagged: (flags & k.BRIDGE_VLAN_INFO_UNTAGGED) !== 0,
    })
  }
  return vlans
}
