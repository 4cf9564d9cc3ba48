/**
 * Takes away what belongs to containers that are no more.
 *
 * Whatever is being made or taken down at this moment is left alone: its lock is held, and its entry says so, or is
 * another afterwards. The lock of what is complete is waited for: whoever has it looks at it, or puts back what somebody
 * took away, which may go on for as long as others fight over rules; and a runtime may call but once. Nobody waits in a
 * circle: whoever makes such a one anew has written that down before waiting for another.
 */

import { collectLeases } from '../ipam/ipam.ts'
import { type AttachmentKey, type Network, nameInNetwork } from '../model/network.ts'
import { everyStep } from '../model/undo.ts'
import { collectMasquerades } from '../nat/nat.ts'
import { deadCheck } from '../records/dead.ts'
import {
  type Entry,
  listEntries,
  listOwners,
  type NamedEntry,
  readEntry,
  unlessLocked,
  whileLocked,
} from '../records/records.ts'
import { tidyRunDirectory } from '../records/tidy.ts'
import { takeDownForeign } from './bridge-role/end.ts'
import { collectLost, collectRules } from './collect-rules.ts'
import type { Context } from './context.ts'
import { takeDownEntry, takeDownUnrecorded } from './take-down.ts'

/**
 * @param valid attachments that live; all others of this network go, but for those whose runtime knows nothing of such lists
 *   (`handedOver`). Absent: only what is provably dead
 *   goes (made before the last boot, died half-way, or its namespace is gone).
 * @returns what was taken away
 * @throws the error, or an AggregateError, after having done all that could be done
 */
export async function collect(
  network: Pick<Network, 'name' | 'ipam' | 'dropIn'>,
  valid: { containerId: string; ifname: string }[] | undefined,
  context: Context = {},
): Promise<AttachmentKey[]> {
  const collected: AttachmentKey[] = []
  const lives = valid && new Set(valid.map(nameInNetwork))
  const isDead = deadCheck()
  const goes = ({ attachment, state }: Entry) =>
    lives === undefined || attachment.handedOver !== undefined
      ? isDead(attachment) || state !== 'attached'
      : !lives.has(nameInNetwork(attachment))

  const listed = listEntries()
  const elsewhere = new Set(listed.filter(isOfOther(network)).map(({ owner }) => owner))
  const ofNetwork = listed.filter(({ owner }) => !elsewhere.has(owner))
  const recordedNow = () =>
    listOwners()
      .filter(owner => !elsewhere.has(owner))
      .flatMap(owner => readEntry(owner)?.attachment ?? [])
      .filter(attachment => attachment.network === network.name)
  await everyStep([
    ...ofNetwork
      .filter(({ entry }) => goes(entry))
      .map(({ owner, entry: listed }) => () => {
        const whenFree = listed.state === 'attached' ? whileLocked : unlessLocked
        return whenFree(owner, async () => {
          const entry = readEntry(owner)
          if (entry === undefined || !goes(entry) || !isSame(entry, listed)) return
          await takeDownEntry(owner, entry.attachment, context)
          collected.push(keyOf(entry.attachment))
        })
      }),
    async () => {
      // Whoever has an entry by now could not be taken down, or is being made: something leads to it.
      const kept = recordedNow()
      const known = new Set(collected.map(nameInNetwork))
      for (const key of await collectLeases(network.ipam, network.name, valid, kept)) {
        if (known.has(nameInNetwork(key))) continue
        await (network.dropIn
          ? takeDownForeign(key, undefined, undefined, undefined, context)
          : takeDownUnrecorded(key, undefined, undefined, context))
        collected.push(key)
      }
    },
    async () => {
      if (valid !== undefined) await collectRules(context)
    },
    async () => {
      if (!network.dropIn || valid === undefined) return
      const kept = recordedNow()
      await collectMasquerades(network.name, [...valid, ...kept])
    },
    () => collectLost(context),
    () => tidyRunDirectory(),
  ])
  return collected
}

/** False for one that was made since, under the same key. */
const isSame = (one: Entry, other: Entry): boolean => one.attachment.createdAt === other.attachment.createdAt

const keyOf = ({ network, containerId, ifname }: AttachmentKey): AttachmentKey => ({
  network,
  containerId,
  ifname,
})

// An owner tag is a hash with the network in it: what was another network's stays that.
const isOfOther =
  (network: Pick<Network, 'name'>) =>
  ({ entry }: NamedEntry): boolean =>
    entry.attachment.network !== network.name
