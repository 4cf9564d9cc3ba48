/**
 * Publishes ports of an attachment that there is, in place of those that it had.
 *
 * The record says both before the first change: whoever takes down what a kill left takes down all that there may be. New
 * rules come without a gap beside those that are there. Where ports go, the rules are made anew, and meanwhile the link is
 * down: nothing passes that they would stop.
 */

import { findHostEnd, silence } from '../../bridge/bridge.ts'
import { ipOf } from '../../model/address/address.ts'
import { TsnetError } from '../../model/errors.ts'
import { type Attachment, type AttachmentKey, ownerTag } from '../../model/network.ts'
import type { PortMapping } from '../../model/port-mapping.ts'
import { shortName } from '../../model/publication/container-name.ts'
import { type Undo, withUndo } from '../../model/undo.ts'
import { flushConntrack, mendRules, openLoopback } from '../../nat/nat.ts'
import { changeLink } from '../../netlink/link/link.ts'
import { openNetlink } from '../../netlink/netlink.ts'
import { judgeAttached } from '../../ports/foreign-rules.ts'
import { claimPorts } from '../../ports/ports.ts'
import { readEntry, whileLocked, writeEntry } from '../../records/records.ts'
import { despiteTheDead } from '../dead-claims.ts'
import { isForRules } from '../plan.ts'
import { installRules, withdrawRules } from '../shared.ts'
import { asHeld, leavePorts, yieldPorts } from '../shared-ports.ts'
import { portHolder } from '../take-down.ts'

/**
 * @param options `proxied`: whoever holds the ports serves what rules cannot lead to the container
 * @throws TsnetError `conflict` naming who has a port; it has those of before then
 */
export async function lead(
  key: AttachmentKey,
  ports: PortMapping[],
  { proxied }: { proxied: boolean },
): Promise<Attachment> {
  const owner = ownerTag(key)
  const { network, containerId } = key
  return whileLocked(owner, async () => {
    const entry = readEntry(owner)
    if (entry?.state !== 'attached')
      throw new TsnetError('conflict', `${shortName(containerId)} is not on network ${network}`)
    const { attachment } = entry
    if (JSON.stringify(attachment.ports) === JSON.stringify(ports)) return attachment
    const without = attachment.ports.length === 0 ? attachment : await takeAway(owner, attachment)
    return ports.length === 0 ? without : withUndo(undo => publish(owner, without, ports, proxied, undo))
  })
}

async function takeAway(owner: string, attachment: Attachment): Promise<Attachment> {
  const { ports, nat, leases } = attachment
  const { natObstacle: _, ...rest } = attachment
  await portHolder.release(owner)
  await yieldPorts(owner, ports)
  silence(owner)
  if (nat !== undefined) {
    const { answersBy: _, bridgeServed: __, held: ___, ...intent } = nat.intent
    await withdrawRules(nat.backend, owner, nat.intent)
    await installRules(nat.backend, { ...intent, ports: [] })
  }
  await leavePorts(owner, ports)
  flushConntrack(
    leases.map(({ address }) => ipOf(address)),
    ports,
  )
  setEnd(owner, {
    up: true,
    ...(attachment.bridgeOptions?.hairpinMode !== true && { port: { hairpin: false } }),
  })
  const without = {
    ...rest,
    ports: [],
    ...(nat && { nat: { ...nat, intent: { ...nat.intent, ports: [] } } }),
  }
  writeEntry(owner, { state: 'attached', attachment: without })
  return without
}

async function publish(
  owner: string,
  attachment: Attachment,
  ports: PortMapping[],
  proxied: boolean,
  undo: Undo,
): Promise<Attachment> {
  const { nat, network, containerId, leases, bridgeOptions } = attachment
  if (nat === undefined)
    throw new TsnetError('unsupported-field', `network ${network} publishes no ports: it leads nowhere`)
  const addresses = leases.map(({ address }) => address)
  const intent = {
    ...nat.intent,
    ports: proxied ? ports.filter(each => isForRules(each, addresses)) : ports,
    ...(proxied && bridgeOptions?.portIsolation && { bridgeServed: true as const }),
  }
  const natObstacle = judgeAttached(nat.backend, intent, true)
  const published = { ...attachment, ports, nat: { ...nat, intent }, ...(natObstacle && { natObstacle }) }
  undo.push('the record', () => writeEntry(owner, { state: 'attached', attachment }))
  undo.push('the claim on host ports', () => leavePorts(owner, ports))
  await despiteTheDead(owner, ports, () => claimPorts(owner, ports, { rules: nat.backend, containerId }))
  undo.push('the rules', async () => {
    await withdrawRules(nat.backend, owner)
    await installRules(nat.backend, nat.intent)
  })
  writeEntry(owner, { state: 'attached', attachment: published })
  await mendRules(nat.backend, [asHeld(owner, published.nat)], [], owners => new Set(owners))
  setEnd(owner, { port: { hairpin: true } })
  openLoopback(intent)
  flushConntrack(addresses.map(ipOf), ports)
  return published
}

function setEnd(owner: string, change: Parameters<typeof changeLink>[2]): void {
  using nl = openNetlink()
  const end = findHostEnd(nl, owner)
  if (end !== undefined) changeLink(nl, end, change)
}
