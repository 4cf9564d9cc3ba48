/**
 * What nft says is there: its JSON, read as far as we need it.
 *
 * Source: libnftables-json(5). Whatever does not look as expected is skipped: other versions print more.
 */

import type { NftResult } from '../ffi/libnftables.ts'
import type { Element } from './nft-document.ts'
import { commentOf } from './rules.ts'

export interface ListedRule {
  family: string
  table: string
  chain: string
  handle: number
  comment?: string
  /** Names of its expressions, such as `match`, `counter`, `jump`. */
  expressions: string[]
  /** Where it jumps to. */
  target?: string
  /** Its expressions as JSON. */
  words: string
}

export interface ListedChain {
  family: string
  table: string
  name: string
  hook?: string
}

type Json = Record<string, unknown>

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** The objects of one kind in a listing. */
function objects(result: NftResult, ...kinds: string[]): Json[] {
  const listing: unknown = JSON.parse(result.output || '{}')
  if (!isObject(listing) || !Array.isArray(listing.nftables)) return []
  return listing.nftables.flatMap(item => {
    const value = isObject(item) ? kinds.map(kind => item[kind]).find(isObject) : undefined
    return value === undefined ? [] : [value]
  })
}

export const listedChains = (result: NftResult): ListedChain[] =>
  objects(result, 'chain').map(chain => ({
    family: text(chain.family),
    table: text(chain.table),
    name: text(chain.name),
    ...(typeof chain.hook === 'string' && { hook: chain.hook }),
  }))

/** The tables in a listing. */
export const listedTables = (result: NftResult): { family: string; name: string }[] =>
  objects(result, 'table').map(table => ({ family: text(table.family), name: text(table.name) }))

export function listedRules(result: NftResult): ListedRule[] {
  return objects(result, 'rule').map(rule => {
    const expressions = (Array.isArray(rule.expr) ? rule.expr : []).filter(isObject)
    const jump = expressions.map(expression => expression.jump).find(isObject)
    return {
      family: text(rule.family),
      table: text(rule.table),
      chain: text(rule.chain),
      handle: Number(rule.handle),
      ...(typeof rule.comment === 'string' && { comment: rule.comment }),
      expressions: expressions.flatMap(Object.keys),
      ...(jump !== undefined && { target: text(jump.target) }),
      words: JSON.stringify(expressions),
    }
  })
}

/** One entry of a set or a map. */
interface ListedElement {
  set: string
  key: string
  comment: string
}

/** Every entry whose key looks like one of ours. */
function elements(result: NftResult): ListedElement[] {
  return objects(result, 'set', 'map').flatMap(set => {
    const types = [set.type].flat().map(text)
    return (Array.isArray(set.elem) ? set.elem : []).flatMap(entry => {
      // An entry of a map is a pair of key and value; one with a comment is wrapped.
      const bare: unknown = Array.isArray(entry) ? entry[0] : entry
      const wrapped = isObject(bare) && isObject(bare.elem) ? bare.elem : { val: bare }
      const key = keyText(wrapped.val, types)
      return key === undefined ? [] : [{ set: text(set.name), key, comment: text(wrapped.comment) }]
    })
  })
}

/** A key as nft reads it; undefined for one that we would not have made. */
function keyText(value: unknown, types: string[]): string | undefined {
  const parts: unknown[] = isObject(value) && Array.isArray(value.concat) ? value.concat : [value]
  const words = parts.map((part, i) => {
    if (typeof part === 'number') return String(part)
    if (typeof part !== 'string' || !/^[0-9A-Za-z_.:-]+$/.test(part)) return undefined
    return types[i] === 'ifname' ? `"${part}"` : part
  })
  return words.includes(undefined) ? undefined : words.join(' . ')
}

/** The elements that carry an owner's comment, as they have to be named to delete them. */
export const elementsOfOwner = (result: NftResult, owner: string): Element[] =>
  elements(result)
    .filter(({ comment }) => comment === commentOf(owner))
    .map(({ set, key }) => ({ set, key }))

/** The owner tags in comments of elements. */
export const listedOwners = (result: NftResult): string[] => [
  ...new Set(elements(result).flatMap(({ comment }) => /^tsnet:([0-9a-f]{16})$/.exec(comment)?.[1] ?? [])),
]

export const listedKeys = (result: NftResult): string[] => elements(result).map(({ key }) => key)
