/**
 * What drop-ins made in the places of the reference's plugins, compared and put back: masquerade and spoof guard of
 * bridge, ports of portmap, what firewall lets through. Each is done under the lock of its kind, or the attachment's,
 * and only for what is written down still.
 */

import type { FirewallRecord, HostPortRecord } from '../../model/chained.ts'
import { ownerTag } from '../../model/network.ts'
import {
  forgetUntranslated,
  installMacGuard,
  installMasquerade,
  lookAtMacGuards,
  verifyMasquerade,
} from '../../nat/nat.ts'
import { allow, verifyFirewall } from '../../nat/reference/firewall.ts'
import { verifyPorts } from '../../nat/reference/hostports.ts'
import { leadPorts, othersOf, whilePortmapLocked } from '../../ports/portmap-rules.ts'
import { listRecords, readRecord } from '../../records/chained.ts'
import { HeldOwners } from '../../records/hold.ts'
import { whileLocked } from '../../records/records.ts'
import { heldOf } from '../shared-ports.ts'
import { type Attached, type Intents, takeUnchanged } from './intents.ts'
import { BUSY, type Part, type PartLoss } from './part.ts'

/** A part for each kind of which there is any. */
export function dropInParts({ attached }: Intents): Part[] {
  const bridges = attached.filter(({ attachment: { dropIn, macspoofchk } }) => {
    const hasRules = macspoofchk || dropIn?.masquerade !== undefined
    return dropIn !== undefined && hasRules
  })
  const mapped = listRecords('portmap')
  const allowed = listRecords('firewall')
  return [
    ...eachOf('rules of bridge', bridges, bridgeMender),
    ...eachOf('rules of portmap', mapped, () => mendPorts),
    ...eachOf('rules of firewall', allowed, () => mendFirewall),
  ]
}

function eachOf<T>(
  subject: string,
  all: readonly T[],
  begin: () => (one: T, isDry: boolean) => Promise<PartLoss[]>,
): Part[] {
  if (all.length === 0) return []
  const mendAll = async (isDry: boolean) => {
    const losses: PartLoss[] = []
    const mend = begin()
    for (const one of all) losses.push(...(await mend(one, isDry)))
    return losses
  }
  return [{ subject, mend: mendAll }]
}

/** Looks at the spoof guards of all once. */
function bridgeMender(): (one: Attached, isDry: boolean) => Promise<PartLoss[]> {
  const look = lookAtMacGuards()
  return (one, isDry) => mendBridge(one, isDry, look)
}

async function mendBridge(
  { owner, attachment }: Attached,
  isDry: boolean,
  look: ReturnType<typeof lookAtMacGuards>,
): Promise<PartLoss[]> {
  const { dropIn, macspoofchk, leases, hostInterface, containerInterface } = attachment
  const backend = dropIn?.masquerade
  const masquerade = { ...attachment, addresses: leases.map(({ address }) => address) }
  const lacksMasquerade = backend === undefined ? [] : await verifyMasquerade(backend, masquerade)
  const guard = { ...attachment, hostInterface: hostInterface.name, mac: containerInterface.mac }
  const lacksGuard = macspoofchk ? look(guard) : []
  const losses = [...lacksMasquerade, ...lacksGuard].map(what => ({ what, owner }))
  if (isDry || losses.length === 0) return losses
  using held = new HeldOwners()
  if (!takeUnchanged(held, { owner, attachment })) return losses.map(loss => ({ ...loss, why: BUSY }))
  if (lacksGuard.length > 0) await installMacGuard(guard)
  if (backend !== undefined && lacksMasquerade.length > 0) {
    await installMasquerade(backend, masquerade)
    forgetUntranslated([{ addresses: masquerade.addresses, ipMasq: true, ports: [] }])
  }
  return losses
}

async function mendPorts(listed: HostPortRecord, isDry: boolean): Promise<PartLoss[]> {
  const owner = ownerTag(listed)
  const look = async (record: HostPortRecord): Promise<PartLoss[]> => {
    const ports = heldOf(record)
    if (ports.length === 0) return []
    const made = { backend: record.backend, intent: { ...record.intent, ports } }
    const problems = await verifyPorts(made, { others: othersOf(record, owner), guarded: true })
    return problems.map(what => ({ what, owner }))
  }
  const losses = await look(listed)
  if (isDry || losses.length === 0) return losses
  return whilePortmapLocked(async () => {
    const record = readRecord('portmap', owner)
    if (record === undefined || (await look(record)).length === 0) return []
    await leadPorts(record, heldOf(record))
    const ports = heldOf(record).map(each => ({ ...each, count: 1 }))
    forgetUntranslated([{ addresses: record.intent.addresses, ipMasq: false, ports }])
    return losses
  })
}

async function mendFirewall(listed: FirewallRecord, isDry: boolean): Promise<PartLoss[]> {
  const owner = ownerTag(listed)
  const losses = (await verifyFirewall(listed)).map(what => ({ what, owner }))
  if (isDry || losses.length === 0) return losses
  return whileLocked('firewall', async () => {
    const record = readRecord('firewall', owner)
    if (record === undefined) return []
    await allow(record)
    return losses
  })
}
