/**
 * What a container may reach: lists of those with whom it may begin to speak (`egress.allow`).
 *
 *     container ─▶ its port, where the spoof guard stands
 *                    ├─ to the host, or routed by it   inet tsnet-reach, prerouting: before any address is translated
 *                    └─ to another port of the bridge  bridge tsnet-reach, forward
 *
 * Both look up whose packet it is, by one look-up however many have a list, and go to a chain of that container: answers,
 * what an address cannot do without on its link, its sets, and else the packet is dropped and counted. What counts is whom
 * the container addresses: a published port, a proxy of ours and the host's own services are reached at an address of the host,
 * whatever it leads to.
 *
 * Native nf_tables for either backend, in tables of its own: `accept` in them says nothing to other rules, `drop` is final.
 *
 * Known by. Routed packets by the interface that they arrive at and the sender's link-layer address, bridged ones by the port.
 * So it holds for both families, for link-local addresses, and for what the container sends under addresses of others. The
 * spoof guard is required all the same: it drops frames with another sender, frames with tags, and packets with a
 * neighbour's address, which would pass as answers or as the neighbour's own.
 *
 * Whoever came to the container is answered. What is routed has a state in the kernel, and only packets in the direction of
 * an answer pass by it: the container's own connections are looked up with every packet, so that they end with their permission. What is
 * bridged has none (few kernels have CONFIG_NF_CONNTRACK_BRIDGE): TCP that begins nothing, echo replies and errors pass there,
 * UDP to a neighbour has to be allowed.
 *
 * Changed. A list takes the place of another in one transaction, and what has no permission any more ends (ending.ts).
 *
 * Names (names.ts, fill.ts). An entry may be a name: its addresses are those that the network's name service told the container.
 * Seen (refused.ts, seen.ts). Each entry counts the packets that it let through, and what is dropped is remembered for a while.
 *
 * The floor. Addresses at which clouds tell secrets are cut out of every entry that is wider than they are.
 *
 * install     before the port is up; one transaction for both tables
 * withdraw    after the link; the last list takes both tables away, if the kernel says that nothing changed meanwhile
 * mend        each list by itself; what all share is made anew with it
 *
 * Limits: who is root in the host's namespace is not held. Multicast is never let through to a neighbour. A fragment has no port:
 * routed packets are put together first, bridged ones pass only to addresses that are allowed as a whole.
 */

import type { SetElement } from '../../netfilter/elements.ts'
import { consistently, generation } from '../../netfilter/generations.ts'
import {
  findChain,
  findCounter,
  findElement,
  findSet,
  findTable,
  hasTable,
  listChains,
  listElements,
  listRules,
  usesOfChain,
} from '../../netfilter/list.ts'
import { hasNfTables, missingNfTables, netfilterHere } from '../../netfilter/netfilter.ts'
import { plannedChains } from '../../netfilter/planned.ts'
import { denied } from '../../netfilter/refusal.ts'
import { faultOf } from '../../netfilter/same-rule.ts'
import { Transaction, tableText } from '../../netfilter/transaction.ts'
import type { Netlink } from '../../netlink/netlink.ts'
import { type Hold, type Loss, losersOf } from '../loss.ts'
import { belongingsIn } from './belongings.ts'
import { countersOf } from './counters.ts'
import { forgetFilled } from './fill.ts'
import {
  addBase,
  addLists,
  BASE,
  type Base,
  CONTAINERS,
  chainOf,
  DENIED,
  isOfNamesSet,
  planReach,
  type ReachGuard,
  setNames,
  type TablePlan,
} from './plan.ts'
import { PORTED, PORTED_ELEMENTS } from './ported.ts'

export type { ReachGuard } from './plan.ts'

const TABLES = BASE.map(({ table }) => table)

/** How often a change is made anew where somebody else's comes between the look and it. */
const ATTEMPTS = 10

/**
 * Installs a list, in place of an older one of the same owner.
 * @param options `keepsNames`: those of the older one are the same, in the same order: what was told of them stays, and who is
 *   connected by them
 * @throws TsnetError `missing` where the kernel has no nf_tables, or not what a list needs; `invalid-config`; `kernel`
 */
export function installReach(guard: ReachGuard, { keepsNames = false } = {}): void {
  if (!hasNfTables()) throw missingNfTables()
  const nl = netfilterHere()
  const plans = planReach(guard)
  forgetFilled(guard.owner)
  for (let attempt = 1; ; attempt++) {
    const tx = new Transaction()
    for (const base of BASE) if (faultsOfBase(nl, base).length > 0) addBase(tx, base)
    removeLists(nl, tx, guard.owner, { isThorough: attempt > 1, keepsNames })
    addLists(tx, plans)
    const denial = tx.commit(nl)
    if (denial === undefined) return
    // What all share went with the last list, or came with the first.
    if (['ENOENT', 'EEXIST', 'EBUSY'].includes(denial.code) && attempt < ATTEMPTS) continue
    throw denied(`what the container at ${guard.hostInterface} may reach`, denial)
  }
}

/** Removes the list of an owner. Idempotent. @throws TsnetError `kernel` */
export function withdrawReach(owner: string): void {
  if (!hasNfTables()) return
  const nl = netfilterHere()
  forgetFilled(owner)
  for (let attempt = 1; ; attempt++) {
    const tx = new Transaction()
    removeLists(nl, tx, owner, { isThorough: attempt > 1 })
    const denial = tx.commit(nl)
    if (denial === undefined) break
    if (['ENOENT', 'EBUSY'].includes(denial.code) && attempt < ATTEMPTS) continue
    throw denied(`removing what ${owner} may reach`, denial)
  }
  removeIfUnused(nl)
}

/** What all share, once nobody has a list. Whoever gets one at this moment keeps it. */
function removeIfUnused(nl: Netlink): void {
  const now = generation(nl)
  const there = TABLES.filter(table => hasTable(nl, table))
  if (there.length === 0 || there.some(table => usesOfChain(nl, table, DENIED) > 1)) return
  const tx = new Transaction()
  for (const table of there) tx.deleteTable(table)
  tx.commit(nl, now)
}

/**
 * What an owner has in both tables, as the comments of its chains say it.
 * @param options `isThorough`: it is looked for, whatever there is; `keepsNames`: but for the sets of names
 */
function removeLists(
  nl: Netlink,
  tx: Transaction,
  owner: string,
  { isThorough, keepsNames = false }: { isThorough: boolean; keepsNames?: boolean },
): void {
  const chain = chainOf(owner)
  for (const {
    table,
    map: { type },
  } of BASE) {
    const found = findChain(nl, table, chain)
    if (found === undefined) continue
    const said = isThorough ? undefined : belongingsIn(found.comment, type, setNames(owner))
    const entries =
      said?.keys.flatMap(key => findElement(nl, table, CONTAINERS, key) ?? []) ??
      listElements(nl, table, CONTAINERS)
    const own = entries.filter(({ verdict }) => verdict?.chain === chain)
    if (own.length > 0) tx.deleteElements(table, CONTAINERS, own)
    tx.deleteChain(table, chain)
    const sets = said?.sets ?? setNames(owner).filter(name => findSet(nl, table, name) !== undefined)
    const ofNames = sets.filter(isOfNamesSet)
    for (const name of sets) {
      if (keepsNames && ofNames.includes(name)) continue
      // Older kernels let counters go with the elements of a map, and not with the map.
      if (ofNames.includes(name)) tx.flushSet(table, name)
      tx.deleteSet(table, name)
    }
    if (!keepsNames && (isThorough || ofNames.length > 0))
      for (const name of countersOf(nl, table, owner, said?.digest).keys()) tx.deleteCounter(table, name)
  }
}

/** The owner tags that have a list. */
export function reachOwners(): string[] {
  if (!hasNfTables()) return []
  const nl = netfilterHere()
  const names = TABLES.flatMap(table =>
    hasTable(nl, table) ? listChains(nl, { table }).map(({ name }) => name) : [],
  )
  return [...new Set(names.flatMap(name => /^list-([0-9a-f]{16})$/.exec(name)?.[1] ?? []))]
}

/** What differs from an installed list, in words. */
export function verifyReach(guard: ReachGuard): string[] {
  if (!hasNfTables()) return ['this kernel has no nf_tables']
  const nl = netfilterHere()
  const plans = planReach(guard)
  return consistently(nl, () => {
    const broken = BASE.flatMap(base => faultsOfBase(nl, base))
    return broken.length > 0 ? broken : plans.flatMap(plan => faultsOfList(nl, plan, guard.hostInterface))
  })
}

function faultsOfBase(nl: Netlink, base: Base): string[] {
  const { table } = base
  const there = findTable(nl, table)
  if (there === undefined)
    return [`there is no table ${tableText(table)}, which holds what containers may reach`]
  if (there.isDormant) return [`table ${tableText(table)} is dormant`]
  const tx = new Transaction()
  addBase(tx, base)
  const chains = [...plannedChains(tx.messages.bytes)].flatMap(([name, wanted]) =>
    faultOf(nl, findChain(nl, table, name), listRules(nl, { table, chain: name }), wanted) === undefined
      ? []
      : [`chain ${name}`],
  )
  const isPorted = words(listElements(nl, table, PORTED.name)) === words(PORTED_ELEMENTS)
  return [...chains, ...(isPorted ? [] : [`set ${PORTED.name}`])].map(
    what => `${what} of table ${tableText(table)} is not as it was made`,
  )
}

function faultsOfList(nl: Netlink, plan: TablePlan, hostInterface: string): string[] {
  const { table, chain, sets, counters, entries } = plan
  const where = `what the container at ${hostInterface} may reach (table ${tableText(table)})`
  const tx = new Transaction()
  addLists(tx, [plan])
  const wanted = plannedChains(tx.messages.bytes).get(chain)
  const fault = wanted && faultOf(nl, findChain(nl, table, chain), listRules(nl, { table, chain }), wanted)
  if (fault?.fault === 'absent') return [`${where} is not said`]
  const isLed = entries.every(({ key }) => findElement(nl, table, CONTAINERS, key)?.verdict?.chain === chain)
  return [
    ...(fault === undefined ? [] : [`${where} has other rules than it should`]),
    ...(counters.every(name => findCounter(nl, table, name) !== undefined)
      ? []
      : [`${where} does not count by names`]),
    ...(isLed ? [] : [`${where} is not looked at: its packets are not led there`]),
    ...sets
      .filter(
        ({ plan: { name }, elements }) =>
          elements !== undefined && words(listElements(nl, table, name)) !== words(elements),
      )
      .map(({ plan: { name } }) => `${where} has other entries in ${name} than it should`),
  ]
}

const hex = (bytes: Uint8Array | undefined): string =>
  bytes === undefined ? '' : Buffer.from(bytes).toString('hex')

const words = (elements: readonly SetElement[]): string =>
  elements
    .map(({ key, keyEnd, isEnd = false }) => `${hex(key)}-${hex(keyEnd)} ${isEnd}`)
    .sort()
    .join()

/**
 * Finds lists that are lacking or broken, and puts them back.
 * @param hold absent: nothing is changed
 * @returns what was lacking
 * @throws TsnetError `kernel`
 */
export function mendReach(guards: readonly ReachGuard[], hold?: Hold): Loss[] {
  const losses = guards.flatMap(guard =>
    verifyReach(guard).map(what => ({ what, owner: guard.owner, guard })),
  )
  const may = losses.length === 0 || hold === undefined ? new Set<string>() : hold(losersOf(losses))
  for (const guard of new Set(losses.map(({ guard }) => guard))) if (may.has(guard.owner)) installReach(guard)
  return losses.map(({ what, owner }) => ({ what, owner }))
}
