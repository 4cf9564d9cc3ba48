/**
 * What is there: tables, chains, rules, sets and elements, ours and others'.
 *
 * Each list is one picture, read again where the rule set changed meanwhile; `consistently` makes one of
 * several (generations.ts). What is asked for and not there is an empty list.
 */

import { hasCode } from '../model/errors.ts'
import { present } from '../model/present.ts'
import type { Netlink } from '../netlink/netlink.ts'
import * as k from './constants.ts'
import { readElement, type SetElement } from './elements.ts'
import type { Expression } from './expression-tables.ts'
import { type HookName, hookName } from './hooks.ts'
import {
  chainMessage,
  counterMessage,
  elementsMessage,
  ruleMessage,
  setMessage,
  tableMessage,
} from './tables.ts'
import { type TableRef, tableText } from './transaction.ts'
import { commentIn } from './userdata.ts'
import type { TableFamily } from './values.ts'

/** Names are anybody's; a family that has no name here is left out. */
export interface ListedTable extends TableRef {
  comment?: string
  /** Its chains are not gone through. */
  isDormant?: true
}

export interface ListedChain {
  table: TableRef
  name: string
  /** Of base chains. */
  hook?: { type: string; at?: HookName; number: number; priority: number; devices: string[] }
  /** Of base chains. */
  policy?: 'accept' | 'drop'
  comment?: string
}

export interface ListedRule {
  table: TableRef
  chain: string
  handle: bigint
  expressions: Expression[]
  /** Of a rule that iptables made: the protocol that it names. */
  compat?: { protocol?: number | undefined; flags?: number | undefined }
  comment?: string
}

export interface ListedSet {
  table: TableRef
  name: string
  /** NFT_SET_*. */
  flags: number
  /** As set-types.ts numbers them. */
  keyType: number
  keyLength: number
}

const FAMILIES: readonly string[] = ['inet', 'ip', 'arp', 'netdev', 'bridge', 'ip6'] satisfies TableFamily[]

const refOf = (family: string, name: string | undefined): TableRef | undefined =>
  FAMILIES.includes(family) ? { family: family as TableFamily, name: name ?? '' } : undefined

/** Which objects to list; absent: all. */
export interface Filter {
  family?: TableFamily
  table?: TableRef
}

const familyOf = ({ family, table }: Filter) => ({ family: table?.family ?? family ?? 'any' }) as const

const words = ({ family, table }: Filter): string => (table === undefined ? (family ?? '') : tableText(table))

function dump(nl: Netlink, equivalent: string, type: number, payload: Uint8Array): Uint8Array[] {
  try {
    return nl
      .dump({ equivalent: `nft ${equivalent}`.trim(), type, payload: [payload] })
      .map(({ payload }) => payload)
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return []
    throw thrown
  }
}

/** Equivalent to: nft list tables */
export function listTables(nl: Netlink, filter: Pick<Filter, 'family'> = {}): ListedTable[] {
  const request = tableMessage.encode({ header: familyOf(filter), attributes: {} })
  return dump(nl, `list tables ${words(filter)}`, k.NFT_MSG_GETTABLE, request).flatMap(
    bytes => readTable(bytes) ?? [],
  )
}

function readTable(bytes: Uint8Array): ListedTable | undefined {
  const { header, attributes: a } = tableMessage.decode(bytes)
  const table = refOf(header.family, a.name)
  const isDormant = ((a.flags ?? 0) & k.NFT_TABLE_F_DORMANT) !== 0 || undefined
  return table && present({ ...table, comment: commentIn(a.userdata), isDormant })
}

/** One table; undefined where it is not there. */
export function findTable(nl: Netlink, table: TableRef): ListedTable | undefined {
  const found = tableAsBytes(nl, table)
  return found && readTable(found)
}

/** Asked before one is deleted: over a transaction that it refuses, the kernel waits for an RCU grace period. */
export const hasTable = (nl: Netlink, table: TableRef): boolean => tableAsBytes(nl, table) !== undefined

const tableAsBytes = (nl: Netlink, table: TableRef): Uint8Array | undefined =>
  nl.find(
    {
      equivalent: () => `nft list table ${tableText(table)}`,
      type: k.NFT_MSG_GETTABLE,
      payload: [tableMessage.encode({ header: { family: table.family }, attributes: { name: table.name } })],
    },
    'ENOENT',
  )?.payload

/** Equivalent to: nft list chains */
export function listChains(nl: Netlink, filter: Filter = {}): ListedChain[] {
  const request = chainMessage.encode({ header: familyOf(filter), attributes: {} })
  // The kernel lists those of every table, whatever it is asked for.
  return dump(nl, `list chains ${words(filter)}`, k.NFT_MSG_GETCHAIN, request).flatMap(bytes => {
    const chain = readChain(bytes)
    return chain === undefined || (filter.table?.name ?? chain.table.name) !== chain.table.name ? [] : [chain]
  })
}

/** enum nft_chain_attributes, NFTA_CHAIN_HOOK: base chains alone have it. */
const CHAIN_HOOK = 4

/**
 * Base chains alone, of tables that are not asleep. The kernel lists all chains of a family, of which a busy host has
 * thousands: the others are skipped unread.
 * @param families no others are listed: each container that is guarded has a table of family netdev
 * @param wanted of which tables
 * Equivalent to: nft list chains
 */
export function listBaseChains(
  nl: Netlink,
  families: readonly TableFamily[],
  wanted: (table: TableRef) => boolean,
): ListedChain[] {
  return families.flatMap(family => {
    const tables = listTables(nl, { family }).filter(table => !table.isDormant && wanted(table))
    if (tables.length === 0) return []
    const names = new Set(tables.map(tableText))
    const request = chainMessage.encode({ header: { family }, attributes: {} })
    return dump(nl, `list chains ${family}`, k.NFT_MSG_GETCHAIN, request).flatMap(bytes => {
      if (!hasAttribute(bytes, GENMSG, CHAIN_HOOK)) return []
      const chain = readChain(bytes)
      return chain !== undefined && names.has(tableText(chain.table)) ? [chain] : []
    })
  })
}

/** struct nfgenmsg, before the attributes. */
const GENMSG = 4

/** Without a value made of any: there are thousands to be skipped. */
function hasAttribute(bytes: Uint8Array, from: number, wanted: number): boolean {
  for (let at = from; at + 4 <= bytes.length; ) {
    const length = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
    if ((((bytes[at + 2] ?? 0) | ((bytes[at + 3] ?? 0) << 8)) & NLA_TYPE_MASK) === wanted) return true
    if (length < 4) return false
    at += (length + 3) & ~3
  }
  return false
}

const NLA_TYPE_MASK = 0x3fff

/** One chain; undefined where it is not there. Equivalent to: nft list chain inet TABLE NAME */
export function findChain(nl: Netlink, table: TableRef, name: string): ListedChain | undefined {
  const found = chainAsBytes(nl, table, name)
  return found && readChain(found)
}

/** How many rules a chain has, and how many rules and elements lead to it, together; 0 where it is not there. */
export function usesOfChain(nl: Netlink, table: TableRef, name: string): number {
  const found = chainAsBytes(nl, table, name)
  return (found && chainMessage.decode(found).attributes.uses) ?? 0
}

const chainAsBytes = (nl: Netlink, table: TableRef, name: string): Uint8Array | undefined =>
  nl.find(
    {
      equivalent: () => `nft list chain ${tableText(table)} ${name}`,
      type: k.NFT_MSG_GETCHAIN,
      payload: [
        chainMessage.encode({ header: { family: table.family }, attributes: { table: table.name, name } }),
      ],
    },
    'ENOENT',
  )?.payload

/** @throws MalformedError */
export function readChain(bytes: Uint8Array): ListedChain | undefined {
  const { header, attributes: a } = chainMessage.decode(bytes)
  const table = refOf(header.family, a.table)
  if (table === undefined) return undefined
  const { number = 0, priority = 0, device, devices } = a.hook ?? {}
  return present({
    table,
    name: a.name ?? '',
    hook:
      a.hook &&
      present({
        type: a.type ?? '',
        at: hookName(header.family, number),
        number,
        priority,
        devices: devices?.names ?? (device === undefined ? [] : [device]),
      }),
    policy: a.policy === 'drop' || a.policy === 'accept' ? a.policy : undefined,
    comment: commentIn(a.userdata),
  })
}

/** Equivalent to: nft list ruleset, nft list chain inet TABLE NAME */
export const listRules = (nl: Netlink, filter: RuleFilter = {}): ListedRule[] =>
  rulesAsBytes(nl, filter).flatMap(bytes => readRule(bytes) ?? [])

/** Which rules to list; absent: all. */
export type RuleFilter = Filter & { chain?: string }

/** As listRules, unread: for who looks for a few among many. */
export function rulesAsBytes(nl: Netlink, filter: RuleFilter): Uint8Array[] {
  const { table, chain } = filter
  const request = ruleMessage.encode({
    header: familyOf(filter),
    attributes: { table: table?.name, chain },
  })
  return dump(nl, `list rules ${words(filter)} ${chain ?? ''}`, k.NFT_MSG_GETRULE, request)
}

/** @throws MalformedError */
export function readRule(bytes: Uint8Array): ListedRule | undefined {
  const { header, attributes: a } = ruleMessage.decode(bytes)
  const table = refOf(header.family, a.table)
  if (table === undefined) return undefined
  return present({
    table,
    chain: a.chain ?? '',
    handle: a.handle ?? 0n,
    expressions: a.expressions?.all ?? [],
    compat: a.compat,
    comment: commentIn(a.userdata),
  })
}

/** The chain that a rule leads to. */
export const targetOf = ({ expressions }: Pick<ListedRule, 'expressions'>): string | undefined =>
  expressions.map(({ immediate }) => immediate?.data?.verdict?.chain).find(chain => chain !== undefined)

/** Equivalent to: nft list sets */
export function listSets(nl: Netlink, filter: Filter = {}): ListedSet[] {
  const { table } = filter
  const request = setMessage.encode({ header: familyOf(filter), attributes: { table: table?.name } })
  return dump(nl, `list sets ${words(filter)}`, k.NFT_MSG_GETSET, request).flatMap(bytes => {
    const set = readSet(bytes)
    return set === undefined ? [] : [set]
  })
}

/** @throws MalformedError */
export function readSet(bytes: Uint8Array): ListedSet | undefined {
  const { header, attributes: a } = setMessage.decode(bytes)
  const table = refOf(header.family, a.table)
  const { name = '', flags = 0, keyType = 0, keyLength = 0 } = a
  return table && { table, name, flags, keyType, keyLength }
}

/** One set without its elements; undefined where it is not there. */
export function findSet(nl: Netlink, table: TableRef, name: string): ListedSet | undefined {
  const found = nl.find(
    {
      equivalent: () => `nft list set ${tableText(table)} ${name}`,
      type: k.NFT_MSG_GETSET,
      payload: [
        setMessage.encode({ header: { family: table.family }, attributes: { table: table.name, name } }),
      ],
    },
    'ENOENT',
  )
  return found && readSet(found.payload)
}

/** Equivalent to: nft list set inet TABLE SET */
export function listElements(nl: Netlink, table: TableRef, set: string): SetElement[] {
  const request = elementsMessage.encode({
    header: { family: table.family },
    attributes: { table: table.name, set },
  })
  return dump(nl, `list set ${tableText(table)} ${set}`, k.NFT_MSG_GETSETELEM, request).flatMap(readElements)
}

/** @throws MalformedError */
export const readElements = (bytes: Uint8Array): SetElement[] =>
  (elementsMessage.decode(bytes).attributes.elements?.all ?? []).map(readElement)

/** One element; undefined where it is not there. Equivalent to: nft get element inet TABLE SET { KEY } */
export function findElement(
  nl: Netlink,
  table: TableRef,
  set: string,
  key: Uint8Array,
): SetElement | undefined {
  const found = nl.find(
    {
      equivalent: () => `nft get element ${tableText(table)} ${set}`,
      type: k.NFT_MSG_GETSETELEM,
      payload: [
        elementsMessage.encode({
          header: { family: table.family },
          attributes: { table: table.name, set, elements: { all: [{ key: { value: key } }] } },
        }),
      ],
    },
    'ENOENT',
  )
  return found && readElements(found.payload)[0]
}

/** Packets that a counter with a name counted; undefined where it is not there. Equivalent to: nft list counter inet TABLE NAME */
export function findCounter(nl: Netlink, table: TableRef, name: string): number | undefined {
  const found = nl.find(
    {
      equivalent: () => `nft list counter ${tableText(table)} ${name}`,
      type: k.NFT_MSG_GETOBJ,
      payload: [counterRequest(table, name)],
    },
    'ENOENT',
  )
  return found && readCounter(found.payload)[1]
}

/** Of all counters of a table, by name. Equivalent to: nft list counters table inet TABLE */
export const listCounters = (nl: Netlink, table: TableRef): Map<string, number> =>
  new Map(
    dump(nl, `list counters table ${tableText(table)}`, k.NFT_MSG_GETOBJ, counterRequest(table)).map(
      readCounter,
    ),
  )

const counterRequest = ({ family, name: table }: TableRef, name?: string): Uint8Array =>
  counterMessage.encode({ header: { family }, attributes: { table, name, type: k.NFT_OBJECT_COUNTER } })

function readCounter(payload: Uint8Array): [name: string, packets: number] {
  const { name = '', data } = counterMessage.decode(payload).attributes
  return [name, Number(data?.packets ?? 0n)]
}
