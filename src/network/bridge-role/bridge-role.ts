/**
 * An attachment made as the reference's bridge plugin makes it, in the role `bridge`.
 *
 *     addresses ─▶ masquerade ─▶ link, with its spoof guard before it is up ─▶ forwarding
 *
 * What stands in the kernel afterwards is what that plugin would have left, under its names, so that its DEL
 * finds it, and ours finds what it made (end.ts). As there, the bridge stays when the last container
 * has gone, with its addresses, and so does forwarding: others of the chain count on both. Unlike there, an
 * error takes everything back, a bridge that nobody else uses yet too, and there is a record, so a DEL needs
 * neither namespace nor prevResult.
 *
 * Packets are masqueraded and otherwise left alone: portmap and firewall of the chain see to the rest.
 */

import { connect, planLink, retract } from '../../bridge/bridge.ts'
import { giveBack } from '../../ipam/ipam.ts'
import { familiesOf, ipOf } from '../../model/address/address.ts'
import { type Attachment, type AttachRequest, type NatBackend, ownerTag } from '../../model/network.ts'
import { present } from '../../model/present.ts'
import { type Undo, withUndo } from '../../model/undo.ts'
import {
  chooseBackend,
  flushConntrack,
  installMacGuard,
  installMasquerade,
  requireMacGuard,
  withdrawMacGuard,
  withdrawMasquerade,
} from '../../nat/nat.ts'
import { currentBootId } from '../../netns/alive.ts'
import type { Netns } from '../../netns/netns.ts'
import { hasWayOut, judgeLetThrough, warn } from '../../ports/foreign-rules.ts'
import { removeEntry, writeEntry } from '../../records/records.ts'
import { obtainAddresses, type PlacedRequest } from '../addresses.ts'
import type { Context } from '../context.ts'
import { undertakingOf } from '../plan.ts'
import { keepForwarding, whileBridgeLocked } from '../shared.ts'

/** Carries out a request whose way is clear, under the attachment's lock. @throws TsnetError */
export async function buildDropIn(
  request: PlacedRequest,
  netns: Netns,
  context: Context,
  undo: Undo,
): Promise<Attachment> {
  const { network } = request
  const { bridge: options } = network
  const backend = backendFor(request)
  if (options.macspoofchk) requireMacGuard()

  const begun = undertakingOf(request, { path: request.netns, ...netns.identity }, currentBootId())
  let undertaking = { ...begun, dropIn: present({ masquerade: backend }) }
  const owner = ownerTag(undertaking)
  const record = () => writeEntry(owner, { state: 'attaching', attachment: undertaking })
  undo.push('the record', () => removeEntry(owner))
  record()

  const { leases, routes, dns } = await obtainAddresses(request, undertaking, context)
  undo.push('the addresses', () => giveBack(network.ipam, undertaking, request.netns))
  const plan = planLink({
    ...present({ mac: request.mac }),
    options,
    owner,
    ifname: request.ifname,
    leases,
    routes,
    hasPorts: false,
    uplinkMtu: undefined,
    dropIn: true,
  })
  const addresses = plan.leases.map(({ address }) => address)
  undertaking = { ...undertaking, leases: plan.leases }
  record()

  if (backend !== undefined) {
    undo.push('the masquerade', () => withdrawMasquerade(undertaking, addresses, backend))
    await installMasquerade(backend, { ...undertaking, addresses })
  }
  flushConntrack(addresses.map(ipOf), [])

  const { macspoofchk } = options
  // It goes after the link.
  if (macspoofchk) undo.push('the spoof guard', () => withdrawMacGuard(undertaking))
  const guard = async (hostInterface: string) => {
    if (macspoofchk) await installMacGuard({ ...undertaking, hostInterface, mac: plan.container.mac })
  }
  undo.push('the link', () => whileBridgeLocked(options.name, () => retract(plan)))
  const connection = await whileBridgeLocked(options.name, () =>
    withUndo(inner => connect(plan, netns, inner, { ...context, guard })),
  )
  if (plan.bridge.gateways.length > 0) await keepForwarding(familiesOf(plan.bridge.gateways))

  // Somebody of the chain, such as firewall, may let it through in FORWARD of iptables.
  const natObstacle = hasWayOut(network)
    ? judgeLetThrough({ bridge: options.name, addresses, ports: [] }, false)
    : undefined
  const finished = {
    ...undertaking,
    ...connection,
    routes: plan.routes,
    bridgeOptions: options,
    ...present({ dns: network.dns ?? dns, natObstacle }),
  }
  writeEntry(owner, { state: 'attached', attachment: finished })
  if (natObstacle !== undefined)
    warn(`container ${request.containerId} on network ${network.name}`, natObstacle)
  return finished
}

function backendFor({ network }: AttachRequest): NatBackend | undefined {
  return network.ipMasq && network.ipam.kind !== 'none' ? chooseBackend(network.natBackend) : undefined
}
