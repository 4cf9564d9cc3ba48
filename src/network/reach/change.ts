/**
 * Changes whom a container may reach that is attached.
 *
 *     1  what is asked for, against what is written down     nothing is changed yet
 *     2  write it down
 *     3  names: whoever tells them has the new list           before the kernel, so that nothing of the old one is added
 *     4  the spoof guard, where there was no list             what a container is known by has to be its own
 *     5  the list, in place of the older one                  one transaction: there is no moment without
 *     6  what it began and has no permission for any more ends
 *
 * A list that is taken away goes before that is written down: whoever is killed between leaves no list that no record
 * speaks of. An error takes back all of it, and the list of before is in force.
 *
 * What names were told stays where both lists have the same names in the same order; else the new one has nobody in its sets.
 */

import { ipOf, networkOf } from '../../model/address/address.ts'
import {
  type AskedReach,
  isOfNames,
  lackOf,
  type Permission,
  permissionText,
  type Reach,
} from '../../model/address/reach.ts'
import { TsnetError } from '../../model/errors.ts'
import { shown } from '../../model/json/shown.ts'
import { type Attachment, nameOfAttached } from '../../model/network.ts'
import { present } from '../../model/present.ts'
import { type Undo, withUndo } from '../../model/undo.ts'
import {
  type Begun,
  digestOfNames,
  endDenied,
  installReach,
  installSpoofGuard,
  listDenied,
  type ReachGuard,
  withdrawReach,
  withdrawSpoofGuard,
} from '../../nat/nat.ts'
import { findLink } from '../../netlink/link/link.ts'
import { openNetlink } from '../../netlink/netlink.ts'
import { openRecorded } from '../../netns/container.ts'
import { inside, type Netns } from '../../netns/netns.ts'
import { readEntry, whileLocked, writeEntry } from '../../records/records.ts'
import type { Context } from '../context.ts'
import { reachGuardOf } from '../plan.ts'
import { reachHere } from './reach.ts'

/** Who tells names by what is written down. */
export interface Teller extends Disposable {
  /** Reads what is written down of an attachment. */
  serve(owner: string): Promise<void>
}

export interface ChangeContext extends Pick<Context, 'confDir'> {
  /**
   * Finds him, on a network.
   * @param named a name of the list that needs him
   */
  findTeller?: (network: string, named: Permission | undefined) => Promise<Teller | undefined>
}

export interface Changed {
  attachment: Attachment
  /** What it had begun and may not any more, one each. */
  ended: Begun[]
}

/** What it takes. */
interface ChangePlan {
  before: Attachment
  after: Attachment
  /** Absent: everybody may be reached, before or after. */
  old?: ReachGuard
  guard?: ReachGuard
  keepsNames: boolean
}

/**
 * @param asked undefined: everybody may be reached
 * @throws TsnetError; the list of before is then in force
 */
export const changeReach = (
  owner: string,
  asked: AskedReach | undefined,
  { confDir, findTeller = async () => undefined }: ChangeContext,
): Promise<Changed> =>
  whileLocked(owner, async () => {
    const plan = planChange(owner, asked, confDir)
    const { network, reach } = plan.after
    using teller = await findTeller(network, reach?.allow.find(isOfNames))
    using netns = openRecorded(plan.before.netns)
    // Awaited here: both stay open until all is done.
    return await withUndo(undo => carryOut(owner, plan, netns, teller, undo))
  })

/** What changeReach would do. @throws TsnetError as it would before it changes anything; NetlinkError */
export function foreseeChange(
  owner: string,
  asked: AskedReach | undefined,
  { confDir }: Pick<ChangeContext, 'confDir'>,
): Changed {
  const { after, guard, keepsNames } = planChange(owner, asked, confDir)
  using netns = openRecorded(after.netns)
  return { attachment: after, ended: guard === undefined ? [] : listDenied(guard, netns, { keepsNames }) }
}

function planChange(owner: string, asked: AskedReach | undefined, confDir: string | undefined): ChangePlan {
  const entry = readEntry(owner)
  if (entry?.state !== 'attached')
    throw new TsnetError('conflict', 'the container is being attached or taken off its network; try again')
  const before = entry.attachment
  const { reach: _, ...rest } = before
  const reach = asked && readAgainst(asked, before, confDir)
  const isGuarded = before.bridgeOptions?.macspoofchk === true || reach !== undefined
  const after: Attachment = { ...rest, macspoofchk: isGuarded, ...present({ reach }) }
  if (reach !== undefined && !before.macspoofchk) requireItsOwn(before)
  const known = {
    owner,
    hostInterface: before.hostInterface.name,
    mac: before.containerInterface.mac,
  }
  const guardOf = (each: Attachment) => reachGuardOf(each, before.bridgeOptions, known)
  return {
    before,
    after,
    keepsNames: digestOfNames(before.reach?.allow ?? []) === digestOfNames(reach?.allow ?? []),
    ...present({ old: guardOf(before), guard: guardOf(after) }),
  }
}

/** @throws TsnetError for what this attachment can have no list for */
function readAgainst(asked: AskedReach, attachment: Attachment, confDir: string | undefined): Reach {
  const { bridgeOptions, dropIn, ipam, leases, names, nat, network, containerId } = attachment
  const refuse = (why: string): never => {
    throw new TsnetError('unsupported-field', `${calledOf(attachment)} ${why}`)
  }
  if (dropIn !== undefined) refuse('was attached in the role of another plugin, which has no lists')
  if (ipam.kind === 'none') refuse('has no addresses of its network, and lists are of addresses')
  if (bridgeOptions === undefined) refuse('was attached by an earlier build: attach it anew')
  for (const each of asked.allow) {
    const lack = lackOf(each, names)
    if (lack !== undefined) throw new TsnetError('invalid-config', `${shown(permissionText(each))} ${lack}`)
  }
  const subnets = nat?.intent.peers ?? leases.map(({ address }) => networkOf(address))
  return reachHere(asked, { name: network, subnets, containerId, ...present({ confDir }) })
}

const calledOf = (attachment: Attachment): string =>
  `${nameOfAttached(attachment)} on network ${attachment.network} (${attachment.ifname})`

/** The guard against spoofing lets through nothing else. @throws TsnetError `conflict` where it sends under another address */
function requireItsOwn(attachment: Attachment): void {
  const { netns, containerInterface } = attachment
  using there = openRecorded(netns)
  if (there === undefined)
    throw new TsnetError('conflict', `${calledOf(attachment)} has no network namespace any more, or none yet`)
  const { name, mac } = containerInterface
  const link = inside(there, () => {
    using nl = openNetlink()
    return findLink(nl, { name })
  })
  if (link?.mac === mac) return
  throw new TsnetError(
    'conflict',
    `${calledOf(attachment)} ${link === undefined ? `has no interface ${name} any more` : `sends as ${link.mac}, and was given ${mac}`}: a list knows it by that, and would let nothing through; attach it anew`,
  )
}

async function carryOut(
  owner: string,
  { before, after, old, guard, keepsNames }: ChangePlan,
  netns: Netns | undefined,
  teller: Teller | undefined,
  undo: Undo,
): Promise<Changed> {
  const write = async () => {
    // Told again when the record is as it was.
    undo.push('the names', () => teller?.serve(owner))
    undo.push('the record', () => writeEntry(owner, { state: 'attached', attachment: before }))
    writeEntry(owner, { state: 'attached', attachment: after })
    await teller?.serve(owner)
  }
  if (guard === undefined) {
    if (old !== undefined) {
      undo.push('what it may reach', () => installReach(old))
      withdrawReach(owner)
    }
    if (before.macspoofchk && !after.macspoofchk) {
      undo.push('the spoof guard', () => guardLink(before, owner))
      await withdrawSpoofGuard(before.nat?.backend, owner)
    }
    await write()
    return { attachment: after, ended: [] }
  }
  await write()
  if (!before.macspoofchk) {
    undo.push('the spoof guard', () => withdrawSpoofGuard(before.nat?.backend, owner))
    await guardLink(after, owner)
  }
  installReach(guard, { keepsNames: keepsNames && old !== undefined })
  undo.push('what it may reach', () =>
    old === undefined ? withdrawReach(owner) : installReach(old, { keepsNames }),
  )
  const { nat } = after
  const ended = endDenied(
    { guard, isGuarded: nat?.intent.guardDirect === true, peers: nat?.intent.peers ?? [] },
    netns,
  )
  return { attachment: after, ended }
}

const guardLink = (
  { nat, hostInterface, containerInterface, leases }: Attachment,
  owner: string,
): Promise<void> =>
  installSpoofGuard(nat?.backend, {
    owner,
    hostInterface: hostInterface.name,
    mac: containerInterface.mac,
    addresses: leases.map(({ address }) => ipOf(address)),
  })
