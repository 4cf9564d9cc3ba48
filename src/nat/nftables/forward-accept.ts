/**
 * Accepts in the table that iptables keeps in nftables, for the nftables backend.
 *
 * An nft `accept` ends only its own chain: where `ip filter FORWARD` drops by policy (Docker and ufw set
 * that), a container's packets have to be accepted there. The rules go to a chain of their own at the end
 * of FORWARD and use nothing but addresses and interfaces: iptables could no longer read the table if it
 * held expressions it does not know, such as nft's `ct state`. What may not reach a container from outside
 * is dropped before, by the guards of our own table.
 *
 * Where a container asks its bridge for names, INPUT gets the same: at its beginning, as soon as anything there may drop
 * (its policy, or a last rule that refuses the rest). Ports in rules of nft's own are read by iptables from 1.8.8 on.
 */

import type { Family } from '../../model/address/address.ts'
import { transactionOf } from '../../netfilter/commands.ts'
import { type ListedRule, listRules, targetOf } from '../../netfilter/list.ts'
import { netfilterHere } from '../../netfilter/netfilter.ts'
import { denied, isBusy, isMissing, isTaken } from '../../netfilter/refusal.ts'
import { Transaction } from '../../netfilter/transaction.ts'
import { findChains, header } from '../kernel-chains.ts'
import { commentOf, type FamilyRules, type Rules } from '../rules.ts'

/** Of ours in table filter. */
interface Place {
  chain: string
  builtIn: string
  /** The jump stands in front of what others have. */
  isFirst: boolean
  /** The conditions of an attachment's rules. */
  conditions(rules: Rules, part: FamilyRules): string[]
}

const PLACES: readonly Place[] = [
  { chain: 'TSNET-FORWARD', builtIn: 'FORWARD', isFirst: false, conditions: forwardConditions },
  { chain: 'TSNET-INPUT', builtIn: 'INPUT', isFirst: true, conditions: inputConditions },
]

/** A place in which accepts are needed. */
interface Closed extends Place {
  family: Family
}

/** Chains of table filter. */
const filterChains = (families: readonly Family[], name: string) =>
  findChains(families.map(family => ({ family, table: 'filter', name })))

/** Where these rules need accepts: by place and family. */
function closedTo(all: readonly Rules[]): Closed[] {
  return PLACES.flatMap(place =>
    ([4, 6] as const)
      .filter(family => all.some(rules => conditionsOf(rules, family, place).length > 0))
      .filter(family => mayDrop(family, place))
      .map(family => ({ ...place, family })),
  )
}

function mayDrop(family: Family, { builtIn, isFirst }: Place): boolean {
  const [found] = filterChains([family], builtIn)
  if (found === undefined) return false
  return found.drops || (isFirst && listChain(family, builtIn).length > 0)
}

const conditionsOf = (rules: Rules, family: Family, place: Place): string[] =>
  rules.families.flatMap(part => (part.family === family ? place.conditions(rules, part) : []))

/** What makes our chain, and leads to it, as far as that is lacking. */
function wayTo({ family, chain, builtIn, isFirst }: Closed, isThere: boolean, isLedTo: boolean): string[] {
  const where = `${header(family)} filter`
  return [
    ...(isThere ? [] : [`create chain ${where} ${chain}`]),
    ...(isLedTo ? [] : [`${isFirst ? 'insert' : 'add'} rule ${where} ${builtIn} counter jump ${chain}`]),
  ]
}

/**
 * Makes our chains where others may drop.
 * @returns where accepts are needed
 */
export function openForwardChains(rules: Rules): Closed[] {
  const closed = closedTo([rules])
  for (const place of closed) {
    const { family, chain, builtIn } = place
    if (filterChains([family], chain)[0] !== undefined) continue
    const denial = transactionOf(wayTo(place, false, false)).commit(netfilterHere())
    if (denial !== undefined && !isTaken(denial)) throw denied(`${header(family)} filter ${builtIn}`, denial)
  }
  return closed
}

/** The commands that accept an attachment's packets in these places. */
export const forwardAccepts = (rules: Rules, closed: readonly Closed[]): string[] =>
  closed.flatMap(place =>
    conditionsOf(rules, place.family, place).map(
      rule =>
        `add rule ${header(place.family)} filter ${place.chain} ${rule} counter accept comment "${commentOf(rules.owner)}"`,
    ),
  )

function forwardConditions(
  { bridge, answersBy }: Rules,
  { family, addresses, guest, transit }: FamilyRules,
): string[] {
  // A guest's direct reach must not change, and these rules cannot tell what was published.
  if (guest) return []
  if (transit !== undefined) {
    return [
      `iifname "${bridge}" ${header(family)} saddr ${transit}`,
      `oifname "${bridge}" ${header(family)} daddr ${transit}`,
    ]
  }
  return addresses.flatMap(({ ip }) => [
    ...[bridge, ...answersBy].map(name => `iifname "${name}" ${header(family)} saddr ${ip}`),
    `oifname "${bridge}" ${header(family)} daddr ${ip}`,
  ])
}

function inputConditions({ bridge }: Rules, { family, addresses, resolvers }: FamilyRules): string[] {
  const ip = header(family)
  return addresses.flatMap(({ ip: from }) =>
    resolvers.flatMap(to =>
      ['udp', 'tcp'].map(
        protocol => `iifname "${bridge}" ${ip} saddr ${from} ${ip} daddr ${to} ${protocol} dport 53`,
      ),
    ),
  )
}

/** A chain of ours that is there. */
interface Own {
  family: Family
  chain: string
  builtIn: string
}

/**
 * The commands that remove an owner's accepts, and our chains that are there.
 * @param of the families that the owner has; absent: nobody knows
 */
export function forwardRemovals(
  owner: string,
  of?: Rules['families'],
): { commands: string[]; chains: Own[] } {
  const families: readonly Family[] = of?.map(({ family }) => family) ?? [4, 6]
  const chains = PLACES.flatMap(({ chain, builtIn }) => {
    const there = filterChains(families, chain)
    return families.filter((_, i) => there[i] !== undefined).map(family => ({ family, chain, builtIn }))
  })
  const commands = chains.flatMap(({ family, chain }) =>
    listChain(family, chain)
      .filter(({ comment }) => comment === commentOf(owner))
      .map(({ handle }) => `delete rule ${header(family)} filter ${chain} handle ${handle}`),
  )
  return { commands, chains }
}

/** Removes those of our chains in which nothing is left. */
export function deleteUnusedChains(chains: readonly Own[]): void {
  for (const { family, chain, builtIn } of chains) {
    if (listChain(family, chain).length > 0) continue
    const jumps = listChain(family, builtIn).filter(rule => targetOf(rule) === chain)
    const table = { family: header(family), name: 'filter' }
    const tx = new Transaction()
    for (const { handle } of jumps) tx.deleteRule(table, builtIn, handle)
    const denial = tx.deleteChain(table, chain, { ifEmpty: true }).commit(netfilterHere())
    // Busy: somebody added to it meanwhile, and the jump stays too. Missing: somebody else removed it.
    if (denial !== undefined && !isBusy(denial) && !isMissing(denial))
      throw denied(`deleting chain ${chain}`, denial)
  }
}

const listChain = (family: Family, chain: string): ListedRule[] =>
  listRules(netfilterHere(), { table: { family: header(family), name: 'filter' }, chain })

/** What lacks of accepts, and the commands that make it. */
export interface LostAccepts {
  what: string
  /** Absent: what leads to our chain. It comes before those of owners. */
  owner?: string
  commands: string[]
}

/** What lacks of the accepts of many. Each chain is listed once. */
export const lostForwardAccepts = (all: readonly Rules[]): LostAccepts[] =>
  closedTo(all).flatMap(place => {
    const { family, chain, builtIn } = place
    const isThere = filterChains([family], chain)[0] !== undefined
    const isLedTo = listChain(family, builtIn).some(rule => targetOf(rule) === chain)
    const way = wayTo(place, isThere, isLedTo)
    const what = `nftables: ${header(family)} filter ${builtIn} ${place.isFirst ? 'may drop' : 'drops'} and has no jump to ${chain}`
    const held = isThere ? listChain(family, chain) : []
    const shared = way.length > 0 ? [{ what, commands: way }] : []
    return [...shared, ...all.flatMap(rules => lostAcceptsOf(rules, place, held))]
  })

function lostAcceptsOf(rules: Rules, place: Closed, held: readonly ListedRule[]): LostAccepts[] {
  const { owner } = rules
  const there = held.filter(({ comment }) => comment === commentOf(owner))
  const expected = conditionsOf(rules, place.family, place)
  if (there.length >= expected.length) return []
  const chain = `${header(place.family)} filter ${place.chain}`
  const what = `nftables: ${chain} has ${there.length} of ${expected.length} accepts of ${commentOf(owner)}`
  const commands = [
    ...there.map(({ handle }) => `delete rule ${chain} handle ${handle}`),
    ...forwardAccepts(rules, [place]),
  ]
  return [{ what, owner, commands }]
}
