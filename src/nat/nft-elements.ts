/**
 * Looks single elements of sets and maps up in the kernel, over nfnetlink: nft 1.0 reads every element of
 * every set before it shows one.
 *
 * An element is compared as bytes with what the kernel would hold of it. A key, and a value that is no
 * verdict, is its parts one after the other, each padded to four bytes.
 *
 * Source: linux/netfilter/nf_tables.h (enum nft_set_elem_attributes and around it), libnftnl/udata.h.
 */

import { bytesOf, parseIp } from '../model/address.ts'
import { hasCode } from '../model/errors.ts'
import { attributes, nested, payload } from '../netlink/attributes.ts'
import { be16, be32, binary, concatenate, struct, u8, u32, zstr } from '../netlink/codecs.ts'
import { NFT_JUMP, NFT_MSG_GETSETELEM, NFTNL_UDATA_SET_ELEM_COMMENT } from '../netlink/constants.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { netfilterHere } from './here.ts'
import { TABLE } from './nft-base.ts'
import type { Element } from './nft-document.ts'
import { commentOf } from './rules.ts'

const NFPROTO_INET = 1
const IFNAMSIZ = 16
const [, TABLE_NAME = ''] = TABLE.split(' ')

const data = nested(
  attributes({
    value: [1, binary],
    verdict: [2, nested(attributes({ code: [1, be32], chain: [2, zstr] }))],
  }),
)

const message = payload(
  struct(4, { family: [0, u8] }), // struct nfgenmsg
  attributes({
    table: [1, zstr],
    set: [2, zstr],
    elements: [
      3,
      nested(
        attributes({
          one: [1, nested(attributes({ key: [1, data], data: [2, data], comment: [6, binary] }))],
        }),
      ),
    ],
  }),
)

/** Those of an owner's elements that are not in the kernel as they should be. */
export function absentElements(elements: readonly Element[], owner: string): Element[] {
  const nl = netfilterHere()
  return elements.filter(element => !isThere(nl, element, owner))
}

function isThere(nl: Netlink, { set, key, value }: Element, owner: string): boolean {
  const found = lookUp(nl, set, partsOf(key))
  if (found === undefined || !same(found.comment, commentBytes(owner))) return false
  if (value === undefined) return true
  const [, chain] = /^jump (.*)/.exec(value) ?? []
  if (chain === undefined) return same(found.data?.value, partsOf(value))
  return found.data?.verdict?.code === NFT_JUMP && found.data.verdict.chain === chain
}

/** Equivalent to: nft get element inet tsnet SET { KEY } */
function lookUp(nl: Netlink, set: string, value: Uint8Array) {
  try {
    const { payload } = nl.get({
      equivalent: `nft get element ${TABLE} ${set}`,
      type: NFT_MSG_GETSETELEM,
      payload: [
        message.encode({
          header: { family: NFPROTO_INET },
          attributes: { table: TABLE_NAME, set, elements: { one: { key: { value } } } },
        }),
      ],
    })
    return message.decode(payload).attributes.elements?.one
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return undefined
    throw thrown
  }
}

/** `10.1.0.2 . "br0"` as the kernel holds it. */
const partsOf = (text: string): Uint8Array =>
  concatenate(text.split(' . ').map(part => padded(partOf(part), 4)))

function partOf(part: string): Uint8Array {
  const protocol = PROTOCOLS[part]
  if (protocol !== undefined) return u8.encode(protocol)
  if (part.startsWith('"')) return padded(Buffer.from(part.slice(1, -1)), IFNAMSIZ)
  if (part.startsWith('0x')) return u32.encode(Number(part))
  if (/^\d+$/.test(part)) return be16.encode(Number(part))
  return bytesOf(parseIp(part))
}

/** Source: linux/in.h. */
const PROTOCOLS: Record<string, number> = { tcp: 6, udp: 17, sctp: 132 }

function padded(bytes: Uint8Array, unit: number): Uint8Array {
  const whole = new Uint8Array(Math.ceil(bytes.length / unit) * unit)
  whole.set(bytes)
  return whole
}

/** How nft keeps a comment: type, length, and text that ends in NUL. */
function commentBytes(owner: string): Uint8Array {
  const text = zstr.encode(commentOf(owner))
  return concatenate([Uint8Array.of(NFTNL_UDATA_SET_ELEM_COMMENT, text.length), text])
}

const same = (found: Uint8Array | undefined, expected: Uint8Array): boolean =>
  found !== undefined && Buffer.compare(found, expected) === 0
