/**
 * What host-local does, on its files and with a memory: take, release, verify, collect, status.
 *
 * Each works synchronously under the network's lock and can be killed at any point: the record that is
 * written first names the owner of all it leaves, so a release, the next call or a GC takes it back.
 */

import { cidrOf, type Ip, ipOf, lengthOf } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import type { AttachmentKey, Lease } from '../model/network.ts'
import { present } from '../model/present.ts'
import { currentBootId } from '../netns/alive.ts'
import { assign, type Candidate, choose, describe, exhausted, failed } from './allocator.ts'
import { isHolder, isOldHolder, keyOf, type NetworkFiles } from './files.ts'
import { inRange, type Pool, type PoolRange } from './pool.ts'
import {
  type AttachmentName,
  deadCheck,
  type Found,
  heldOnlyBy,
  isSpent,
  survey,
  takeBack,
  unlisted,
} from './reclaim.ts'
import type { LeaseOwner } from './record.ts'

/** How often somebody who ignores the lock may be faster than we. */
const ATTEMPTS = 100

/**
 * Takes one address from each range set, or none at all.
 * @throws TsnetError `exhausted`, `conflict`, `invalid-config`, `try-again`, `io`
 */
export async function take(
  files: NetworkFiles,
  pool: Pool,
  owner: LeaseOwner,
  requested: Ip[],
): Promise<Lease[]> {
  const wanted = assign(pool, requested)
  return files.locked(() => {
    dropOldSelf(files, owner)
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const picks = pool.map((set, index) => {
        const candidate = wanted[index]
        if (candidate === undefined) return pickNext(files, set, index, owner.bootId)
        makeFree(files, candidate, set, index, owner.bootId)
        return candidate
      })
      if (claim(files, owner, picks)) return picks.map(leaseOf)
    }
    throw new TsnetError(
      'try-again',
      `ipam: others take the addresses in ${files.leases.directory} faster than we`,
    )
  })
}

/**
 * The address that is next in turn, or the one that is asked for if it is free; it is nobody's yet. The next who asks is
 * suggested another, until all have been.
 * @throws TsnetError as `take`
 */
export async function suggest(files: NetworkFiles, set: PoolRange[], requested: Ip | undefined): Promise<Ip> {
  const [wanted] = assign([set], requested === undefined ? [] : [requested])
  return files.locked(() => {
    const { ip } = wanted ?? pickNext(files, set, 0, currentBootId())
    if (wanted !== undefined) makeFree(files, wanted, set, 0, currentBootId())
    else files.leases.setLast(0, ip)
    return ip
  })
}

const leaseOf = ({ ip, range }: Candidate): Lease => ({
  address: cidrOf(ip, lengthOf(range.subnet)),
  gateway: range.gateway,
})

/** An attachment has its addresses once. What it held in an earlier life is freed. */
function dropOldSelf(files: NetworkFiles, owner: LeaseOwner): void {
  const record = files.records.read(owner)
  if (record === undefined) return
  const [held] = files.heldBy(owner, record)
  // Of whom nothing is known but that it is the same, who asks knows that it is over.
  if (held !== undefined && record !== 'lost' && !deadCheck(owner.bootId)(record)) {
    throw new TsnetError(
      'conflict',
      `${failed(0)}: ${held} has been allocated to ${owner.containerId}, duplicate allocation is not allowed`,
      { details: `interface ${owner.ifname} of network ${owner.network}; a DEL gives it back` },
    )
  }
  files.release(owner, record)
}

function pickNext(files: NetworkFiles, set: PoolRange[], index: number, bootId: string): Candidate {
  const look = () => nextFree(files, set, index)
  const found = look()
  if (found !== undefined) return found
  const all = survey(files)
  takeBack(
    files,
    all,
    heldOnlyBy(all, record => isSpent(record, bootId)),
  )
  const reclaimed = look()
  if (reclaimed !== undefined) return reclaimed
  throw new TsnetError('exhausted', `${failed(index)}: ${exhausted(set)}`)
}

const nextFree = ({ leases }: NetworkFiles, set: PoolRange[], index: number): Candidate | undefined =>
  choose(
    set,
    leases.last(index),
    ip => leases.isTaken(ip),
    () => leases.list(),
  )

/** Sees to it that a requested address is free, if only a spent lease is in the way. */
function makeFree(
  files: NetworkFiles,
  { ip }: Candidate,
  set: PoolRange[],
  index: number,
  bootId: string,
): void {
  const content = files.leases.read(ip)
  if (content === undefined) return
  if (content === 'garbage') {
    files.leases.free(ip)
    return
  }
  const holder = keyOf(files.network, content)
  const record = files.records.peek(holder)
  if (record === undefined || !isSpent(record, bootId)) {
    throw new TsnetError(
      'exhausted',
      `${failed(index)}: requested IP address ${ip} is not available in range set ${describe(set)}`,
      { details: `container ${holder.containerId} has it` },
    )
  }
  files.release(holder, record)
}

/** Makes the picks leases of the owner. False when somebody else got one of them first; nothing is left then. */
function claim(files: NetworkFiles, owner: LeaseOwner, picks: Candidate[]): boolean {
  const { leases, records } = files
  const { network, containerId, ifname, bootId, netns } = owner
  const claimed: Ip[] = []
  let done = false
  try {
    const base = { network, containerId, ifname, bootId, addresses: picks.map(({ ip }) => ip) }
    records.write(netns === undefined ? base : { ...base, netns: netnsOf(netns) })
    const written = records.prepareLease(owner)
    for (const { ip } of picks) {
      if (!leases.claim(ip, written)) return false
      claimed.push(ip)
    }
    records.discardLease(owner)
    for (const [index, { ip }] of picks.entries()) leases.setLast(index, ip)
    done = true
    return true
  } finally {
    if (!done) {
      for (const ip of claimed) leases.free(ip)
      records.remove(owner)
    }
  }
}

const netnsOf = ({ path, dev, ino, cookie }: NonNullable<LeaseOwner['netns']>) => ({
  path,
  dev,
  ino,
  ...present({ cookie }),
})

/** Gives back all that an attachment holds; any number of times. Makes nothing where there is nothing. */
export async function release(files: NetworkFiles, key: AttachmentKey): Promise<void> {
  if (files.leases.exists) await files.locked(() => files.release(key))
  else files.records.remove(key)
}

/** The addresses that an attachment holds. */
export const held = (files: NetworkFiles, key: AttachmentKey): Ip[] =>
  files.leases.exists ? files.heldBy(key, files.records.read(key)) : []

/** What is wrong with the leases that an attachment should hold. */
export function verify(files: NetworkFiles, key: AttachmentKey, leases: Lease[]): string[] {
  if (leases.length === 0)
    return [`ipam: container ${key.containerId} has no address in network ${key.network}`]
  return leases.flatMap(({ address }) => {
    const content = files.leases.read(ipOf(address))
    if (isHolder(content, key) || isOldHolder(content, key)) return []
    const found =
      content === undefined
        ? 'nobody has it'
        : content === 'garbage'
          ? 'its lease file names nobody'
          : `container ${content.containerId} has it`
    return [
      `ipam: address ${ipOf(address)} is not leased to container ${key.containerId} ${key.ifname}: ${found}`,
    ]
  })
}

/**
 * Frees what nobody needs: all that is not in the list, or without one all that is provably dead.
 * @param kept attachments that keep theirs in either case
 * @returns whose leases were freed
 */
export async function collect(
  files: NetworkFiles,
  stillValid: AttachmentName[] | undefined,
  kept: AttachmentName[],
): Promise<AttachmentKey[]> {
  if (!files.leases.exists) return []
  return files.locked(() => {
    const found = survey(files, stillValid === undefined)
    const dead =
      stillValid === undefined ? heldOnlyBy(found, deadCheck(currentBootId())) : unlisted(found, stillValid)
    return takeBack(files, found, unlisted(dead, kept))
  })
}

/** What `collect` without a list would free. */
export async function listDead(files: NetworkFiles, kept: AttachmentName[]): Promise<Found[]> {
  if (!files.leases.exists) return []
  return files.locked(() => unlisted(heldOnlyBy(survey(files), deadCheck(currentBootId())), kept))
}

/** @throws TsnetError `exhausted` when a set has neither a free address nor one that could be reclaimed */
export async function checkRoom(files: NetworkFiles, pool: Pool): Promise<void> {
  if (!files.leases.exists) return
  const full = pool.filter((set, index) => nextFree(files, set, index) === undefined)
  if (full.length === 0) return
  await files.locked(() => {
    const dead = heldOnlyBy(survey(files), deadCheck(currentBootId()))
    for (const set of full) {
      const saves = ({ ip }: Found) => set.some(range => inRange(range, ip) && ip !== range.gateway)
      if (!dead.some(saves)) throw new TsnetError('exhausted', exhausted(set))
    }
  })
}
