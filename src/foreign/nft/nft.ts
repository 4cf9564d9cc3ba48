/**
 * The rules that nf_tables holds, its own and those of iptables' nft variant, read as far as packets come.
 *
 * What has thousands of chains is asked for base chains alone, and of those for the chains they lead to. All of it
 * is of one generation of the rule set: who changes a rule makes another, and what was read is forgotten then.
 */

import type { Family } from '../../model/address/address.ts'
import { NFT_SET_INTERVAL } from '../../netfilter/constants.ts'
import type { SetElement } from '../../netfilter/elements.ts'
import {
  findElement,
  findSet,
  type ListedChain,
  listBaseChains,
  listElements,
  listRules,
} from '../../netfilter/list.ts'
import type { TableRef } from '../../netfilter/transaction.ts'
import type { TableFamily } from '../../netfilter/values.ts'
import type { Netlink } from '../../netlink/netlink.ts'
import type { BaseChain, ChainName, Dialect, Hook, MapEntry, Range, Rule, Ruleset, SetView } from '../rule.ts'
import { readRule, verdictOf } from './rule.ts'

const HEADER: Record<Family, string> = { 4: 'ip', 6: 'ip6' }

/** Tables that iptables makes, with chains in capital letters. */
const XTABLES: readonly string[] = ['raw', 'mangle', 'nat', 'filter', 'security']

const tableKey = ({ table: { family, name } }: ListedChain): string => `${family} ${name}`

export class NftRuleset implements Ruleset {
  readonly #nl: Netlink
  readonly #chains: readonly ListedChain[]
  readonly #isOthers: (table: TableRef) => boolean
  /** Of the families bridge and netdev, of which a host with many guarded containers has many; few ask for them. */
  #below: readonly ListedChain[] | undefined
  /** Tables that iptables' words fit. */
  readonly #iptables: ReadonlySet<string>
  readonly #rules = new Map<string, Rule[]>()
  readonly #sets = new Map<string, SetView>()
  readonly #bases = new Map<string, BaseChain[]>()
  /** How often the kernel was asked for rules or a set. */
  reads = 0

  /** @param isOwn tables that are none of others' */
  constructor(nl: Netlink, isOwn: (table: TableRef) => boolean) {
    this.#nl = nl
    this.#isOthers = table => !isOwn(table)
    this.#chains = listBaseChains(nl, ['ip', 'ip6', 'inet'], this.#isOthers)
    this.#iptables = new Set(this.#chains.filter(isOfIptables).map(tableKey))
  }

  baseChains(hook: Hook, family: Family): BaseChain[] {
    const key = `${hook} ${family}`
    const chains = this.#bases.get(key) ?? this.#basesOf(hook, family)
    this.#bases.set(key, chains)
    return chains
  }

  #basesOf(hook: Hook, family: Family): BaseChain[] {
    return (isLinkHook(hook) ? this.#linkChains() : this.#chains)
      .filter(chain => standsAt(chain, hook, family))
      .map(chain => ({
        dialect: this.#iptables.has(tableKey(chain)) ? ('iptables' as Dialect) : 'nft',
        family: chain.table.family,
        table: chain.table.name,
        chain: chain.name,
        hook,
        priority: chain.hook?.priority ?? 0,
        drops: chain.policy === 'drop',
      }))
  }

  #linkChains(): readonly ListedChain[] {
    const atInterfaces = this.#chains.filter(({ hook }) => (hook?.devices.length ?? 0) > 0)
    this.#below ??= [...atInterfaces, ...listBaseChains(this.#nl, ['bridge', 'netdev'], this.#isOthers)]
    return this.#below
  }

  hasLinkChains(): boolean {
    return this.#linkChains().length > 0
  }

  rules({ family, table, chain }: ChainName): Rule[] {
    const key = `${family} ${table} ${chain}`
    const kept = this.#rules.get(key)
    if (kept !== undefined) return kept
    this.reads++
    const listed = listRules(this.#nl, { table: { family: family as TableFamily, name: table }, chain })
    const rules = listed.map((rule, i) => readRule(rule, i + 1, family === 'ip6' ? 6 : 4))
    this.#rules.set(key, rules)
    return rules
  }

  set({ family, table }: ChainName, name: string): SetView {
    const key = `${family} ${table} ${name}`
    const kept = this.#sets.get(key)
    if (kept !== undefined) return kept
    this.reads++
    const view = viewOf(this.#nl, { family: family as TableFamily, name: table }, name)
    this.#sets.set(key, view)
    return view
  }
}

const isLinkHook = (hook: Hook): boolean => hook.includes(' ')

function standsAt({ table, hook }: ListedChain, wanted: Hook, family: Family): boolean {
  if (hook === undefined || hook.type === 'nat') return false
  const [layer = '', at] = wanted.split(' ')
  if (at === undefined) return hook.at === wanted && [HEADER[family], 'inet'].includes(table.family)
  if (layer === 'bridge') return table.family === 'bridge' && hook.at === at
  return table.family !== 'bridge' && hook.at === layer && hook.devices.includes(at)
}

const isOfIptables = ({ table, name, hook }: ListedChain): boolean =>
  ['ip', 'ip6'].includes(table.family) && XTABLES.includes(table.name) && name === hook?.at?.toUpperCase()

/** Sets without a name are parts of rules, and small. */
const ANONYMOUS = /^__(set|map)\d+$/

function viewOf(nl: Netlink, table: TableRef, name: string): SetView {
  let all: (Range | MapEntry)[] | undefined
  let about: ReturnType<typeof findSet>
  const listAll = () => {
    all ??= rangesOf(listElements(nl, table, name))
    return all
  }
  return {
    isNamed: !ANONYMOUS.test(name),
    all: listAll,
    find(key) {
      if (ANONYMOUS.test(name)) return listAll().find(range => isWithin(key, range))
      about ??= findSet(nl, table, name)
      if (about === undefined) return undefined
      const wanted = key.subarray(0, about.keyLength)
      const found = findElement(nl, table, name, wanted)
      // Where intervals are kept by their borders, one that ends here is none.
      const isOver = found?.isEnd === true && (about.flags & NFT_SET_INTERVAL) !== 0
      return found === undefined || isOver ? undefined : entryOf(found, wanted, wanted)
    },
  }
}

/** Compared as a whole; of concatenated ranges each value for itself would be. */
const isWithin = (key: Uint8Array, { from, to }: Range): boolean => {
  const part = key.subarray(0, from.length)
  return Buffer.compare(part, from) >= 0 && Buffer.compare(part, to) <= 0
}

function entryOf({ verdict }: SetElement, from: Uint8Array, to: Uint8Array): Range | MapEntry {
  return verdict === undefined ? { from, to } : { from, to, verdict: verdictOf(verdict) }
}

/**
 * Elements by both their ends. A set of intervals lists borders: where one begins, and where what began has
 * ended, that border not included.
 */
export function rangesOf(elements: readonly SetElement[]): (Range | MapEntry)[] {
  if (!elements.some(({ isEnd }) => isEnd))
    return elements.map(each => entryOf(each, each.key, each.keyEnd ?? each.key))
  const sorted = [...elements].sort(
    (a, b) => Buffer.compare(a.key, b.key) || Number(b.isEnd ?? false) - Number(a.isEnd ?? false),
  )
  return sorted.flatMap((element, i) => {
    if (element.isEnd) return []
    const end = sorted[i + 1]
    const to = end === undefined ? new Uint8Array(element.key.length).fill(0xff) : before(end.key)
    return [entryOf(element, element.key, to)]
  })
}

/** The number before, in network byte order. */
function before(key: Uint8Array): Uint8Array {
  const bytes = key.slice()
  for (let i = bytes.length - 1; i >= 0; i--) {
    const byte = bytes[i] ?? 0
    bytes[i] = byte === 0 ? 0xff : byte - 1
    if (byte !== 0) break
  }
  return bytes
}
