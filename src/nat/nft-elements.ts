/**
 * Looks single elements of sets and maps up in the kernel: nft 1.0 reads every element of every set before it
 * shows one.
 *
 * An element is compared as bytes with what the kernel would hold of it. A key, and a value that is no
 * verdict, is its parts one after the other, each padded to four bytes.
 */

import { bytesOf, parseIp } from '../model/address.ts'
import { protocolNumbers } from '../model/port-mapping.ts'
import { findElement } from '../netfilter/list.ts'
import { netfilterHere } from '../netfilter/netfilter.ts'
import { interfaceBytes, joined } from '../netfilter/set-types.ts'
import { be16, u8, u32 } from '../netlink/codecs.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { TABLE } from './nft-base.ts'
import type { Element } from './nft-document.ts'
import { commentOf } from './rules.ts'

const [, TABLE_NAME = ''] = TABLE.split(' ')

/** Those of an owner's elements that are not in the kernel as they should be. */
export function absentElements(elements: readonly Element[], owner: string): Element[] {
  const nl = netfilterHere()
  return elements.filter(element => !isThere(nl, element, owner))
}

function isThere(nl: Netlink, { set, key, value }: Element, owner: string): boolean {
  const found = findElement(nl, { family: 'inet', name: TABLE_NAME }, set, partsOf(key))
  if (found?.comment !== commentOf(owner)) return false
  if (value === undefined) return true
  const [, chain] = /^jump (.*)/.exec(value) ?? []
  if (chain === undefined) return same(found.data, partsOf(value))
  return found.verdict?.code === 'jump' && found.verdict.chain === chain
}

/** `10.1.0.2 . "br0"` as the kernel holds it. */
const partsOf = (text: string): Uint8Array => joined(text.split(' . ').map(partOf))

function partOf(part: string): Uint8Array {
  const protocol = (protocolNumbers as Record<string, number>)[part]
  if (protocol !== undefined) return u8.encode(protocol)
  if (part.startsWith('"')) return interfaceBytes(part.slice(1, -1))
  if (part.startsWith('0x')) return u32.encode(Number(part))
  if (/^\d+$/.test(part)) return be16.encode(Number(part))
  return bytesOf(parseIp(part))
}

const same = (found: Uint8Array | undefined, expected: Uint8Array): boolean =>
  found !== undefined && Buffer.compare(found, expected) === 0
