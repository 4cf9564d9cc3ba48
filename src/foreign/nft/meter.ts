/**
 * Expressions that count: limits, quotas, and sets that grow as packets come. Light traffic of one client is below
 * them all, so they hold or not whatever the packet is.
 *
 * Source: linux/netfilter/nf_tables.h (enum nft_limit_attributes and those of other expressions).
 */

import type { Expression } from '../../netfilter/expression-tables.ts'
import { eachAttribute } from '../../netlink/attributes.ts'
import type { Test } from '../rule.ts'

/** NFT_OBJECT_QUOTA, LIMIT and CONNLIMIT. */
const LIMITING: readonly number[] = [2, 4, 5]

/** A named object, where it may be a limit. */
export const objectTests = (type = 0): Test[] =>
  LIMITING.includes(type) ? [{ kind: 'open', text: 'limit name' }] : []

/** What few packets are below. */
export const unlessOver = (name: string, flags: number): Test => ({
  kind: 'given',
  holds: (flags & 1) === 0,
  text: (flags & 1) === 0 ? name : `${name} over`,
})

/** A set that grows as packets come may count or limit each of its elements. */
export const meterTests = ({ expression, expressions }: NonNullable<Expression['dynset']> = {}): Test[] => [
  ...(expression === undefined ? [] : limitIn(expression)),
  ...(expressions === undefined
    ? []
    : [...eachAttribute(expressions)].flatMap(each => limitIn(each.payload))),
]

const FLAGS_AT: Record<string, number> = { limit: 5, connlimit: 2, quota: 2 }

function limitIn(expression: Uint8Array): Test[] {
  const [name, data] = [...eachAttribute(expression)]
  const text = name === undefined ? '' : Buffer.from(name.payload).toString().replace(/\0.*/, '')
  const at = FLAGS_AT[text]
  return at === undefined ? [] : [unlessOver(text, numbersOf(data?.payload)[at] ?? 0)]
}

/** Attributes that are numbers of 32 bits, each at its type. */
export function numbersOf(bytes: Uint8Array | undefined): number[] {
  const numbers: number[] = []
  for (const { type, payload } of bytes === undefined ? [] : eachAttribute(bytes)) {
    if (payload.length === 4) {
      numbers[type] = new DataView(payload.buffer, payload.byteOffset).getUint32(0)
    }
  }
  return numbers
}
