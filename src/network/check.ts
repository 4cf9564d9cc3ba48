/** Compares an attachment with what the kernel and the files hold. */

import { verifyLink } from '../bridge/bridge.ts'
import { egressFaults } from '../hosts/egress/egress.ts'
import { verifyLeases } from '../ipam/ipam.ts'
import { familiesOf, ipOf, networkOf } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { shownPath } from '../model/json/shown.ts'
import { type Attachment, type AttachRequest, ownerTag } from '../model/network.ts'
import type { Previous } from '../model/previous.ts'
import {
  closedFamilies,
  isForwardGuarded,
  verifyMacGuard,
  verifyMasquerade,
  verifyReach,
  verifyRules,
  verifySpoofGuard,
} from '../nat/nat.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { openContainer, openRecorded } from '../netns/container.ts'
import { isRecorded } from '../netns/netns.ts'
import { lostAddresses } from '../ports/egress.ts'
import { readEntry } from '../records/records.ts'
import { ifbName, verifyShaping } from '../shaping/shaping.ts'
import { checkDropIn } from './bridge-role/check.ts'
import type { Context } from './context.ts'
import { refuseProblems } from './mismatch.ts'
import { reachGuardOf } from './plan.ts'
import { guardedFamilies } from './shared.ts'
import { asHeld } from './shared-ports.ts'

/** @throws TsnetError `mismatch` naming everything that is not as it was made */
export async function check(
  request: AttachRequest,
  previous: Previous,
  context: Context = {},
): Promise<void> {
  if (request.network.dropIn) return checkDropIn(request, previous, context)
  const { network, containerId, ifname } = request
  using netns = openContainer(request.netns, context.allowOwnNetns)
  const owner = ownerTag({ network: network.name, containerId, ifname })
  const entry = readEntry(owner)
  if (entry?.state !== 'attached') {
    throw new TsnetError(
      'mismatch',
      `container ${containerId} is not attached to network ${network.name} as ${ifname}`,
    )
  }
  const { attachment } = entry
  const problems = [
    ...(isRecorded(netns, attachment.netns)
      ? []
      : [`${request.netns} is another namespace than the one it was attached in`]),
    ...comparePrevious(attachment, previous),
    ...verifyLink(attachment, netns, network.bridge, expectedInterface(attachment, previous)),
    ...(await verifyLeases(attachment.ipam, attachment, request.netns, attachment.leases, previous.raw)),
    ...(await verifyHost(attachment, owner)),
  ]
  refuseProblems(problems, attachment)
}

/**
 * What CHECK would say of an attachment, from what is written down of it alone: of what others in its chain did, and of
 * leases that another plugin gave, nothing is known.
 */
export async function faultsOf(attachment: Attachment): Promise<string[]> {
  using netns = openRecorded(attachment.netns)
  if (netns === undefined) return [`its network namespace ${shownPath(attachment.netns.path)} is gone`]
  const { ipam, leases, bridgeOptions, dropIn, network, containerId, ifname } = attachment
  const isLeased = ipam.kind === 'host-local' && leases.length > 0
  const faults = [
    ...verifyLink(attachment, netns, bridgeOptions),
    ...(isLeased ? await verifyLeases(ipam, attachment, netns.path, leases) : []),
  ]
  if (dropIn === undefined) return [...faults, ...(await verifyHost(attachment, ownerTag(attachment)))]
  const key = { network, containerId, ifname }
  const addresses = leases.map(({ address }) => address)
  if (dropIn.masquerade !== undefined && addresses.length > 0)
    faults.push(...(await verifyMasquerade(dropIn.masquerade, { ...key, addresses })))
  if (attachment.macspoofchk) {
    const { hostInterface, containerInterface } = attachment
    const guard = { ...key, hostInterface: hostInterface.name, mac: containerInterface.mac }
    faults.push(...(await verifyMacGuard(guard)))
  }
  return faults
}

/** Rules, forwarding and limits. */
const verifyHost = async (attachment: Attachment, owner: string): Promise<string[]> => [
  ...(await verifyFirewall(attachment, owner)),
  ...(await verifyForwarding(attachment)),
  ...verifyLimits(attachment, owner),
]

/**
 * The container's interface as the last result tells it: a plugin behind us, such as `tuning`, may have given
 * it another MAC. Of an MTU the result tells from 1.1.0 on; before, it may be any.
 */
function expectedInterface({ containerInterface }: Attachment, { interfaces }: Previous) {
  const { name, mac } = containerInterface
  const told = interfaces.find(each => each.name === name && each.sandbox)
  return { name, mac: told?.mac?.toLowerCase() ?? mac, ...(told?.mtu !== undefined && { mtu: told.mtu }) }
}

/** What the caller remembers must hold all that we gave; others in the chain may have added to it. */
function comparePrevious(attachment: Attachment, previous: Previous): string[] {
  const { name } = attachment.containerInterface
  const known = new Set(previous.ips.map(ip => ip.address))
  return [
    ...(previous.interfaces.some(each => each.name === name && each.sandbox)
      ? []
      : [`prevResult has no interface ${name} in a sandbox`]),
    ...attachment.leases
      .filter(lease => !known.has(lease.address))
      .map(lease => `prevResult lacks address ${lease.address}`),
  ]
}

async function verifyFirewall(attachment: Attachment, owner: string): Promise<string[]> {
  const { nat, macspoofchk, hostInterface, containerInterface, leases } = attachment
  const guard = {
    owner,
    hostInterface: hostInterface.name,
    mac: containerInterface.mac,
    addresses: leases.map(lease => ipOf(lease.address)),
  }
  const reach = reachGuardOf(attachment, attachment.bridgeOptions, guard)
  return [
    ...(nat === undefined ? [] : await verifyRules(nat.backend, asHeld(owner, nat))),
    ...lostAddresses(nat?.intent.leaveAs),
    ...(nat?.intent.leavesElsewhere
      ? egressFaults(attachment.network, nat.intent.addresses.map(networkOf))
      : []),
    ...(macspoofchk ? await verifySpoofGuard(nat?.backend, guard) : []),
    ...(reach === undefined ? [] : verifyReach(reach)),
  ]
}

/** The host has to forward, and where it does so for our containers alone, for nobody else. */
async function verifyForwarding({ nat }: Attachment): Promise<string[]> {
  if (nat === undefined) return []
  const { backend, intent } = nat
  const families = familiesOf(intent.addresses)
  const problems = closedFamilies(families).map(family => `the host does not forward IPv${family}`)
  for (const family of guardedFamilies(backend)) {
    if (families.includes(family) && !(await isForwardGuarded(backend, family)))
      problems.push(`the host forwards IPv${family} for others too`)
  }
  return problems
}

function verifyLimits({ bandwidth, hostInterface }: Attachment, owner: string): string[] {
  if (bandwidth === undefined) return []
  using nl = openNetlink()
  const { name, mtu } = hostInterface
  return verifyShaping(nl, { hostInterface: name, mtu, bandwidth, ifb: ifbName(owner) })
}
