/** How fast containers may receive and send, compared and put back. */

import { ownerInAlias } from '../../bridge/bridge.ts'
import { withUndo } from '../../model/undo.ts'
import { findLink, type Link } from '../../netlink/link/link.ts'
import { type Netlink, openNetlink } from '../../netlink/netlink.ts'
import { HeldOwners } from '../../records/hold.ts'
import { listOwners } from '../../records/records.ts'
import { mendShaping } from '../../shaping/mend.ts'
import { ifbName, verifyShaping } from '../../shaping/shaping.ts'
import { type Attached, type Intents, readAttached, takeUnchanged } from './intents.ts'
import { BUSY, type Part, type PartLoss } from './part.ts'

/** True where what told of itself, a link by its index or an ifb by its name, is part of a limit. */
export function concernsLimits(nl: Netlink, of: number | string): boolean {
  const link: Pick<Link, 'name' | 'alias'> | undefined =
    typeof of === 'string' ? { name: of } : findLink(nl, { index: of })
  const owner = link && (ownerInAlias(link.alias) ?? listOwners().find(each => ifbName(each) === link.name))
  return owner !== undefined && readAttached(owner)?.attachment.bandwidth !== undefined
}

/** The drop-in `bandwidth` keeps no record: what it made is its own. */
export function limitPart({ attached }: Intents): Part[] {
  const limited = attached.filter(
    ({ attachment: { bandwidth, dropIn } }) => bandwidth !== undefined && dropIn === undefined,
  )
  if (limited.length === 0) return []
  const mend = async (isDry: boolean) => {
    const losses: PartLoss[] = []
    for (const each of limited) losses.push(...(await mendOne(each, isDry)))
    return losses
  }
  return [{ subject: 'limits', mend }]
}

async function mendOne(attached: Attached, isDry: boolean): Promise<PartLoss[]> {
  const { owner, attachment } = attached
  const { bandwidth, hostInterface, ifb } = attachment
  if (bandwidth === undefined) return []
  using nl = openNetlink()
  // What lacks of it then is the bridge's part.
  if (findLink(nl, { name: hostInterface.name }) === undefined) return []
  const target = {
    hostInterface: hostInterface.name,
    mtu: hostInterface.mtu,
    bandwidth,
    ifb: ifbName(owner),
    ...(ifb !== undefined && { mac: ifb.mac }),
  }
  const losses = verifyShaping(nl, target).map(what => ({ what, owner }))
  if (isDry || losses.length === 0) return losses
  using held = new HeldOwners()
  if (!takeUnchanged(held, attached)) return losses.map(loss => ({ ...loss, why: BUSY }))
  // Awaited here: the lock is held until all is done.
  await withUndo(async undo => mendShaping(nl, target, undo))
  return losses
}
