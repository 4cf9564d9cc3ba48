/**
 * Links as bytes: struct ifinfomsg and its attributes, in uapi order.
 *
 * Source: linux/if_link.h, linux/rtnetlink.h (struct ifinfomsg), linux/veth.h, linux/if_bridge.h.
 */

import { attributes, nested, only, payload, repeated } from '../attributes.ts'
import { be16, bool, ip, mac, s32, struct, u8, u16, u32, zstr } from '../codecs.ts'

export const ifinfomsg = struct(16, {
  family: [0, u8],
  type: [2, u16], // ARPHRD_*
  index: [4, s32],
  flags: [8, u32],
  change: [12, u32], // which of the flags count
})

/** enum IFLA_BR_*: a bridge. Times are in hundredths of a second. */
export const bridge = attributes({
  forwardDelay: [1, u32],
  helloTime: [2, u32],
  maxAge: [3, u32],
  ageingTime: [4, u32],
  stpState: [5, u32],
  priority: [6, u16],
  vlanFiltering: [7, bool],
  vlanProtocol: [8, be16],
  groupForwardMask: [9, u16],
  multicastSnooping: [23, bool],
  netfilterCallIptables: [36, bool],
  netfilterCallIp6tables: [37, bool],
  netfilterCallArptables: [38, bool],
  vlanDefaultPvid: [39, u16],
})

/** enum IFLA_BRPORT_*: a port of a bridge. */
export const bridgePort = attributes({
  state: [1, u8],
  priority: [2, u16],
  cost: [3, u32],
  hairpin: [4, bool],
  guard: [5, bool],
  rootBlock: [6, bool],
  fastLeave: [7, bool],
  learning: [8, bool],
  unicastFlood: [9, bool],
  proxyArp: [10, bool],
  multicastFlood: [27, bool],
  vlanTunnel: [29, bool],
  broadcastFlood: [30, bool],
  neighbourSuppress: [32, bool],
  isolated: [33, bool],
  locked: [39, bool],
})

/** enum IFLA_VLAN_*: one VLAN of the link beneath. */
export const vlan = attributes({
  id: [1, u16],
  protocol: [5, be16],
})

/** enum IFLA_VXLAN_*. */
export const vxlan = attributes({
  id: [1, u32],
  group: [2, ip],
  device: [3, u32],
  local: [4, ip],
  ttl: [5, u8],
  learning: [7, bool],
  ageing: [8, u32], // seconds
  proxy: [11, bool],
  port: [15, be16],
  group6: [16, ip],
  local6: [17, ip],
  udpChecksum: [18, bool],
})

/** What VETH_INFO_PEER says of the other end. */
const peer = payload(
  ifinfomsg,
  attributes({
    mac: [1, mac],
    name: [3, zstr],
    mtu: [4, u32],
    txQueueLength: [13, u32],
    group: [27, u32],
    netnsFd: [28, u32],
  }),
)

const veth = attributes({
  peer: [1, peer], // not marked as nested: a struct comes first
})

/** enum IFLA_INFO_*. */
export const linkInfo = attributes({
  kind: [1, zstr],
  bridge: [2, only('kind', 'bridge', nested(bridge))],
  veth: [2, only('kind', 'veth', nested(veth))],
  vlan: [2, only('kind', 'vlan', nested(vlan))],
  vxlan: [2, only('kind', 'vxlan', nested(vxlan))],
  portKind: [4, zstr],
  bridgePort: [5, only('portKind', 'bridge', nested(bridgePort))],
})

/** struct bridge_vlan_info. */
const bridgeVlanInfo = struct(4, {
  flags: [0, u16],
  vid: [2, u16],
})

/** enum IFLA_BRIDGE_*, inside IFLA_AF_SPEC of AF_BRIDGE messages. */
const bridgeSpec = attributes({
  flags: [0, u16],
  vlans: [2, repeated(bridgeVlanInfo)],
})

/** enum IFLA_*. */
export const linkMessage = payload(
  ifinfomsg,
  attributes({
    mac: [1, mac],
    broadcast: [2, mac],
    name: [3, zstr],
    mtu: [4, u32],
    link: [5, u32],
    qdisc: [6, zstr],
    master: [10, u32],
    txQueueLength: [13, u32],
    operState: [16, u8],
    linkInfo: [18, nested(linkInfo)],
    alias: [20, zstr],
    group: [27, u32],
    netnsFd: [28, u32],
    extendedMask: [29, u32],
    promiscuity: [30, u32], // how many want it; also bridges do
    carrier: [33, u8],
    linkNetnsId: [37, s32],
    minMtu: [50, u32],
    maxMtu: [51, u32],
    permanentMac: [54, mac],
  }),
)

/** Links in AF_BRIDGE messages, where IFLA_AF_SPEC and IFLA_PROTINFO have the bridge's meaning. */
export const bridgeLinkMessage = payload(
  ifinfomsg,
  attributes({
    name: [3, zstr],
    master: [10, u32],
    port: [12, nested(bridgePort)], // IFLA_PROTINFO
    spec: [26, nested(bridgeSpec)], // IFLA_AF_SPEC
    extendedMask: [29, u32],
  }),
)
