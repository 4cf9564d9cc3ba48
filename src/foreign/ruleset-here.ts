/**
 * All rules of the network namespace that the thread is in, as one picture. What nf_tables holds is remembered as
 * long as nobody but us has made another generation: our own transactions change none of the rules of others. What
 * legacy iptables holds has none, and is read anew.
 */

import type { Family } from '../model/address/address.ts'
import { hasCode } from '../model/errors.ts'
import { generation, isOnlyOurs } from '../netfilter/generations.ts'
import { netfilterHere } from '../netfilter/netfilter.ts'
import type { TableRef } from '../netfilter/transaction.ts'
import type { Netlink } from '../netlink/netlink.ts'
import type { Sync } from '../netns/netns.ts'
import { NftRuleset } from './nft/nft.ts'
import type { BaseChain, ChainName, Ruleset } from './rule.ts'
import { LegacyRuleset, legacyTables } from './xtables/xtables.ts'

/** The tables that tsnet itself has. */
const isOwn = ({ name }: TableRef): boolean => /^tsnet/.test(name)

interface Picture {
  generation: number
  rules: NftRuleset
}

/** By the conversation with the namespace. */
const pictures = new WeakMap<Netlink, Picture>()

/** How often it is judged again when rules change meanwhile. Who then changes them still, changes them again. */
const ATTEMPTS = 5

/** While several things are judged by one picture. */
let current: Ruleset | undefined

/** What is judged by all rules as they are at one moment. @throws NetlinkError, SystemError */
export function withRules<T>(judge: (rules: Ruleset) => T): T {
  if (current !== undefined) return judge(current)
  const nl = conversation()
  if (nl === undefined) return judge(together(undefined))
  for (let attempt = 1; ; attempt++) {
    const picture = pictureOf(nl)
    const { reads } = picture.rules
    const verdict = judge(together(picture.rules))
    const isOne = picture.rules.reads === reads && !picture.isNew
    if (isOne || attempt === ATTEMPTS || generation(nl) === picture.generation) return verdict
  }
}

/** All that is judged within `work`, in the namespace that the thread is in, is judged by the rules of one moment. */
export const asOnePicture = <T>(work: () => Sync<T>): Sync<T> =>
  withRules(rules => {
    const outer = current
    current = rules
    try {
      return work()
    } finally {
      current = outer
    }
  })

/** The number of the rule set here, which each change makes another; of kernels without nf_tables undefined. */
export function generationHere(): number | undefined {
  const nl = conversation()
  return nl && generation(nl)
}

/** True where a family has rules of legacy iptables, whose changes nothing tells. */
export const hasLegacyRules = (family: Family): boolean => legacyTables(family).length > 0

function conversation(): Netlink | undefined {
  try {
    return netfilterHere()
  } catch (thrown) {
    if (hasCode(thrown, 'missing')) return undefined
    throw thrown
  }
}

function pictureOf(nl: Netlink): Picture & { isNew: boolean } {
  const now = generation(nl)
  const kept = pictures.get(nl)
  const isNew = kept === undefined || !isOnlyOurs(nl, kept.generation, now)
  const picture = { generation: now, rules: isNew ? new NftRuleset(nl, isOwn) : kept.rules }
  pictures.set(nl, picture)
  return { ...picture, isNew }
}

/** Of nf_tables and of both families of legacy iptables, which are read when they are asked for. */
function together(nft: NftRuleset | undefined): Ruleset {
  const legacy = new Map<Family, LegacyRuleset>()
  const legacyOf = (family: Family): LegacyRuleset => {
    const rules = legacy.get(family) ?? new LegacyRuleset(family)
    legacy.set(family, rules)
    return rules
  }
  const holderOf = ({ dialect, family }: ChainName): Ruleset | undefined =>
    dialect === 'legacy' ? legacyOf(family === 'ip6' ? 6 : 4) : nft
  return {
    baseChains(hook, family): BaseChain[] {
      const all = [...(nft?.baseChains(hook, family) ?? []), ...legacyOf(family).baseChains(hook, family)]
      return all.sort((a, b) => a.priority - b.priority)
    },
    rules: chain => holderOf(chain)?.rules(chain) ?? [],
    set: (chain, name) => holderOf(chain)?.set(chain, name) ?? EMPTY,
    hasLinkChains: () => nft?.hasLinkChains() === true,
  }
}

const EMPTY = { isNamed: false, all: () => [], find: () => undefined }
