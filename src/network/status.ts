/** Says whether the next attach could succeed. */

import { ipamStatus } from '../ipam/ipam.ts'
import { TsnetError } from '../model/errors.ts'
import type { Network } from '../model/network.ts'
import { chooseBackend, requireMacGuard } from '../nat/nat.ts'
import { findLink } from '../netlink/link.ts'
import { openNetlink } from '../netlink/netlink.ts'

/** @throws TsnetError naming what is missing or exhausted */
export async function status(network: Network): Promise<void> {
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
  if (needsRules) chooseBackend(network.natBackend)
  if (network.dropIn && network.bridge.macspoofchk) requireMacGuard()
  await ipamStatus(network.ipam, network.name)
}
