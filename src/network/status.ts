/** Says whether the next attach could succeed. */

import { ipamStatus } from '../ipam/ipam.ts'
import { type Cidr, cidrOf, ipOf, lengthOf, networkOf, stepFrom } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import type { Network } from '../model/network.ts'
import { chooseBackend, requireMacGuard } from '../nat/nat.ts'
import { findLink } from '../netlink/link/link.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { hasWayOut, judgeAttached, warn } from '../ports/foreign-rules.ts'
import { requireRunDirectory } from '../records/run-directory.ts'
import { placedHere } from './addresses.ts'

/** @throws TsnetError naming what is missing or exhausted */
export async function status(asked: Network): Promise<void> {
  requireRunDirectory()
  const { network } = placedHere(asked)
  using nl = openNetlink()
  const { name } = network.bridge
  const link = findLink(nl, { name })
  if (link !== undefined && link.kind !== 'bridge') {
    throw new TsnetError(
      'conflict',
      `${name} exists and is not a bridge but ${link.kind ?? 'a network card'}; choose another name for the bridge`,
    )
  }
  const needsRules = network.ipMasq || (network.bridge.isGateway && !network.dropIn)
  if (needsRules) warnOfForeignRules(network)
  if (network.dropIn && network.bridge.macspoofchk) requireMacGuard()
  await ipamStatus(network.ipam, network.name)
}

/** What containers send, and others' rules drop, keeps nobody from attaching them: it is said. */
function warnOfForeignRules(network: Network): void {
  const { bridge, natBackend, ipam } = network
  const backend = chooseBackend(natBackend)
  if (ipam.kind !== 'host-local' || network.dropIn || !hasWayOut(network)) return
  const addresses = ipam.ranges.flatMap(([first]) => (first === undefined ? [] : [someAddress(first.subnet)]))
  const obstacle = judgeAttached(backend, { bridge: bridge.name, addresses, ports: [] }, true)
  if (obstacle !== undefined) warn(`network ${network.name}`, obstacle)
}

/** One that a container could have. */
const someAddress = (subnet: Cidr): Cidr => cidrOf(stepFrom(ipOf(networkOf(subnet)), 2n), lengthOf(subnet))
