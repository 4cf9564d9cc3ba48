/**
 * Takes down an attachment in whatever state it is: complete, half made, half taken down, or known by its
 * key alone.
 *
 *     ports to the container's next network, if it has one (shared-ports.ts)
 *     traffic off ─┬─▶ rules → spoof guard → conntrack → host ports ─┬─▶ addresses
 *                  └─▶ link and ifb → bridge ────────────────────────┘
 *
 * Then the host end goes down, so that there is no moment in which the container can be reached without
 * its guards. Then the kernel waits some twenty milliseconds over the link, and what else there is to do is
 * done meanwhile; many that go at once share that wait (netlink/link/delete.ts). The addresses come last, when no flow
 * and no rule leads to them any more, and stay taken when anything before failed: an address must not be given to
 * another container while something still points to it. Every step is idempotent; all are tried whatever fails.
 */

import { disconnect, findHostEnd, silence } from '../bridge/bridge.ts'
import { giveBack, heldLeases } from '../ipam/ipam.ts'
import { type Ip, ipOf } from '../model/address/address.ts'
import { hasCode } from '../model/errors.ts'
import {
  type AttachmentKey,
  type IpamOptions,
  type NatBackend,
  ownerTag,
  type Undertaking,
} from '../model/network.ts'
import { sideBySide } from '../model/side-by-side.ts'
import { everyStep } from '../model/undo.ts'
import { chooseBackend, flushConntrack, withdrawReach, withdrawSpoofGuard } from '../nat/nat.ts'
import { condemnLinks, deleteLinks } from '../netlink/link/delete.ts'
import { findLink } from '../netlink/link/link.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { claimsOf } from '../ports/claim-files.ts'
import { restoreReturnPath } from '../ports/return-path.ts'
import { readPublication } from '../records/publications.ts'
import { namesUsed, readEntry, removeEntry, unlessLocked, writeEntry } from '../records/records.ts'
import { readTransit } from '../records/transits.ts'
import { ifbName } from '../shaping/shaping.ts'
import { takeDownDropIn } from './bridge-role/end.ts'
import type { Context } from './context.ts'
import { bridgesOf, isGuest, leaveBridge, stopForwarding, withdrawRules } from './shared.ts'
import { leavePorts, yieldPorts } from './shared-ports.ts'

/**
 * Whoever holds the ports of attachments, beside their rules, and tells their names, lets those of an owner go. Before the
 * address is given back, or they would lead to whoever gets it next.
 */
export const portHolder: { release: (owner: string) => Promise<void> } = { release: async () => {} }

/**
 * Takes down what an entry speaks of, and then it is gone. Meanwhile it says so: or a daemon that hears of what goes would
 * put back what all share (reconcile/). To be called under the owner's lock.
 * @throws the error, or an AggregateError, after having tried all
 */
export async function takeDownEntry(
  owner: string,
  attachment: Undertaking,
  context?: Context,
): Promise<void> {
  writeEntry(owner, { state: 'detaching', attachment })
  await takeDown(attachment, context)
  removeEntry(owner)
}

/** Takes down what a record speaks of. @throws the error, or an AggregateError, after having tried all */
async function takeDown(undertaking: Undertaking, context: Context = {}): Promise<void> {
  const { trace } = context
  if (undertaking.dropIn !== undefined) return takeDownDropIn(undertaking, context)
  const { bridgeName, nat, ports, leases, ipam, returnPath } = undertaking
  const owner = ownerTag(undertaking)
  const addresses = leases.map(lease => ipOf(lease.address))
  // Which ports of several attachments are this one's, only a look tells.
  let shared = true
  await everyStep([
    async () => (ports.length > 0 || undertaking.names) && (await portHolder.release(owner)),
    async () => {
      shared = await yieldPorts(owner, ports)
    },
    () => silence(owner, trace),
    async () => nat && (await stopForwarding(owner)),
    () =>
      sideBySide(
        () => withShaping(undertaking.bandwidth, owner, () => leaveBridge(bridgeName, owner, trace), trace),
        () =>
          everyStep([
            async () => nat && (await withdrawRules(nat.backend, owner, shared ? undefined : nat.intent)),
            async () => undertaking.macspoofchk && (await withdrawSpoofGuard(nat?.backend, owner)),
            () => {
              if (undertaking.reach !== undefined) withdrawReach(owner)
            },
            () => flushConntrack(addresses, ports),
            () => leavePorts(owner, ports),
            async () => returnPath && (await restoreReturnPath(returnPath, owner)),
          ]),
      ),
  ])
  await giveBack(ipam, undertaking, undertaking.netns.path)
}

/**
 * Takes down what may be left of an attachment that no record speaks of: its link and its rules carry the
 * owner tag, its leases the container's id, and what it shares with others has it among the users.
 */
export async function takeDownUnrecorded(
  key: AttachmentKey,
  ipam: IpamOptions | undefined,
  netnsPath: string | undefined,
  context: Context = {},
): Promise<void> {
  const addresses = () => (ipam === undefined ? [] : heldLeases(ipam, key))
  await takeDownLost(ownerTag(key), addresses, context)
  if (ipam !== undefined) await giveBack(ipam, key, netnsPath)
}

/**
 * As takeDownUnrecorded, of what is known by the owner tag alone; the addresses stay taken.
 * @param addresses finds them, which takes a search; only where there was an attachment
 */
async function takeDownLost(owner: string, addresses: () => Ip[], { trace }: Context = {}): Promise<void> {
  const [bridges, claims] = [bridgesOf(owner), claimsOf(owner)]
  await everyStep([
    () => portHolder.release(owner),
    () => yieldPorts(owner, claims),
    () => silence(owner, trace),
    () => stopForwarding(owner),
    () =>
      sideBySide(
        () => withShaping(true, owner, () => leaveBridges(bridges, owner, trace), trace),
        () =>
          everyStep([
            () => ifInstalled('iptables', backend => withdrawRules(backend, owner)),
            () => ifInstalled('nftables', backend => withdrawRules(backend, owner)),
            () => ifInstalled('nftables', backend => withdrawSpoofGuard(backend, owner)),
            () => withdrawReach(owner),
            () => flushConntrack(bridges.length > 0 ? addresses() : [], claims),
            () => leavePorts(owner, claims),
            ...namesUsed('return-path-', owner).map(ifname => () => restoreReturnPath(ifname, owner)),
          ]),
      ),
  ])
}

/**
 * Takes down an owner of whom no record is left: it was damaged, say. Its link goes with its namespace, so where there is
 * none it is dead. Whoever is busy with it is left alone.
 * @returns true where it was lost
 */
export async function takeDownIfLost(owner: string, context: Context = {}): Promise<boolean> {
  if (!isLost(owner, context)) return false
  const taken = await unlessLocked(owner, async () => {
    if (!isLost(owner, context)) return false
    await takeDownLost(owner, () => [], context)
    return true
  })
  return taken ?? false
}

/** True for whom no record speaks of, and who has no link. */
export function isLost(owner: string, { trace }: Context = {}): boolean {
  const isRecorded = [readEntry, readPublication, readTransit].some(read => read(owner) !== undefined)
  if (isRecorded || isGuest(owner)) return false
  using nl = openNetlink(trace)
  return findHostEnd(nl, owner) === undefined
}

const leaveBridges = (bridges: string[], owner: string, trace: Context['trace']): Promise<void> =>
  bridges.length === 0
    ? disconnect({ owner }, trace)
    : everyStep(bridges.map(name => () => leaveBridge(name, owner, trace)))

/** Where a backend is not installed, nothing was ever made with it. */
async function ifInstalled(backend: NatBackend, work: (backend: NatBackend) => Promise<void>): Promise<void> {
  try {
    chooseBackend(backend)
  } catch (thrown) {
    if (hasCode(thrown, 'missing')) return
    throw thrown
  }
  await work(backend)
}

/** Removes the link, and with it, in one wait, what shapes it. */
async function withShaping(
  shaped: unknown,
  owner: string,
  removeLink: () => Promise<void>,
  trace: Context['trace'],
): Promise<void> {
  if (!shaped) return removeLink()
  using nl = openNetlink(trace)
  const ifb = () => {
    const link = findLink(nl, { name: ifbName(owner) })
    return link?.kind === 'ifb' ? [link] : []
  }
  condemnLinks(nl, ifb())
  // Where there was no link any more, the ifb goes alone.
  await everyStep([removeLink, () => deleteLinks(nl, ifb())])
}
