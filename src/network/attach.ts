/**
 * Puts a container on a network.
 *
 *     1  open the namespace, refuse our own            nothing is changed yet
 *     2  validate
 *     3  take down what an earlier, dead attempt left
 *     4  write down what is about to be done
 *     5  claim the host ports
 *     6  take addresses, plan
 *     7  install the rules                             before the link, so that no packet precedes them
 *     8  make the link, guarded against spoofing before it is up
 *     9  shape it
 *     10 write down what there is now
 *
 * From 4 on each step leaves its undo; an error takes back all of them, newest first. A kill leaves the
 * entry of step 4, from which the next attach, detach or collect cleans up.
 */

import { type Connection, checkBridgeOptions, connect, planLink, uplinkMtu } from '../bridge/bridge.ts'
import { giveBack } from '../ipam/ipam.ts'
import { familiesOf, ipOf } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import {
  type Attachment,
  type AttachRequest,
  type Network,
  ownerTag,
  type Undertaking,
} from '../model/network.ts'
import { present } from '../model/present.ts'
import { surroundings } from '../model/surroundings.ts'
import { type Undo, withUndo } from '../model/undo.ts'
import {
  chooseBackend,
  flushConntrack,
  installSpoofGuard,
  openLoopback,
  withdrawSpoofGuard,
} from '../nat/nat.ts'
import { findLink } from '../netlink/link/link.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { currentBootId } from '../netns/alive.ts'
import { openContainer } from '../netns/container.ts'
import { inside, type Netns } from '../netns/netns.ts'
import { processIdentity } from '../netns/processes.ts'
import { checkEgress } from '../ports/egress.ts'
import { hasWayOut, judgeAttached, warn } from '../ports/foreign-rules.ts'
import { isolationObstacle } from '../ports/hairpin.ts'
import { claimPorts } from '../ports/ports.ts'
import { runtimeReserves } from '../ports/reserved.ts'
import { loosenReturnPath, restoreReturnPath, strictReturnPath, waysOf } from '../ports/return-path.ts'
import { readEntry, removeEntry, whileLocked, writeEntry } from '../records/records.ts'
import { ifbName, shape } from '../shaping/shaping.ts'
import { obtainAddresses, type Placed, placedHere } from './addresses.ts'
import { buildDropIn } from './bridge-role.ts'
import type { Context } from './context.ts'
import { despiteTheDead } from './dead-claims.ts'
import { attachedNames, natIntentOf, resolversOf, toldDns, undertakingOf } from './plan.ts'
import { joinBridge, leaveBridge, recordLoan, whileBridgeLocked } from './shared.ts'
import { installSharing, leavePorts, withdrawSharing } from './shared-ports.ts'
import { takeDownEntry } from './take-down.ts'

/** @throws TsnetError; the host is then as it was before */
export async function attach(asked: AttachRequest, context: Context = {}): Promise<Attachment> {
  const { network, peers } = placedHere(asked.network)
  const request = { ...asked, network, ...present({ peers }) }
  const { containerId, ifname } = request
  checkBridgeOptions(network.bridge, network.ipam.kind !== 'none')
  checkEgress(network)
  using netns = openContainer(request.netns, context.allowOwnNetns)
  const owner = ownerTag({ network: network.name, containerId, ifname })
  // Awaited here: the namespace stays open until all is done.
  return await whileLocked(owner, async () => {
    await clearTheWay(owner, request, netns)
    return withUndo(undo =>
      network.dropIn
        ? buildDropIn(request, netns, context, undo)
        : build(request, owner, netns, context, undo),
    )
  })
}

/**
 * Makes room for a new attachment under this key: what a dead attempt or a container that is no more left
 * is taken down; what lives is refused.
 */
async function clearTheWay(owner: string, request: AttachRequest, netns: Netns): Promise<void> {
  const entry = readEntry(owner)
  const unfinished = entry !== undefined && (entry.state !== 'attached' || isForUs(entry.attachment))
  if (unfinished) await takeDownEntry(owner, entry.attachment)
  const exists = inside(netns, () => {
    using nl = openNetlink()
    return findLink(nl, { name: request.ifname }) !== undefined
  })
  if (exists) {
    throw new TsnetError(
      'conflict',
      `interface ${request.ifname} exists already in ${request.netns}; remove it first or choose another name`,
    )
  }
  // The interface is not there, so the container that it was recorded for is not this one.
  if (entry !== undefined && !unfinished) await takeDownEntry(owner, entry.attachment)
}

/** A daemon made it for this very call, and died before it could say so. */
function isForUs({ caller }: Attachment): boolean {
  return caller !== undefined && caller === (surroundings().caller ?? processIdentity('self'))
}

async function build(
  request: AttachRequest & Pick<Placed, 'peers'>,
  owner: string,
  netns: Netns,
  context: Context,
  undo: Undo,
): Promise<Attachment> {
  const { network, ports } = request
  let undertaking: Undertaking = {
    ...undertakingOf(request, { path: request.netns, ...netns.identity }, currentBootId()),
    ...(ports.length > 0 && runtimeReserves() && { portsReserved: true }),
  }
  const record = () => writeEntry(owner, { state: 'attaching', attachment: undertaking })
  undo.push('the record', () => removeEntry(owner))
  record()

  undo.push('the claim on host ports', () => leavePorts(owner, ports))
  // Without addresses no rule is needed.
  const rules =
    ports.length > 0 && network.ipam.kind !== 'none' ? chooseBackend(network.natBackend) : undefined
  const { containerId } = request
  await despiteTheDead(owner, ports, () => claimPorts(owner, ports, { rules, containerId }))

  const { leases, routes, dns } = await obtainAddresses(request, undertaking, context)
  undo.push('the addresses', () => giveBack(network.ipam, undertaking, request.netns))
  const { bridge: options, ...rest } = network
  const hasPorts = ports.length > 0
  const plan = planLink({
    ...present({ mac: request.mac }),
    options,
    owner,
    ifname: request.ifname,
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
      ways: hasPorts ? waysOf(netns) : undefined,
      resolvers: network.names && resolversOf(plan.leases),
      peers: request.peers,
    }),
  )
  const nat = intent && { backend: chooseBackend(rest.natBackend), intent }
  const natObstacle = nat && obstacleTo(nat, network)
  const names = network.names && attachedNames(network, network.dns ?? dns)
  undertaking = { ...undertaking, leases: plan.leases, ...present({ nat, natObstacle, names }) }

  if (nat === undefined) record()
  else {
    undo.push('the rules', () => withdrawSharing(owner, nat))
    await installSharing(owner, nat, record)
    flushConntrack(
      leases.map(lease => ipOf(lease.address)),
      ports,
    )
  }

  // It goes after the link.
  if (undertaking.macspoofchk) undo.push('the spoof guard', () => withdrawSpoofGuard(nat?.backend, owner))
  const guard = (hostInterface: string) => guardLink(undertaking, owner, plan.container.mac, hostInterface)
  const name = options.name
  undo.push('the link and the bridge', () => leaveBridge(name, owner, context.trace))
  const connection = await whileBridgeLocked(name, () => {
    joinBridge(name, owner)
    const onLoan = (loan: Parameters<typeof recordLoan>[1]) => recordLoan(name, loan)
    return withUndo(inner => connect(plan, netns, inner, { ...context, onLoan, guard }))
  })
  if (nat !== undefined) openLoopback(nat.intent)

  const returnPath = strictReturnPath(netns)
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
