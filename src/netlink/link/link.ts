/**
 * Links: network interfaces as plain values, and what can be done to those that exist.
 * How they are made is in add.ts, what only bridges' ports have in bridge-port.ts.
 */

import { present } from '../../model/present.ts'
import type { ValueOf } from '../codecs.ts'
import { command, netnsWord, onOff, settings } from '../command.ts'
import * as k from '../constants.ts'
import type { Message } from '../message.ts'
import type { Netlink, Request } from '../netlink.ts'
import type { bridge, bridgePort, vlan, vxlan } from './tables.ts'
import { linkMessage } from './tables.ts'

/** RFC 2863's ifOperStatus, as linux/if.h numbers it. */
const operStates = ['unknown', 'notpresent', 'down', 'lowerlayerdown', 'testing', 'dormant', 'up'] as const
export type OperState = (typeof operStates)[number]

/** Settings of a bridge, of a port of one, of a VLAN and of a VXLAN: the tables of tables.ts as values. */
export type BridgeSettings = ValueOf<typeof bridge>
export type BridgePortSettings = ValueOf<typeof bridgePort>
export type VlanSettings = ValueOf<typeof vlan>
export type VxlanSettings = ValueOf<typeof vxlan>

export interface Link {
  index: number
  name: string
  /** Lower case with colons; empty where the link has none. */
  mac: string
  mtu: number
  /** Set up by the administrator (IFF_UP). */
  up: boolean
  /** Carrier is there (IFF_LOWER_UP). */
  lowerUp: boolean
  operState: OperState
  /** `bridge`, `veth`, `ifb`, `vxlan` …; absent for hardware and loopback. */
  kind?: string
  /** The bridge this is a port of. */
  masterIndex?: number
  /** IFLA_LINK. Of a veth its other end; of a VXLAN or VLAN the device beneath. */
  peerIndex?: number
  /** The other end's namespace as this one numbers it; absent when it is this one, -1 when it has no number. */
  peerNetnsId?: number
  group: number
  /** Asked for by the administrator; a bridge makes its ports promiscuous without this flag. */
  promiscuous: boolean
  allmulti: boolean
  txQueueLength: number
  alias?: string
  bridge?: BridgeSettings
  port?: BridgePortSettings
  vlan?: VlanSettings
  vxlan?: VxlanSettings
}

/** What a function needs to know of a link: the index rules, the name is for the reader. */
export type LinkRef = Pick<Link, 'index'> & Partial<Pick<Link, 'name'>>

/** `web`, or `if7`, which iproute2 also reads. */
export const nameOf = (link: LinkRef): string => link.name ?? `if${link.index}`

/** @throws MalformedError */
export function readLink({ payload }: Pick<Message, 'payload'>): Link {
  const { header, attributes: a } = linkMessage.decode(payload)
  return present({
    index: header.index,
    name: a.name ?? '',
    mac: a.mac ?? '',
    mtu: a.mtu ?? 0,
    up: (header.flags & k.IFF_UP) !== 0,
    lowerUp: (header.flags & k.IFF_LOWER_UP) !== 0,
    operState: operStates[a.operState ?? 0] ?? 'unknown',
    kind: a.linkInfo?.kind,
    masterIndex: a.master,
    peerIndex: a.link,
    peerNetnsId: a.linkNetnsId,
    group: a.group ?? 0,
    promiscuous: (header.flags & k.IFF_PROMISC) !== 0,
    allmulti: (header.flags & k.IFF_ALLMULTI) !== 0,
    txQueueLength: a.txQueueLength ?? 0,
    alias: a.alias,
    bridge: a.linkInfo?.bridge,
    port: a.linkInfo?.bridgePort,
    vlan: a.linkInfo?.vlan,
    vxlan: a.linkInfo?.vxlan,
  })
}

/**
 * All links of the namespace, or those of one bridge or kind.
 * Equivalent to: ip -d link show [master BRIDGE] [type KIND]
 */
export function listLinks(nl: Netlink, filter: { master?: number; kind?: string } = {}): Link[] {
  const { master, kind } = filter
  const links = nl.dump({
    equivalent: () => command('ip -d link show', ['master', master && `if${master}`], ['type', kind]),
    type: k.RTM_GETLINK,
    payload: [
      linkMessage.encode({
        header: {},
        attributes: {
          master,
          linkInfo: kind === undefined ? undefined : { kind },
          extendedMask: k.RTEXT_FILTER_SKIP_STATS,
        },
      }),
    ],
  })
  // The kernel does not filter by a kind whose module is not loaded.
  return links
    .map(readLink)
    .filter(
      link => (master === undefined || link.masterIndex === master) && (kind ?? link.kind) === link.kind,
    )
}

/**
 * One link. @throws NetlinkError `ENODEV`
 * Equivalent to: ip -d link show dev NAME
 */
export const getLink = (nl: Netlink, which: Wanted): Link => readLink(nl.get(query(which)))

/** As getLink, but undefined where there is no such link. */
export function findLink(nl: Netlink, which: Wanted): Link | undefined {
  const found = nl.find(query(which), 'ENODEV')
  return found && readLink(found)
}

type Wanted = { name: string } | { index: number }

function query(which: Wanted): Request {
  const name = 'name' in which ? which.name : undefined
  const index = 'index' in which ? which.index : 0
  return {
    equivalent: () => command('ip -d link show dev', name ?? `if${index}`),
    type: k.RTM_GETLINK,
    payload: [
      linkMessage.encode({
        header: { index },
        attributes: { name, extendedMask: k.RTEXT_FILTER_SKIP_STATS },
      }),
    ],
  }
}

export interface LinkChange {
  name?: string
  mac?: string
  mtu?: number
  up?: boolean
  /** Index of the bridge to become a port of; null: of none any more. */
  master?: number | null
  promiscuous?: boolean
  allmulti?: boolean
  txQueueLength?: number
  /** Empty: none. */
  alias?: string
  group?: number
  /** Moves the link into the namespace of this descriptor. It goes down on the way. */
  netnsFd?: number
  /** For a bridge. */
  bridge?: BridgeSettings
  /** For a port of a bridge. */
  port?: BridgePortSettings
}

/**
 * Changes a link in one request. The kernel applies the changes one after the other and stops at the first
 * that fails; those before it stay.
 * Equivalent to: ip link set dev NAME …
 * @throws NetlinkError; without VLAN filtering in the kernel, `bridge.vlanFiltering` is `EOPNOTSUPP`
 */
export function changeLink(nl: Netlink, link: LinkRef, change: LinkChange): void {
  const flags: [boolean | undefined, number][] = [
    [change.up, k.IFF_UP],
    [change.promiscuous, k.IFF_PROMISC],
    [change.allmulti, k.IFF_ALLMULTI],
  ]
  const bits = (wanted: boolean[]): number =>
    flags.reduce((sum, [value, bit]) => (value !== undefined && wanted.includes(value) ? sum | bit : sum), 0)
  const kinds = {
    ...(change.bridge && { kind: 'bridge', bridge: change.bridge }),
    ...(change.port && { portKind: 'bridge', bridgePort: change.port }),
  }
  nl.change({
    equivalent: () =>
      command(
        'ip link set dev',
        nameOf(link),
        ['name', change.name],
        ['address', change.mac],
        ['mtu', change.mtu],
        change.up !== undefined && (change.up ? 'up' : 'down'),
        change.master === null ? 'nomaster' : ['master', change.master && `if${change.master}`],
        onOff('promisc', change.promiscuous),
        onOff('allmulticast', change.allmulti),
        ['txqueuelen', change.txQueueLength],
        ['alias', change.alias],
        ['group', change.group],
        ['netns', netnsWord(change.netnsFd)],
        ...(change.bridge ? [['type', 'bridge'], ...settings(change.bridge, 1, 0)] : []),
        ...(change.port ? [['type', 'bridge_slave'], ...settings(change.port, 'on', 'off')] : []),
      ),
    type: k.RTM_NEWLINK,
    payload: [
      linkMessage.encode({
        header: { index: link.index, flags: bits([true]), change: bits([true, false]) },
        attributes: {
          mac: change.mac,
          name: change.name,
          mtu: change.mtu,
          master: change.master === null ? 0 : change.master,
          txQueueLength: change.txQueueLength,
          alias: change.alias,
          group: change.group,
          netnsFd: change.netnsFd,
          linkInfo: Object.keys(kinds).length > 0 ? kinds : undefined,
        },
      }),
    ],
  })
}

/**
 * Deletes a link; of a veth both ends go. @throws NetlinkError `ENODEV`
 * Equivalent to: ip link delete dev NAME
 */
export function deleteLink(nl: Netlink, link: LinkRef): void {
  nl.change({
    equivalent: () => command('ip link delete dev', nameOf(link)),
    type: k.RTM_DELLINK,
    payload: [linkMessage.encode({ header: { index: link.index }, attributes: {} })],
  })
}

/**
 * Deletes all links of a group with one wait for the kernel, however many they are
 * (test/netns/assumptions/deleting-a-group-removes-all-its-members.ts).
 * Equivalent to: ip link delete group GROUP
 * @throws NetlinkError `ENODEV` for an empty group, `EOPNOTSUPP` when a member cannot be deleted
 * @throws RangeError for group 0, in which every link is that nobody gave a group
 */
export const deleteLinkGroup = (nl: Netlink, group: number): void => nl.change(groupDeletion(group))

/** As deleteLinkGroup; this thread goes on while the kernel waits. */
export const deleteLinkGroupAside = (nl: Netlink, group: number): Promise<void> =>
  nl.changeAside(groupDeletion(group))

function groupDeletion(group: number): Request {
  if (group === 0) throw new RangeError('group 0 holds every link of the host')
  return {
    equivalent: () => command('ip link delete group', group),
    type: k.RTM_DELLINK,
    payload: [linkMessage.encode({ header: {}, attributes: { group } })],
  }
}
