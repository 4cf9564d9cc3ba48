/**
 * Bridges and their ports, compared and put back: a part for each bridge, with all that are on it.
 *
 * A container that is no more has no port any more, and what lacks of it is for GC to see.
 */

import {
  type HostSide,
  lookAtHostSides,
  lostHostSide,
  mendHostSide,
  ownerInAlias,
} from '../../bridge/bridge.ts'
import { messageOf } from '../../model/errors.ts'
import type { Link } from '../../netlink/link/link.ts'
import { type Netlink, openNetlink } from '../../netlink/netlink.ts'
import { isThere } from '../../netns/container.ts'
import { HeldOwners } from '../../records/hold.ts'
import { bridgeOfUplink, recordLoan, whileBridgeLocked } from '../shared.ts'
import { type Attached, type Intents, readAttached, takeUnchanged } from './intents.ts'
import { BUSY, type Part, type PartLoss } from './part.ts'

/** The bridge that is to be looked at, since a link has told something; undefined where all is well with it. */
export function concernedBridge(nl: Netlink, link: Link): string | undefined {
  if (link.kind === 'bridge') return link.name
  // What stands for one of its VLANs.
  if (link.kind === 'vlan') return link.name.replace(/\.\d+$/, '')
  const owner = ownerInAlias(link.alias)
  if (owner === undefined) return bridgeOfUplink(link.name)
  const attached = readAttached(owner)
  const [side] = attached === undefined ? [] : sideOf(attached)
  return side !== undefined && lostHostSide(nl, side).length > 0 ? side.attachment.bridgeName : undefined
}

type OnBridge = HostSide & { owner: string }

/** @param names absent: all bridges */
export function linkParts({ attached }: Intents, names?: ReadonlySet<string>): Part[] {
  const bridges = new Map<string, Attached[]>()
  for (const each of attached) {
    const { bridgeName } = each.attachment
    if (names !== undefined && !names.has(bridgeName)) continue
    bridges.set(bridgeName, [...(bridges.get(bridgeName) ?? []), each])
  }
  return [...bridges].map(([name, on]) => ({
    subject: `bridge ${name}`,
    mend: (isDry: boolean) => mendBridge(name, on.flatMap(sideOf), isDry),
  }))
}

/** Records of earlier versions do not say what there should be. */
const sideOf = ({ owner, attachment }: Attached): OnBridge[] =>
  attachment.bridgeOptions === undefined ? [] : [{ owner, attachment, options: attachment.bridgeOptions }]

async function mendBridge(name: string, on: readonly OnBridge[], isDry: boolean): Promise<PartLoss[]> {
  const damaged = lookAt(on)
  if (isDry || damaged.length === 0) return damaged.flatMap(({ losses }) => losses)
  return whileBridgeLocked(name, async () => {
    using held = new HeldOwners()
    const all: PartLoss[] = []
    for (const { side, losses } of damaged) {
      const why = await mendOne(name, side, held)
      all.push(...losses.map(loss => (why === undefined ? loss : { ...loss, why: loss.why ?? why })))
    }
    return all
  })
}

function lookAt(on: readonly OnBridge[]): { side: OnBridge; losses: PartLoss[] }[] {
  using nl = openNetlink()
  const look = lookAtHostSides(nl)
  const known = new Set<string>()
  return on.flatMap(side => {
    const losses = look(side).map(({ what, cure }) => ({
      what,
      owner: side.owner,
      ...(cure !== undefined && { why: cure, isFinal: true as const }),
    }))
    const isDead = losses.some(({ isFinal }) => isFinal) && !isThere(side.attachment.netns)
    if (losses.length === 0 || isDead) return []
    // What is the bridge's is said once.
    const news = losses.filter(({ what }) => !known.has(what))
    for (const { what } of news) known.add(what)
    return [{ side, losses: news }]
  })
}

/** @returns why it could not be done */
async function mendOne(bridge: string, side: OnBridge, held: HeldOwners): Promise<string | undefined> {
  if (!takeUnchanged(held, side)) return BUSY
  try {
    await mendHostSide(side, loan => recordLoan(bridge, loan))
    return undefined
  } catch (thrown) {
    return messageOf(thrown)
  }
}
