/**
 * VLANs of a bridge: which of them a port is in, and the interface through which the host is in one.
 */

import { hasCode, TsnetError } from '../model/errors.ts'
import { addVlan } from '../netlink/link/add.ts'
import { addBridgeVlans, deleteBridgeVlans } from '../netlink/link/bridge-port.ts'
import {
  changeLink,
  deleteLink,
  findLink,
  getLink,
  type Link,
  type LinkRef,
  listLinks,
} from '../netlink/link/link.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { BRIDGE_ALIAS } from './names.ts'
import type { GatewayVlan, PortVlans } from './plan/plan.ts'
import { applyToNew } from './settings.ts'
import type { Side } from './side.ts'

/**
 * Makes sure that the bridge looks at VLANs at all.
 * @throws TsnetError `missing` where the kernel cannot; `conflict` for a bridge of somebody else, where it
 *   would cut off ports that are there already
 */
export function ensureVlanFiltering({ nl, undo }: Side, bridge: Link, ours: boolean): void {
  if (bridge.bridge?.vlanFiltering) return
  if (!ours) {
    throw new TsnetError(
      'conflict',
      `vlan: bridge "${bridge.name}" does not filter VLANs and is not tsnet's to change`,
      {
        details: `ip link set dev ${bridge.name} type bridge vlan_filtering 1`,
      },
    )
  }
  orMissing('CONFIG_BRIDGE_VLAN_FILTERING', bridge.name, () =>
    changeLink(nl, bridge, { bridge: { vlanFiltering: true } }),
  )
  // A kernel without VLAN filtering may take the wish and ignore it.
  if (!getLink(nl, bridge).bridge?.vlanFiltering) throw missing('CONFIG_BRIDGE_VLAN_FILTERING', bridge.name)
  undo.push(`VLAN filtering of ${bridge.name}`, () =>
    changeLink(nl, bridge, { bridge: { vlanFiltering: false } }),
  )
}

/**
 * The interface through which the host is in one VLAN of the bridge; it has the gateway's address.
 * Equivalent to: bridge vlan add dev BRIDGE vid ID self; ip link add name NAME link BRIDGE type vlan id ID
 */
export function ensureVlanInterface(side: Side, bridge: Link, { id, name, settings }: GatewayVlan): Link {
  const { nl, undo } = side
  const existing = findLink(nl, { name })
  if (existing !== undefined) {
    const isVlan = existing.kind === 'vlan' && existing.peerIndex === bridge.index && existing.vlan?.id === id
    if (!isVlan && !isReferences(nl, bridge, existing)) {
      throw new TsnetError(
        'conflict',
        `vlan: "${name}" exists already and is not VLAN ${id} of "${bridge.name}"`,
      )
    }
    return existing
  }
  const vlans = { first: id, last: id, pvid: false, untagged: false }
  const self = { index: bridge.index, name: bridge.name, self: true }
  orMissing('CONFIG_BRIDGE_VLAN_FILTERING', bridge.name, () => addBridgeVlans(nl, self, vlans))
  undo.push(`VLAN ${id} of ${bridge.name}`, () => deleteBridgeVlans(nl, self, vlans))
  const made = orMissing('CONFIG_VLAN_8021Q', bridge.name, () => addVlan(nl, { name, beneath: bridge, id }))
  undo.push(`interface ${name}`, () => deleteLink(nl, made))
  applyToNew(side, settings)
  changeLink(nl, made, { alias: BRIDGE_ALIAS, up: true })
  return made
}

/** The reference plugin takes a veth pair for this, whose other end is a port of the bridge. */
function isReferences(nl: Netlink, bridge: Link, { kind, peerIndex }: Link): boolean {
  if (kind !== 'veth' || peerIndex === undefined) return false
  return findLink(nl, { index: peerIndex })?.masterIndex === bridge.index
}

/** Puts a port into its VLANs, and out of the one that the kernel puts every port into. */
export function setPortVlans(nl: Netlink, port: LinkRef, bridge: string, vlans: PortVlans): void {
  const { native, trunks, keepDefault } = vlans
  orMissing('CONFIG_BRIDGE_VLAN_FILTERING', bridge, () => {
    if (!keepDefault) deleteBridgeVlans(nl, port, { first: 1, last: 1 })
    if (native !== undefined)
      addBridgeVlans(nl, port, { first: native, last: native, pvid: true, untagged: true })
    for (const { minID, maxID } of trunks) {
      addBridgeVlans(nl, port, { first: minID, last: maxID, pvid: false, untagged: false })
    }
  })
}

/** Takes away the VLAN interfaces that we made on a bridge that stays. */
export function removeVlanInterfaces(nl: Netlink, bridge: Link): void {
  for (const link of listLinks(nl, { kind: 'vlan' })) {
    if (link.peerIndex !== bridge.index || link.alias !== BRIDGE_ALIAS || link.vlan?.id === undefined)
      continue
    deleteLink(nl, link)
    const self = { index: bridge.index, name: bridge.name, self: true }
    deleteBridgeVlans(nl, self, { first: link.vlan.id, last: link.vlan.id })
  }
}

function orMissing<T>(option: KernelOption, bridge: string, work: () => T): T {
  try {
    return work()
  } catch (thrown) {
    throw hasCode(thrown, 'EOPNOTSUPP') ? missing(option, bridge, thrown) : thrown
  }
}

type KernelOption = 'CONFIG_BRIDGE_VLAN_FILTERING' | 'CONFIG_VLAN_8021Q'

const missing = (option: KernelOption, bridge: string, cause?: unknown): TsnetError =>
  new TsnetError('missing', `vlan: no VLANs on bridge "${bridge}": this kernel is built without ${option}`, {
    details: 'leave vlan and vlanTrunk out, or give each VLAN a bridge of its own',
    cause,
  })
