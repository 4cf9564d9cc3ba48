/**
 * The host's side of an attachment that exists: what somebody took away of it, and how it comes back.
 *
 *     bridge gone, down, without its addresses      made again, with the MAC that neighbours know
 *     port taken off, down, with other settings     put back; an isolated port is down until it is isolated
 *     port gone                                     nothing: with it went the container's end
 *
 * What is in the container is the container's.
 */

import { TsnetError } from '../../model/errors.ts'
import { type Attachment, type BridgeOptions, ownerTag } from '../../model/network.ts'
import { withUndo } from '../../model/undo.ts'
import { changeLink, findLink, type Link, type LinkChange } from '../../netlink/link/link.ts'
import { type Netlink, openNetlink } from '../../netlink/netlink.ts'
import { currentNetns } from '../../netns/netns.ts'
import { readSysctl } from '../../netns/sysctl.ts'
import { enslave } from '../enslave.ts'
import { type BridgeLoan, ensureBridge } from '../ensure.ts'
import { isHostEnd, isOurBridge } from '../names.ts'
import type { LinkPlan } from '../plan/plan.ts'
import { applyToExisting, hostSettings, type Setting } from '../settings.ts'
import { uplinkLosses } from '../uplink-port.ts'
import { setPortVlans } from '../vlan.ts'
import { planAgain, verifyGateways, verifyPortSettings } from './verify.ts'

/** An attachment, and the options of its network when it was made. */
export interface HostSide {
  attachment: Attachment
  options: BridgeOptions
}

export interface HostSideLoss {
  what: string
  /** It cannot be put back by us: what somebody else has to do. */
  cure?: string
}

/** What is not as it was made, a sentence each; nothing when all is well. */
export const lostHostSide = (nl: Netlink, side: HostSide): HostSideLoss[] => lookAtHostSides(nl)(side)

/** The same of many, one after the other, who share bridges: each of these is looked at once. */
export function lookAtHostSides(nl: Netlink): (side: HostSide) => HostSideLoss[] {
  const bridges = new Map<string, { bridge: Link | undefined; losses: HostSideLoss[] }>()
  const lookAtBridge = (attachment: Attachment, plan: LinkPlan) => {
    // The MAC of a plan is for a bridge that it makes.
    const key = JSON.stringify([{ ...plan.bridge, mac: attachment.bridge.mac }, attachment.dropIn])
    const known = bridges.get(key)
    if (known !== undefined) return known
    const bridge = findLink(nl, { name: plan.bridge.name })
    const seen = { bridge, losses: lossesOfBridge(nl, attachment, plan, bridge) }
    bridges.set(key, seen)
    return seen
  }
  return ({ attachment, options }) => {
    const plan = planAgain(attachment, options)
    const { bridge, losses } = lookAtBridge(attachment, plan)
    const port = findLink(nl, { name: attachment.hostInterface.name })
    return [...losses, ...lossesOfPort(attachment, plan, bridge, port)]
  }
}

function lossesOfBridge(
  nl: Netlink,
  { bridge: made, dropIn }: Attachment,
  plan: LinkPlan,
  bridge: Link | undefined,
): HostSideLoss[] {
  const { name } = plan.bridge
  if (bridge === undefined) {
    const isOurs = dropIn !== undefined || wasOurs(made)
    const what = `bridge ${name} is gone`
    return [
      isOurs
        ? { what }
        : { what: `${what}, which tsnet did not make`, cure: thenReconcile('make it again as it was') },
    ]
  }
  if (bridge.kind !== 'bridge') {
    const cure = thenReconcile(`give it another name (ip link set ${name} down name OTHER)`)
    return [{ what: `${name} is no bridge any more, but a link of kind ${bridge.kind ?? 'none'}`, cure }]
  }
  const settings = isOurBridge(bridge) ? plan.bridge.settings : plan.bridge.adoptedSettings
  return [
    ...(bridge.up ? [] : [`bridge ${name} is down`]),
    ...verifyGateways(nl, bridge, plan),
    ...otherSettings(settings),
    ...uplinkLosses(nl, plan.bridge.uplink, bridge),
  ].map(what => ({ what }))
}

function lossesOfPort(
  attachment: Attachment,
  plan: LinkPlan,
  bridge: Link | undefined,
  port: Link | undefined,
): HostSideLoss[] {
  const { name, mac, mtu } = attachment.hostInterface
  const cure = 'attach the container anew'
  if (port === undefined) return [{ what: `interface ${name} is gone, and the container's with it`, cure }]
  if (!isHostEnd(port, ownerTag(attachment)))
    return [{ what: `interface ${name} is gone, and somebody else's has its name`, cure }]
  const isPort = bridge !== undefined && port.masterIndex === bridge.index
  return [
    ...(isPort ? verifyPortSettings(port, plan) : [`${name} is no port of ${attachment.bridge.name}`]),
    ...(port.up ? [] : [`${name} is down`]),
    ...(port.mac === mac ? [] : [`${name} has MAC ${port.mac} instead of ${mac}`]),
    ...(port.mtu === mtu ? [] : [`${name} has MTU ${port.mtu} instead of ${mtu}`]),
    ...(port.alias === plan.host.alias ? [] : [`${name} has lost its alias`]),
    ...otherSettings(hostSettings(name)),
  ].map(what => ({ what }))
}

const thenReconcile = (first: string): string =>
  `${first}, then run tsnet reconcile, which puts the ports back`

/** A bridge without an alias is told by its MAC. */
const wasOurs = ({ mac }: { mac: string }): boolean => isOurBridge({ kind: 'bridge', mac })

/** A setting that this kernel does not have is no loss. */
const otherSettings = (settings: readonly Setting[]): string[] =>
  settings.flatMap(({ name, value }) => {
    const now = readSysctl(name)
    return now === undefined || now === value ? [] : [`${name} is ${now} instead of ${value}`]
  })

/**
 * Puts back what of the host's side can be. The caller holds the lock on the bridge's name, and the attachment's.
 * @param onLoan hears what is about to be changed on a bridge that is not ours
 * @throws TsnetError `mismatch`: it cannot be put back; `conflict`: something else stands in its place
 */
export async function mendHostSide(
  { attachment, options }: HostSide,
  onLoan?: (loan: BridgeLoan) => void,
): Promise<void> {
  using netns = currentNetns()
  using nl = openNetlink()
  const final = lostHostSide(nl, { attachment, options }).find(({ cure }) => cure !== undefined)
  if (final !== undefined) throw new TsnetError('mismatch', `${final.what}: ${final.cure}`)
  await withUndo(async undo => {
    const side = { nl, netns, undo, trace: () => {} }
    const plan = planAgain(attachment, options)
    const isThere = findLink(nl, { name: plan.bridge.name }) !== undefined
    // One that is there keeps the MAC that it has by now.
    const bridgePlan = isThere ? plan.bridge : { ...plan.bridge, mac: attachment.bridge.mac }
    const { bridge } = ensureBridge(side, bridgePlan, onLoan)
    const { index } = findLink(nl, { name: plan.bridge.name }) ?? bridge
    mendPort(nl, attachment, plan, index)
    applyToExisting(side, hostSettings(attachment.hostInterface.name))
  })
}

function mendPort(nl: Netlink, { hostInterface, bridge }: Attachment, plan: LinkPlan, master: number): void {
  const { name, mac, mtu } = hostInterface
  const port = findLink(nl, { name })
  if (port === undefined) return
  const { alias, hairpin, isolated, vlans } = plan.host
  const isPort = port.masterIndex === master
  if (!isPort) {
    if (port.up && (isolated || vlans !== undefined)) changeLink(nl, port, { up: false })
    enslave({ index: master, name: bridge.name }, () => changeLink(nl, port, { master }))
    if (vlans !== undefined) setPortVlans(nl, port, bridge.name, vlans)
  }
  if (!isPort || verifyPortSettings(port, plan).length > 0)
    changeLink(nl, port, { port: { hairpin: hairpin || (isPort && port.port?.hairpin === true), isolated } })
  const change: LinkChange = {
    ...(port.mac !== mac && { mac }),
    ...(port.mtu !== mtu && { mtu }),
    ...(port.alias !== alias && { alias }),
    up: true,
  }
  changeLink(nl, port, change)
}
