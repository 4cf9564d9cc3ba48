/**
 * The bridge itself: made, or adopted as it is.
 *
 * A bridge that we make is marked by an alias and has a MAC of its own from its first moment. One that
 * exists keeps all that the network's options do not ask for; if it is not ours, what we do change is
 * announced first, so that it can be given back when the last container has gone.
 */

import type { Cidr } from '../model/address.ts'
import { hasCode, TsnetError } from '../model/errors.ts'
import { addBridge } from '../netlink/add-link.ts'
import { changeLink, deleteLink, findLink, getLink, type Link, listLinks } from '../netlink/link.ts'
import { changeGateways, compareGateways } from './gateway.ts'
import { BRIDGE_ALIAS, isOurBridge } from './names.ts'
import type { BridgePlan } from './plan.ts'
import { applySettings, settingsBefore } from './settings.ts'
import type { Side } from './side.ts'
import { ensureVlanFiltering, ensureVlanInterface } from './vlan.ts'

/** What we changed on a bridge that is not ours, and give back when its last container goes. */
export interface BridgeLoan {
  addresses: Cidr[]
  promiscuous: boolean
  /** Settings with the values they had. */
  settings: { name: string; value: string }[]
}

/**
 * Makes sure that the bridge is there, up, and as the plan wants it.
 * @param onLoan hears what is about to be changed on a bridge that is not ours
 * @throws TsnetError `conflict`: something else has that name, or an address stands against a gateway
 */
export function ensureBridge(side: Side, plan: BridgePlan, onLoan?: (loan: BridgeLoan) => void): Link {
  const { nl } = side
  const { name, gatewayVlan } = plan
  const bridge = findLink(nl, { name }) ?? makeBridge(side, plan)
  if (bridge.kind !== 'bridge') {
    const kind = bridge.kind === undefined ? 'not a bridge' : `a ${bridge.kind} link`
    throw new TsnetError('conflict', `bridge: "${name}" exists already and is ${kind}; choose another name`)
  }
  const ours = isOurBridge(bridge)
  const settings = ours ? plan.settings : plan.adoptedSettings
  const gateways = compareGateways(nl, gatewayVlan ? findLink(nl, { name: gatewayVlan.name }) : bridge, plan)
  if (!ours) {
    announceLoan(onLoan, {
      addresses: gatewayVlan ? [] : gateways.add,
      promiscuous: plan.promiscuous && !bridge.promiscuous,
      settings: settingsBefore(side, settings),
    })
  }
  if (plan.vlanFiltering) ensureVlanFiltering(side, bridge, ours)
  applySettings(side, settings)
  setUp(side, bridge, plan, ours)
  changeGateways(side, gatewayVlan ? ensureVlanInterface(side, bridge, gatewayVlan) : bridge, gateways)
  // A bridge without a fixed MAC takes that of a port, and its neighbours would lose their gateway.
  if (!ours && gateways.add.length > 0) changeLink(nl, bridge, { mac: bridge.mac })
  return bridge
}

function announceLoan(onLoan: ((loan: BridgeLoan) => void) | undefined, loan: BridgeLoan): void {
  if (loan.addresses.length > 0 || loan.promiscuous || loan.settings.length > 0) onLoan?.(loan)
}

function makeBridge({ nl, undo }: Side, { name, mac, mtu }: BridgePlan): Link {
  let made: Link
  try {
    made = addBridge(nl, { name, mac, ...(mtu !== undefined && { mtu }) })
  } catch (thrown) {
    // Somebody else made one meanwhile; it is looked at like any that exists.
    if (hasCode(thrown, 'EEXIST')) return getLink(nl, { name })
    throw thrown
  }
  undo.push(`bridge ${name}`, () => {
    if (listLinks(nl, { master: made.index }).length === 0) deleteLink(nl, made)
  })
  return made
}

/** One request for all that is not so yet. */
function setUp({ nl, undo }: Side, bridge: Link, plan: BridgePlan, ours: boolean): void {
  const change = {
    ...(ours && bridge.alias !== BRIDGE_ALIAS && { alias: BRIDGE_ALIAS }),
    ...(plan.promiscuous && !bridge.promiscuous && { promiscuous: true }),
    ...(!bridge.up && { up: true }),
  }
  if (Object.keys(change).length === 0) return
  changeLink(nl, bridge, change)
  const { promiscuous, up } = change
  if (promiscuous || up) {
    undo.push(`state of bridge ${plan.name}`, () =>
      changeLink(nl, bridge, { ...(promiscuous && { promiscuous: false }), ...(up && { up: false }) }),
    )
  }
}
