/**
 * Accepts in the table that iptables keeps in nftables, for the nftables backend.
 *
 * An nft `accept` ends only its own chain: where `ip filter FORWARD` drops by policy (Docker and ufw set
 * that), a container's packets have to be accepted there. The rules go to a chain of their own at the end
 * of FORWARD and use nothing but addresses and interfaces: iptables could no longer read the table if it
 * held expressions it does not know, such as nft's `ct state`. What may not reach a container from outside
 * is dropped before, by the guards of our own table.
 */

import type { Family } from '../../model/address/address.ts'
import { transactionOf } from '../../netfilter/commands.ts'
import { type ListedRule, listRules, targetOf } from '../../netfilter/list.ts'
import { netfilterHere } from '../../netfilter/netfilter.ts'
import { denied, isBusy, isMissing, isTaken } from '../../netfilter/refusal.ts'
import { Transaction } from '../../netfilter/transaction.ts'
import { findChains, header } from '../kernel-chains.ts'
import { commentOf, type Rules } from '../rules.ts'

const CHAIN = 'TSNET-FORWARD'

/** Chains of table filter. */
const filterChains = (families: readonly Family[], name: string) =>
  findChains(families.map(family => ({ family, table: 'filter', name })))

/**
 * Makes our chain where FORWARD drops by policy.
 * @returns the families that have it, where accepts are needed
 */
export function openForwardChains({ families }: Pick<Rules, 'families'>): Family[] {
  const names = families.map(({ family }) => family)
  const forward = filterChains(names, 'FORWARD')
  const closed = names.filter((_, i) => forward[i]?.drops)
  const own = filterChains(closed, CHAIN)
  for (const [i, family] of closed.entries()) {
    if (own[i] !== undefined) continue
    const denial = transactionOf([
      `create chain ${header(family)} filter ${CHAIN}`,
      `add rule ${header(family)} filter FORWARD counter jump ${CHAIN}`,
    ]).commit(netfilterHere())
    if (denial !== undefined && !isTaken(denial)) throw denied(`${header(family)} filter FORWARD`, denial)
  }
  return closed
}

/** The commands that accept an attachment's packets in these families. */
export const forwardAccepts = (rules: Rules, closed: Family[]): string[] =>
  acceptRules(rules, closed).map(
    ({ family, rule }) =>
      `add rule ${header(family)} filter ${CHAIN} ${rule} counter accept comment "${commentOf(rules.owner)}"`,
  )

const acceptRules = (
  { bridge, answersBy, families }: Rules,
  closed: Family[],
): { family: Family; rule: string }[] =>
  families
    // A guest's direct reach must not change, and these rules cannot tell what was published.
    .filter(({ family, guest }) => closed.includes(family) && !guest)
    .flatMap(({ family, addresses }) =>
      addresses.flatMap(({ ip }) => [
        ...[bridge, ...answersBy].map(name => ({
          family,
          rule: `iifname "${name}" ${header(family)} saddr ${ip}`,
        })),
        { family, rule: `oifname "${bridge}" ${header(family)} daddr ${ip}` },
      ]),
    )

/**
 * The commands that remove an owner's accepts, and the families that have our chain.
 * @param of the families that the owner has; absent: nobody knows
 */
export function forwardRemovals(
  owner: string,
  of?: Rules['families'],
): { commands: string[]; families: Family[] } {
  const possible: readonly Family[] = of?.map(({ family }) => family) ?? [4, 6]
  const chains = filterChains(possible, CHAIN)
  const families = possible.filter((_, i) => chains[i] !== undefined)
  const commands: string[] = []
  for (const family of families) {
    const rules = listChain(family, CHAIN)
    const own = rules.filter(({ comment }) => comment === commentOf(owner))
    commands.push(
      ...own.map(({ handle }) => `delete rule ${header(family)} filter ${CHAIN} handle ${handle}`),
    )
  }
  return { commands, families }
}

/** Removes our chain where nothing is left in it. */
export function deleteUnusedChains(families: Family[]): void {
  for (const family of families) {
    if (listChain(family, CHAIN).length > 0) continue
    const jumps = listChain(family, 'FORWARD').filter(rule => targetOf(rule) === CHAIN)
    const table = { family: header(family), name: 'filter' }
    const tx = new Transaction()
    for (const { handle } of jumps) tx.deleteRule(table, 'FORWARD', handle)
    const denial = tx.deleteChain(table, CHAIN, { ifEmpty: true }).commit(netfilterHere())
    // Busy: somebody added to it meanwhile, and the jump stays too. Missing: somebody else removed it.
    if (denial !== undefined && !isBusy(denial) && !isMissing(denial))
      throw denied(`deleting chain ${CHAIN}`, denial)
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
export function lostForwardAccepts(all: readonly Rules[]): LostAccepts[] {
  const used = ([4, 6] as const).filter(family =>
    all.some(({ families }) => families.some(part => part.family === family && !part.guest)),
  )
  const forward = filterChains(used, 'FORWARD')
  return used
    .filter((_, i) => forward[i]?.drops)
    .flatMap(family => {
      const where = `${header(family)} filter`
      const [own] = filterChains([family], CHAIN)
      const isLedTo = listChain(family, 'FORWARD').some(rule => targetOf(rule) === CHAIN)
      const way = [
        ...(own === undefined ? [`create chain ${where} ${CHAIN}`] : []),
        ...(isLedTo ? [] : [`add rule ${where} FORWARD counter jump ${CHAIN}`]),
      ]
      const what = `nftables: ${where} FORWARD drops and has no jump to ${CHAIN}`
      const held = own === undefined ? [] : listChain(family, CHAIN)
      const shared = way.length > 0 ? [{ what, commands: way }] : []
      return [...shared, ...all.flatMap(rules => lostAcceptsOf(rules, family, held))]
    })
}

function lostAcceptsOf(rules: Rules, family: Family, held: readonly ListedRule[]): LostAccepts[] {
  const { owner } = rules
  const there = held.filter(({ comment }) => comment === commentOf(owner))
  const expected = acceptRules(rules, [family])
  if (there.length >= expected.length) return []
  const chain = `${header(family)} filter ${CHAIN}`
  const what = `nftables: ${chain} has ${there.length} of ${expected.length} accepts of ${commentOf(owner)}`
  const commands = [
    ...there.map(({ handle }) => `delete rule ${chain} handle ${handle}`),
    ...forwardAccepts(rules, [family]),
  ]
  return [{ what, owner, commands }]
}
