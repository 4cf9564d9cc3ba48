/**
 * The bridge itself: made, or adopted as it is.
 *
 * A bridge that we make is marked by an alias and has a MAC of its own from its first moment. One that
 * exists keeps all that the network's options do not ask for; if it is not ours, what we do change is
 * announced first, so that it can be given back when the last container has gone.
 */

import type { Cidr } from '../model/address/address.ts'
import { hasCode, TsnetError } from '../model/errors.ts'
import { addAddress, listAddresses } from '../netlink/address.ts'
import { addBridge } from '../netlink/link/add.ts'
import { changeLink, deleteLink, findLink, getLink, type Link, listLinks } from '../netlink/link/link.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { changeGateways, compareGateways, SCOPE_LINK } from './gateway.ts'
import { BRIDGE_ALIAS, isOurBridge } from './names.ts'
import type { BridgePlan } from './plan/plan.ts'
import { applyToExisting, differing } from './settings.ts'
import type { Side } from './side.ts'
import { type PluggedIn, plugIn } from './uplink-port.ts'
import { ensureVlanFiltering, ensureVlanInterface } from './vlan.ts'

/** What we changed on a bridge that is not ours, and give back when its last container goes. */
export interface BridgeLoan {
  addresses: Cidr[]
  promiscuous: boolean
  /** Settings with the values they had. */
  settings: { name: string; value: string }[]
  /** Interfaces of the host that we made ports, of a bridge of ours as well. */
  uplinks?: PluggedIn[]
}

/**
 * Makes sure that the bridge is there, up, and as the plan wants it.
 * @param onLoan hears what is about to be changed on a bridge that is not ours, or on an interface of the host
 * @returns the bridge, whether we made it, and the interface that stands for one of its VLANs if that has the gateways
 * @throws TsnetError `conflict`: something else has that name, or an address stands against a gateway
 */
export function ensureBridge(
  side: Side,
  plan: BridgePlan,
  onLoan?: (loan: BridgeLoan) => void,
): { bridge: Link; ours: boolean; gateway?: Link } {
  const { nl } = side
  const { name, gatewayVlan } = plan
  const bridge = findLink(nl, { name }) ?? makeBridge(side, plan)
  if (bridge.kind !== 'bridge') {
    const kind = bridge.kind === undefined ? 'not a bridge' : `a ${bridge.kind} link`
    throw new TsnetError('conflict', `bridge: "${name}" exists already and is ${kind}; choose another name`)
  }
  // Its MAC is nobody else's: we have made it just now.
  const ours = isOurBridge(bridge) || bridge.mac === plan.mac
  const settings = ours ? plan.settings : plan.adoptedSettings
  const gateways = compareGateways(nl, gatewayVlan ? findLink(nl, { name: gatewayVlan.name }) : bridge, plan)
  if (!ours) {
    announceLoan(onLoan, {
      addresses: gatewayVlan ? [] : gateways.add,
      promiscuous: plan.promiscuous && !bridge.promiscuous,
      settings: differing(side, settings).flatMap(({ setting, before }) =>
        before === undefined ? [] : [{ name: setting.name, value: before }],
      ),
    })
  }
  if (plan.vlanFiltering) ensureVlanFiltering(side, bridge, ours)
  applyToExisting(side, settings)
  setUp(side, bridge, plan, ours)
  if (plan.uplink !== undefined)
    plugIn(side, plan.uplink, bridge, uplink => onLoan?.({ ...NOTHING, uplinks: [uplink] }))
  const holder = gatewayVlan ? ensureVlanInterface(side, bridge, gatewayVlan) : bridge
  changeGateways(side, holder, gateways)
  // A bridge without a fixed MAC takes that of a port, and its neighbours would lose their gateway.
  if (!ours && gateways.add.length > 0) changeLink(nl, bridge, { mac: bridge.mac })
  return holder === bridge ? { bridge, ours } : { bridge, ours, gateway: holder }
}

const NOTHING: BridgeLoan = { addresses: [], promiscuous: false, settings: [] }

function announceLoan(onLoan: ((loan: BridgeLoan) => void) | undefined, loan: BridgeLoan): void {
  if (loan.addresses.length > 0 || loan.promiscuous || loan.settings.length > 0) onLoan?.(loan)
}

/**
 * Deletes the bridge that carrying out a plan made, unless it has a port. It is found by its MAC, which no
 * other has.
 */
export function abandonBridge(nl: Netlink, { name, mac }: BridgePlan): void {
  const made = findLink(nl, { name })
  if (made?.mac !== mac || made.kind !== 'bridge') return
  if (listLinks(nl, { master: made.index }).length === 0) deleteLink(nl, made)
}

function makeBridge({ nl, undo }: Side, plan: BridgePlan): Link {
  const { name, mac, mtu } = plan
  // The kernel may have made it, and its answer may be lost.
  const takeBack = () => abandonBridge(nl, plan)
  try {
    const made = addBridge(nl, { name, mac, ...(mtu !== undefined && { mtu }) })
    undo.push(`bridge ${name}`, takeBack)
    return made
  } catch (thrown) {
    // Somebody else made one meanwhile; it is looked at like any that exists.
    if (hasCode(thrown, 'EEXIST')) return getLink(nl, { name })
    undo.push(`bridge ${name}`, takeBack)
    throw hasCode(thrown, 'EOPNOTSUPP') ? noSuchKind('bridge', 'CONFIG_BRIDGE', thrown) : thrown
  }
}

/** The kernel knows no links of this kind, or cannot load the module that does. */
export const noSuchKind = (kind: string, option: string, cause: unknown): TsnetError =>
  new TsnetError('missing', `this kernel has no ${kind} links (${option})`, {
    details: `modprobe ${kind}`,
    cause,
  })

/** One request for all that is not so yet. */
function setUp({ nl, undo }: Side, bridge: Link, plan: BridgePlan, ours: boolean): void {
  const change = {
    ...(ours && plan.marked && bridge.alias !== BRIDGE_ALIAS && { alias: BRIDGE_ALIAS }),
    ...(plan.promiscuous && !bridge.promiscuous && { promiscuous: true }),
    ...(!bridge.up && { up: true }),
  }
  if (Object.keys(change).length === 0) return
  changeLink(nl, bridge, change)
  if (change.promiscuous) {
    undo.push(`mode of ${plan.name}`, () => changeLink(nl, bridge, { promiscuous: false }))
  }
  if (change.up) undo.push(`state of ${plan.name}`, () => setDown(nl, bridge))
}

/** A link that goes down loses its IPv6 addresses; those that it had while it was down before stay. */
function setDown(nl: Netlink, bridge: Link): void {
  const list = () => listAddresses(nl, { link: bridge, family: 6 })
  const held = list().filter(({ scope }) => scope !== SCOPE_LINK)
  changeLink(nl, bridge, { up: false })
  const left = list().map(({ address }) => address)
  for (const lost of held.filter(({ address }) => !left.includes(address))) addAddress(nl, bridge, lost)
}
