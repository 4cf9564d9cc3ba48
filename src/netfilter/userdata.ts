/**
 * What nft keeps beside objects for listing them. The kernel gives it back as it got it.
 *
 * A list of type, length and value, a byte each for the first two. Of sets nft wants the byte order of keys
 * and data where they stand alone: without it 5 is shown as 0x05000000.
 *
 * Source: libnftnl/udata.h.
 */

import { concatenate, u32, zstr } from '../netlink/codecs.ts'

const COMMENT = 0 // of tables, chains, rules and elements: NFTNL_UDATA_*_COMMENT
const KEY_ORDER = 0 // NFTNL_UDATA_SET_KEYBYTEORDER
const DATA_ORDER = 1 // NFTNL_UDATA_SET_DATABYTEORDER

/** Of bytes in a register: the machine's, the network's, or none, as of several values one after the other. */
export type ByteOrder = 'none' | 'host' | 'network'

/** enum byteorder of nft. */
const ORDERS: Record<ByteOrder, number> = { none: 0, host: 1, network: 2 }

/** What nft refuses to print more of, NFTNL_UDATA_COMMENT_MAXLEN; with its NUL it fits. */
export const COMMENT_MAX = 128

const entry = (type: number, value: Uint8Array): Uint8Array =>
  concatenate([Uint8Array.of(type, value.length), value])

/** A comment, for tables, chains, rules and elements. */
export const commentData = (text: string): Uint8Array => entry(COMMENT, zstr.encode(text))

/** The comment of a table, chain, rule or element; undefined where there is none that can be read. */
export function commentIn(userdata: Uint8Array | undefined): string | undefined {
  if (userdata === undefined) return undefined
  for (let at = 0; at + 2 <= userdata.length; ) {
    const [type, length = 0] = userdata.subarray(at)
    const value = userdata.subarray(at + 2, at + 2 + length)
    if (value.length < length) return undefined
    if (type === COMMENT) return zstr.decode(value)
    at += 2 + length
  }
  return undefined
}

export const ordersData = (key: ByteOrder, data?: ByteOrder): Uint8Array =>
  concatenate([
    entry(KEY_ORDER, u32.encode(ORDERS[key])),
    ...(data === undefined ? [] : [entry(DATA_ORDER, u32.encode(ORDERS[data]))]),
  ])
