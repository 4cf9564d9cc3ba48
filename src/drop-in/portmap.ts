/**
 * What the drop-in plugin portmap does: ports of the host lead to a container that another plugin has
 * attached.
 *
 *     record → claim the ports → rules, guards first → route_localnet, hairpin, rp_filter → forget old UDP flows
 *
 * A port is claimed as those of our own networks are, so one port goes to one container, and a port that a
 * process listens on to none; where a container has it on several networks, see network/shared-ports.ts.
 * Unlike there, nobody listens on it: a runtime such as podman binds the port itself as soon as the plugin is
 * done.
 */

import { type Cidr, familiesOf, ipOf } from '../model/address/address.ts'
import type { HostPort, HostPortIntent, HostPortRecord } from '../model/chained.ts'
import { type AttachmentKey, type NatBackend, ownerTag } from '../model/network.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import { everyStep, withUndo } from '../model/undo.ts'
import { flushConntrack } from '../nat/conntrack.ts'
import { chooseBackend } from '../nat/nat.ts'
import { containersWithPorts, verifyPorts, withdrawUnknownPorts } from '../nat/reference/hostports.ts'
import { openRecorded } from '../netns/container.ts'
import { despiteTheDead } from '../network/dead-claims.ts'
import { refuseProblems } from '../network/mismatch.ts'
import { leaveShared, takeBack, usersOf } from '../network/portmap-end.ts'
import { heldOf } from '../network/shared-ports.ts'
import { judgeMapped, warn } from '../ports/foreign-rules.ts'
import { isolationObstacle, openHairpin } from '../ports/hairpin.ts'
import { interfaceTo, isLocalnetOpen } from '../ports/localnet.ts'
import {
  chainOf,
  leadPorts,
  localAddress,
  mappingsOf,
  othersOf,
  whilePortmapLocked,
} from '../ports/portmap-rules.ts'
import { claimPorts } from '../ports/ports.ts'
import { loosenReturnPath, strictReturnPath } from '../ports/return-path.ts'
import { readRecord, writeRecord } from '../records/chained.ts'
import { addUser, isUser } from '../records/records.ts'
import { bridgePortOf } from '../runtime/network-view.ts'
import { type ChainedCall, recordOf, recordsToCollect } from './drop-in.ts'

export interface PortmapRequest extends ChainedCall {
  /** Absent: iptables where it is installed, else nftables. */
  backend?: NatBackend
  intent: HostPortIntent
}

/** @throws TsnetError; the host is then as it was before */
export async function publishPorts(request: PortmapRequest): Promise<void> {
  const { intent } = request
  const backend = chooseBackend(request.backend)
  const begun = recordOf(request)
  const record: HostPortRecord = { ...begun, backend, intent, ...aroundOf(begun.netns, intent) }
  const owner = ownerTag(request)
  const ports = mappingsOf(intent.ports)
  const publish = async () => {
    const earlier = readRecord('portmap', owner)
    if (earlier !== undefined) await takeBack(earlier)
    await withUndo(async undo => {
      undo.push('the ports', () => takeBack(record))
      // First of all, since whoever comes after a kill goes by it.
      writeRecord('portmap', owner, record)
      addUser(usersOf(backend), owner)
      addUser(chainOf(record), owner)
      await claimPorts(owner, ports, { portmap: backend, containerId: request.containerId, anyAddress: true })
      await leadPorts(record, heldOf(record))
      if (record.bridgePort !== undefined) await openHairpin(record.bridgePort, owner)
      if (record.returnPath !== undefined) await loosenReturnPath(record.returnPath, owner)
      const natObstacle = obstacleTo(record, ports)
      if (natObstacle === undefined) return
      writeRecord('portmap', owner, { ...record, natObstacle })
      warn(`container ${request.containerId} on network ${request.network}`, natObstacle)
    })
    flushConntrack([], ports)
  }
  await despiteTheDead(owner, ports, () => whilePortmapLocked(publish))
}

/** What of the host stands between the container and its own ports, or its answers, and is to change. */
function aroundOf(
  recorded: HostPortRecord['netns'],
  { addresses, snat, masqAll }: HostPortIntent,
): Pick<HostPortRecord, 'bridgePort' | 'returnPath'> {
  using netns = openRecorded(recorded)
  const [address] = addresses
  if (netns === undefined || address === undefined) return {}
  // Under its own address nothing comes back to the container.
  const port = snat || masqAll ? bridgePortOf(netns, ipOf(address)) : undefined
  return present({ bridgePort: port?.name, returnPath: strictReturnPath(netns) })
}

function obstacleTo({ netns: recorded, intent }: HostPortRecord, ports: PortMapping[]): string | undefined {
  const { addresses } = intent
  const [address] = addresses
  const bridge = address && interfaceTo(address)
  using netns = openRecorded(recorded)
  const isolated = netns && address && bridgePortOf(netns, ipOf(address))?.isolated
  const obstacles = [
    bridge && judgeMapped({ bridge, addresses, ports }),
    isolated && isolationObstacle(familiesOf(addresses)),
  ]
  return obstacles.filter(Boolean).join('; and ') || undefined
}

/** What DEL still knows; used only where no record says it. */
export interface PortmapHint {
  addresses?: Cidr[]
  ports?: HostPort[]
}

/**
 * Idempotent: with a record or without one, after this plugin or the reference's.
 * @throws what could not be taken back, after having tried everything
 */
export async function unpublishPorts(key: AttachmentKey, hint: PortmapHint = {}): Promise<void> {
  const owner = ownerTag(key)
  await whilePortmapLocked(async () => {
    const record = readRecord('portmap', owner)
    if (record !== undefined) return takeBack(record)
    // The chain may be that of another attachment of this container.
    if (othersOf(key, owner).length === 0) {
      await withdrawUnknownPorts(key.network, key.containerId, hint.addresses)
      flushConntrack((hint.addresses ?? []).map(ipOf), mappingsOf(hint.ports ?? []))
    }
    if (isUser(usersOf('iptables'), owner) || isUser(usersOf('nftables'), owner)) await leaveShared(owner)
  })
}

/** @throws TsnetError `mismatch` naming everything that is not as it was made */
export async function checkPorts({ intent, ...request }: PortmapRequest): Promise<void> {
  const owner = ownerTag(request)
  const record = readRecord('portmap', owner)
  const backend = record?.backend ?? chooseBackend(request.backend)
  const guarded = record !== undefined
  const ports = record === undefined ? intent.ports : heldOf({ ...record, intent })
  // They lead to another of its attachments.
  if (ports.length === 0) return
  const made = { backend, intent: { ...intent, ports } }
  const problems = await verifyPorts(made, { others: othersOf(request, owner), guarded })
  const address = localAddress(intent)
  if (address !== undefined && !isLocalnetOpen(address)) {
    problems.push(`route_localnet of the interface to ${ipOf(address)} is off`)
  }
  refuseProblems(problems, request, `ports of ${request.containerId}`)
}

/**
 * @param valid attachments that live; all others of this network go, those of the reference plugin too.
 *   Absent: only what is provably dead goes.
 */
export async function collectPorts(
  network: string,
  valid: { containerId: string; ifname: string }[] | undefined,
): Promise<void> {
  await whilePortmapLocked(() =>
    everyStep([
      ...recordsToCollect('portmap', network, valid).map(record => () => takeBack(record)),
      () => valid && collectUnknown(network, new Set(valid.map(({ containerId }) => containerId))),
    ]),
  )
}

async function collectUnknown(network: string, living: Set<string>): Promise<void> {
  for (const containerId of await containersWithPorts(network)) {
    if (!living.has(containerId)) await withdrawUnknownPorts(network, containerId, [])
  }
}

/** @throws TsnetError `missing`: no backend is installed */
export const portmapStatus = (backend: NatBackend | undefined): void => void chooseBackend(backend)
