/**
 * The steps of attach.ts from 4 on, for a container whose namespace is open, or for one that has none yet
 * (handed-over/). To be called under the attachment's lock, when the way is clear.
 */

import { type Connection, connect, offer, planLink, uplinkMtu } from '../bridge/bridge.ts'
import { giveBack } from '../ipam/ipam.ts'
import { familiesOf, ipOf } from '../model/address/address.ts'
import {
  type Attachment,
  type AttachRequest,
  type HandedOver,
  type Network,
  NOWHERE,
  type Undertaking,
} from '../model/network.ts'
import { present } from '../model/present.ts'
import { type Undo, withUndo } from '../model/undo.ts'
import {
  chooseBackend,
  flushConntrack,
  installReach,
  installSpoofGuard,
  openLoopback,
  withdrawReach,
  withdrawSpoofGuard,
} from '../nat/nat.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { currentBootId } from '../netns/alive.ts'
import type { Netns } from '../netns/netns.ts'
import { hasWayOut, judgeAttached, warn } from '../ports/foreign-rules.ts'
import { isolationObstacle } from '../ports/hairpin.ts'
import { claimPorts } from '../ports/ports.ts'
import { reservingRuntime } from '../ports/reserved.ts'
import { loosenReturnPath, restoreReturnPath, strictReturnPath, waysOf } from '../ports/return-path.ts'
import { removeEntry, writeEntry } from '../records/records.ts'
import { ifbName, shape } from '../shaping/shaping.ts'
import { closeOwnWay, leavesAs, obtainAddresses, type PlacedRequest } from './addresses.ts'
import type { Context } from './context.ts'
import { despiteTheDead } from './dead-claims.ts'
import { attachedNames, natIntentOf, reachGuardOf, resolversOf, toldDns, undertakingOf } from './plan.ts'
import { joinBridge, leaveBridge, recordLoan, whileBridgeLocked } from './shared.ts'
import { installSharing, leavePorts, withdrawSharing } from './shared-ports.ts'

/** Where the container's end goes: into its namespace, or to whoever takes it there. */
export type Place = { netns: Netns; handedOver?: never } | { netns?: never; handedOver: HandedOver }

/** Carries a request out. @throws TsnetError; what was done is undone then */
export async function build(
  request: PlacedRequest,
  owner: string,
  { netns, handedOver }: Place,
  context: Context,
  undo: Undo,
): Promise<Attachment> {
  const { network, ports } = request
  const where = netns === undefined ? NOWHERE : { path: request.netns, ...netns.identity }
  const runtime = ports.length > 0 ? reservingRuntime() : undefined
  let undertaking: Undertaking = {
    ...undertakingOf(request, where, currentBootId()),
    ...present({ handedOver }),
    ...(runtime !== undefined && { portsReserved: true }),
  }
  const record = () => writeEntry(owner, { state: 'attaching', attachment: undertaking })
  undo.push('the record', () => removeEntry(owner))
  record()

  undo.push('the claim on host ports', () => leavePorts(owner, ports))
  // Without addresses no rule is needed.
  const rules =
    ports.length > 0 && network.ipam.kind !== 'none' ? chooseBackend(network.natBackend) : undefined
  const { containerId } = request
  const claiming = { rules, containerId, ...present({ runtime }) }
  await despiteTheDead(owner, ports, () => claimPorts(owner, ports, claiming))

  const { leases, routes, dns } = await obtainAddresses(request, undertaking, context)
  undo.push('the addresses', () => giveBack(network.ipam, undertaking, request.netns))
  const { bridge: options, ...rest } = network
  const hasPorts = ports.length > 0
  const plan = planLink({
    ...present({ mac: request.mac }),
    options,
    owner,
    ifname: handedOver?.link ?? request.ifname,
    leases,
    routes,
    hasPorts,
    uplinkMtu: uplinkMtu(options.uplink),
  })
  const intent = natIntentOf(
    request,
    owner,
    plan.leases.map(lease => lease.address),
    present({
      proxied: context.loopbackServed,
      ways: hasPorts && netns ? waysOf(netns) : undefined,
      resolvers: network.names && resolversOf(plan.leases),
      peers: request.peers,
      leaves: leavesAs(network),
    }),
  )
  const nat = intent && { backend: chooseBackend(rest.natBackend), intent }
  const natObstacle = nat && obstacleTo(nat, network)
  const names = network.names && attachedNames(network, network.dns ?? dns)
  undertaking = { ...undertaking, leases: plan.leases, ...present({ nat, natObstacle, names }) }

  if (nat === undefined) record()
  else {
    undo.push('the rules', () => withdrawSharing(owner, nat))
    closeOwnWay(network)
    await installSharing(owner, nat, record)
    flushConntrack(
      leases.map(lease => ipOf(lease.address)),
      ports,
    )
  }

  // It goes after the link.
  if (undertaking.macspoofchk) undo.push('the spoof guard', () => withdrawSpoofGuard(nat?.backend, owner))
  if (undertaking.reach !== undefined) undo.push('what it may reach', () => withdrawReach(owner))
  const guard = async (hostInterface: string) => {
    const { mac } = plan.container
    await guardLink(undertaking, owner, mac, hostInterface)
    const reach = reachGuardOf(undertaking, options, { owner, mac, hostInterface })
    if (reach !== undefined) installReach(reach)
  }
  const name = options.name
  undo.push('the link and the bridge', () => leaveBridge(name, owner, context.trace))
  const connection = await whileBridgeLocked(name, () => {
    joinBridge(name, owner)
    const onLoan = (loan: Parameters<typeof recordLoan>[1]) => recordLoan(name, loan)
    const connecting = { ...context, onLoan, guard }
    return withUndo(inner =>
      netns === undefined ? offer(plan, inner, connecting) : connect(plan, netns, inner, connecting),
    )
  })
  if (nat !== undefined) openLoopback(nat.intent)

  const returnPath = netns && strictReturnPath(netns)
  if (returnPath !== undefined) {
    undertaking = { ...undertaking, returnPath }
    record()
    undo.push('reverse path filtering', () => restoreReturnPath(returnPath, owner))
    await loosenReturnPath(returnPath, owner)
  }

  const finished = {
    ...undertaking,
    ...connection,
    routes: plan.routes,
    bridgeOptions: options,
    ...present({
      dns: toldDns(network.dns ?? dns, names, plan.leases),
      ifb: shapeLink(request, owner, connection, context, undo),
    }),
  }
  writeEntry(owner, { state: 'attached', attachment: finished })
  if (natObstacle !== undefined)
    warn(`container ${request.containerId} on network ${network.name}`, natObstacle)
  return finished
}

function obstacleTo(
  { backend, intent }: NonNullable<Undertaking['nat']>,
  network: Network,
): string | undefined {
  const { addresses, ports, bridgeServed } = intent
  const isKept = network.bridge.portIsolation && ports.length > 0 && bridgeServed !== true
  const obstacles = [
    judgeAttached(backend, intent, hasWayOut(network)),
    isKept ? isolationObstacle(familiesOf(addresses)) : undefined,
  ]
  return obstacles.filter(Boolean).join('; and ') || undefined
}

function shapeLink(
  request: AttachRequest,
  owner: string,
  { hostInterface }: Connection,
  context: Context,
  undo: Undo,
) {
  const { bandwidth } = request
  if (bandwidth === undefined) return undefined
  const nl = undo.use(openNetlink(context.trace))
  const target = { hostInterface: hostInterface.name, mtu: hostInterface.mtu, bandwidth, ifb: ifbName(owner) }
  return shape(nl, target, undo)
}

async function guardLink(
  { macspoofchk, leases, nat }: Undertaking,
  owner: string,
  mac: string,
  hostInterface: string,
): Promise<void> {
  if (!macspoofchk) return
  const addresses = leases.map(lease => ipOf(lease.address))
  await installSpoofGuard(nat?.backend, { owner, hostInterface, mac, addresses })
}
