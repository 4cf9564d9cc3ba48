/**
 * Settings of the host that attachments and publications need: forwarding, loopback addresses over a bridge, loose
 * return paths, hairpin mode of ports.
 */

import { type Family, familiesOf } from '../../model/address/address.ts'
import type { NatIntent } from '../../model/network.ts'
import { closedFamilies, isLoopbackRouted, needsLoopback, openLoopback } from '../../nat/nat.ts'
import { openNetlink } from '../../netlink/netlink.ts'
import { closedHairpins, reopenHairpin } from '../../ports/hairpin.ts'
import { isStrict, loosenReturnPath } from '../../ports/return-path.ts'
import { reopenForwarding } from '../shared.ts'
import type { Intents } from './intents.ts'
import type { Part, PartLoss } from './part.ts'

export const settingParts = (intents: Intents): Part[] => [
  { subject: 'forwarding', mend: isDry => mendForwarding(intents, isDry) },
  { subject: 'route_localnet', mend: async isDry => mendLoopback(intents, isDry) },
  { subject: 'rp_filter', mend: isDry => mendReturnPaths(intents, isDry) },
  { subject: 'hairpin mode', mend: mendHairpins },
]

async function mendForwarding(intents: Intents, isDry: boolean): Promise<PartLoss[]> {
  const losses: PartLoss[] = []
  for (const backend of ['nftables', 'iptables'] as const) {
    const families = forwarded(intents.natOf(backend))
    const closed = isDry ? closedFamilies(families) : await reopenForwarding(backend, families)
    losses.push(...closed.map(family => ({ what: `the host does not forward IPv${family}` })))
  }
  return losses
}

const forwarded = (intents: readonly NatIntent[]): Family[] =>
  familiesOf(intents.flatMap(({ addresses }) => addresses))

function mendLoopback(intents: Intents, isDry: boolean): PartLoss[] {
  const all = (['nftables', 'iptables'] as const).flatMap(backend => intents.natOf(backend))
  const closed = all.filter(intent => needsLoopback(intent) && !isLoopbackRouted(intent.bridge))
  if (!isDry) for (const intent of closed) openLoopback(intent)
  return closed.map(({ bridge, owner }) => ({ what: `route_localnet of ${bridge} is off`, owner }))
}

async function mendReturnPaths({ attached }: Intents, isDry: boolean): Promise<PartLoss[]> {
  const losses: PartLoss[] = []
  for (const { owner, attachment } of attached) {
    const { returnPath } = attachment
    if (returnPath === undefined || !isStrict(returnPath)) continue
    if (!isDry) await loosenReturnPath(returnPath, owner)
    losses.push({ what: `reverse path filtering of ${returnPath} is strict`, owner })
  }
  return losses
}

async function mendHairpins(isDry: boolean): Promise<PartLoss[]> {
  using nl = openNetlink()
  const closed = closedHairpins(nl)
  if (!isDry) for (const port of closed) await reopenHairpin(port)
  return closed.map(port => ({ what: `hairpin mode of ${port} is off, which a publication needs` }))
}
