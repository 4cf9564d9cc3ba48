/**
 * What the expressions `meta`, `ct` and `fib` load into a register, by names that foreign/packet.ts knows.
 *
 * Source: linux/netfilter/nf_tables.h (enum nft_meta_keys, nft_ct_keys, nft_fib_flags).
 */

import type { Family } from '../../model/address/address.ts'
import type { Part } from '../rule.ts'

/** Lengths of what `meta` and `ct` load, where it is not four bytes. */
const LENGTHS: Record<string, number> = {
  'meta protocol': 2,
  'meta iifname': 16,
  'meta oifname': 16,
  'meta iiftype': 2,
  'meta oiftype': 2,
  'meta nfproto': 1,
  'meta l4proto': 1,
  'meta pkttype': 1,
  'meta ibrname': 16,
  'meta obrname': 16,
  'meta secpath': 1,
  'meta iifkind': 16,
  'meta oifkind': 16,
  'ct direction': 1,
  'ct l3proto': 1,
  'ct protocol': 1,
  'ct helper': 16,
  'ct labels': 16,
}

/** Names of numbers that are not in the table of expressions. */
const META_NAMES: Record<string, string> = { '#25': 'secpath', '#26': 'iifkind', '#27': 'oifkind' }

/** @param key as netfilter/expression-tables.ts names it */
export const metaName = (key: string): string => `meta ${META_NAMES[key] ?? key}`

export const known = (of: string): Part => ({ source: { of, offset: 0, length: LENGTHS[of] ?? 4 } })

const CT_ADDRESSES: Record<string, string> = {
  source: 'saddr',
  '#19': 'saddr',
  '#21': 'saddr',
  destination: 'daddr',
  '#20': 'daddr',
  '#22': 'daddr',
}
const CT_PORTS: Record<string, string> = { sourcePort: 'proto-src', destinationPort: 'proto-dst' }

export function connectionPart(key: string, direction: number | undefined, family: Family): Part {
  const way = direction === 1 ? 'reply' : 'original'
  const address = CT_ADDRESSES[key]
  if (address !== undefined) {
    return { source: { of: `ct ${way} ${address}`, offset: 0, length: family === 4 ? 4 : 16 } }
  }
  const port = CT_PORTS[key]
  return port === undefined
    ? known(`ct ${key}`)
    : { source: { of: `ct ${way} ${port}`, offset: 0, length: 2 } }
}

const FIB_SOURCE = 1
const FIB_PRESENT = 32

export function fibPart(result: string, flags: number): Part {
  const side = flags & FIB_SOURCE ? 'saddr' : 'daddr'
  if (flags & FIB_PRESENT) return { source: { of: `fib ${side} present`, offset: 0, length: 1 } }
  return { source: { of: `fib ${side} ${result}`, offset: 0, length: result === 'oifname' ? 16 : 4 } }
}
