/**
 * Links that we make: bridges, veth pairs, ifb devices, VLANs and VXLAN tunnels.
 *
 * A link appears in one request with all that the kernel takes at creation. Alias and port settings it takes
 * only of a link that exists, so they follow in a second one; when that fails, the link is deleted again.
 * What is believed of veth pairs: test/netns/assumptions/a-veth-peer-is-created-in-another-namespace.ts.
 */

import { familyOf, type Ip, isMulticast } from '../../model/address/address.ts'
import { hasCode } from '../../model/errors.ts'
import { present } from '../../model/present.ts'
import type { InputOf } from '../codecs.ts'
import { command, netnsWord, type Part, settings } from '../command.ts'
import * as k from '../constants.ts'
import type { Netlink } from '../netlink.ts'
import {
  type BridgePortSettings,
  type BridgeSettings,
  changeLink,
  deleteLink,
  getLink,
  type Link,
  type LinkRef,
  nameOf,
} from './link.ts'
import { type linkInfo, linkMessage } from './tables.ts'

/** What every kind of link can be given. */
export interface NewLink {
  /** At most 15 bytes; the kernel's numbering with `%` is not for here. */
  name: string
  mac?: string
  mtu?: number
  txQueueLength?: number
  group?: number
  alias?: string
  up?: boolean
  /** Index of the bridge to become a port of. */
  master?: number
  /** Settings as a port of `master`. */
  port?: BridgePortSettings
}

/**
 * Makes a bridge.
 * Equivalent to: ip link add name NAME [address MAC] [mtu MTU] [up] type bridge [vlan_filtering 1]
 * @throws NetlinkError `EEXIST`; `EOPNOTSUPP` for vlanFiltering where the kernel has none
 */
export function addBridge(nl: Netlink, link: NewLink & { bridge?: BridgeSettings }): Link {
  const { bridge } = link
  return add(nl, link, { kind: 'bridge', bridge }, settings(bridge, 1, 0))
}

/** The end of a veth pair that is not the subject. It cannot be up from the start: the kernel opens it too early. */
export interface NewPeer {
  name: string
  mac?: string
  mtu?: number
  txQueueLength?: number
  /** The namespace it appears in, without being moved; absent: this one. */
  netnsFd?: number
}

/**
 * Makes a veth pair; the far end appears directly in its namespace, which costs nothing, while moving it
 * there would wait for an RCU grace period.
 * Equivalent to: ip link add name NAME type veth peer name PEER netns NS
 * @returns the near end; the far end's index is its `peerIndex`
 * @throws NetlinkError `EEXIST` when either name is taken
 */
export function addVeth(nl: Netlink, link: NewLink & { peer: NewPeer }): Link {
  const { name, mac, mtu, txQueueLength, netnsFd } = link.peer
  const peer = { header: {}, attributes: { name, mac, mtu, txQueueLength, netnsFd } }
  const words = [
    ['peer', 'name', name],
    ['address', mac],
    ['mtu', mtu],
    ['txqueuelen', txQueueLength],
    ['netns', netnsWord(netnsFd)],
  ]
  return add(nl, link, { kind: 'veth', veth: { peer } }, words)
}

/**
 * Makes an intermediate functional block: a device whose transmit queue shapes what others redirect to it.
 * Equivalent to: ip link add name NAME type ifb
 */
export const addIfb = (nl: Netlink, link: NewLink): Link => add(nl, link, { kind: 'ifb' }, [])

/**
 * Makes an interface for one VLAN of the link beneath.
 * Equivalent to: ip link add name NAME link BENEATH type vlan id ID
 * @throws NetlinkError `EEXIST`; `EOPNOTSUPP` where the kernel has no such kind (CONFIG_VLAN_8021Q)
 */
export const addVlan = (nl: Netlink, link: NewLink & { beneath: LinkRef; id: number }): Link =>
  add(nl, link, { kind: 'vlan', vlan: { id: link.id } }, [['id', link.id]], link.beneath)

/** What a tunnel is made of. */
export interface NewVxlan {
  /** The network identifier, 24 bits. */
  id: number
  local?: Ip
  /** The other end, or a multicast group. */
  remote?: Ip
  /** Index of the device beneath; a multicast group needs one. */
  device?: number
  /** UDP port of the tunnel; absent: the kernel's 8472 (IANA's is 4789). */
  udpPort?: number
  learning?: boolean
  ttl?: number
}

/**
 * Makes a VXLAN tunnel.
 * Equivalent to: ip link add name NAME type vxlan id ID [local IP] [remote IP] [dev DEVICE] [dstport PORT] [nolearning]
 */
export function addVxlan(nl: Netlink, link: NewLink & { vxlan: NewVxlan }): Link {
  const { id, local, remote, device, udpPort, learning, ttl } = link.vxlan
  const vxlan = {
    id,
    device,
    ttl,
    learning,
    port: udpPort,
    ...(remote && { [familyOf(remote) === 4 ? 'group' : 'group6']: remote }),
    ...(local && { [familyOf(local) === 4 ? 'local' : 'local6']: local }),
  }
  return add(nl, link, { kind: 'vxlan', vxlan }, [
    ['id', id],
    ['local', local],
    [remote && isMulticast(remote) ? 'group' : 'remote', remote],
    ['dev', device && `if${device}`],
    ['dstport', udpPort],
    ['ttl', ttl],
    learning !== undefined && (learning ? 'learning' : 'nolearning'),
  ])
}

type LinkInfo = InputOf<typeof linkInfo>

function add(nl: Netlink, link: NewLink, info: LinkInfo, words: readonly Part[], beneath?: LinkRef): Link {
  const { name, mac, mtu, txQueueLength, group, alias, up, master, port } = link
  if (name.includes('%')) throw new RangeError(`${JSON.stringify(name)} asks the kernel for a number`)
  const flags = up ? k.IFF_UP : 0
  nl.change({
    equivalent: () =>
      command(
        'ip link add name',
        name,
        ['link', beneath && nameOf(beneath)],
        ['address', mac],
        ['mtu', mtu],
        ['txqueuelen', txQueueLength],
        ['group', group],
        ['master', master && `if${master}`],
        up && 'up',
        ['type', info.kind],
        ...words,
      ),
    type: k.RTM_NEWLINK,
    flags: k.NLM_F_CREATE | k.NLM_F_EXCL,
    payload: [
      linkMessage.encode({
        header: { flags, change: flags },
        attributes: { mac, name, mtu, link: beneath?.index, master, txQueueLength, group, linkInfo: info },
      }),
    ],
  })
  const made = getLink(nl, { name })
  if (alias === undefined && port === undefined) return made
  try {
    changeLink(nl, made, present({ alias, port }))
    return getLink(nl, made)
  } catch (thrown) {
    discard(nl, made, thrown)
    throw thrown
  }
}

/** Deletes a link that did not become what it was to be. @throws AggregateError when that fails too */
function discard(nl: Netlink, link: LinkRef, reason: unknown): void {
  try {
    deleteLink(nl, link)
  } catch (thrown) {
    if (!hasCode(thrown, 'ENODEV')) throw new AggregateError([reason, thrown])
  }
}
