/**
 * Expressions, of which rules consist: each has a name, and attributes that hang on it.
 *
 * A register holds what one expression hands to the next. What no row knows reads as its name and its bytes;
 * so does what iptables brings along (`match`, `target`), whose bytes are a struct of xtables.
 *
 * Source: linux/netfilter/nf_tables.h, nf_tables_compat.h.
 */

import { attributes, nested, only, repeated } from '../netlink/attributes.ts'
import { be32, be64, binary, type InputOf, type ValueOf, zstr } from '../netlink/codecs.ts'
import { data, named } from './values.ts'

const metaKey = named(be32, {
  len: 0,
  protocol: 1,
  priority: 2,
  mark: 3,
  iif: 4,
  oif: 5,
  iifname: 6,
  oifname: 7,
  iiftype: 8,
  oiftype: 9,
  skuid: 10,
  skgid: 11,
  nftrace: 12,
  rtclassid: 13,
  secmark: 14,
  nfproto: 15,
  l4proto: 16,
  ibrname: 17,
  obrname: 18,
  pkttype: 19,
  cpu: 20,
  iifgroup: 21,
  oifgroup: 22,
  cgroup: 23,
})

const ctKey = named(be32, {
  state: 0,
  direction: 1,
  status: 2,
  mark: 3,
  secmark: 4,
  expiration: 5,
  helper: 6,
  l3proto: 7,
  source: 8,
  destination: 9,
  protocol: 10,
  sourcePort: 11,
  destinationPort: 12,
  labels: 13,
})

const comparison = named(be32, { eq: 0, neq: 1, lt: 2, lte: 3, gt: 4, gte: 5 })

/** enum nft_counter_attributes. */
export const counterData = attributes({ bytes: [1, be64], packets: [2, be64] })

/** An extension of xtables with the struct that it has there. */
const extension = attributes({ name: [1, zstr], revision: [2, be32], info: [3, binary] })

/** enum nft_expr_attributes with nft_*_attributes of each expression. */
export const expression = attributes({
  name: [1, zstr],
  immediate: [2, only('name', 'immediate', nested(attributes({ dreg: [1, be32], data: [2, data] })))],
  meta: [
    2,
    only('name', 'meta', nested(attributes({ dreg: [1, be32], key: [2, metaKey], sreg: [3, be32] }))),
  ],
  payload: [
    2,
    only(
      'name',
      'payload',
      nested(
        attributes({
          dreg: [1, be32],
          base: [2, named(be32, { link: 0, network: 1, transport: 2, inner: 3 })],
          offset: [3, be32],
          length: [4, be32],
          sreg: [5, be32],
        }),
      ),
    ),
  ],
  cmp: [
    2,
    only('name', 'cmp', nested(attributes({ sreg: [1, be32], op: [2, comparison], data: [3, data] }))),
  ],
  range: [
    2,
    only(
      'name',
      'range',
      nested(attributes({ sreg: [1, be32], op: [2, comparison], from: [3, data], to: [4, data] })),
    ),
  ],
  bitwise: [
    2,
    only(
      'name',
      'bitwise',
      nested(
        attributes({
          sreg: [1, be32],
          dreg: [2, be32],
          length: [3, be32],
          mask: [4, data],
          xor: [5, data],
          op: [6, named(be32, { mask: 0, lshift: 1, rshift: 2, and: 3, or: 4, xor: 5 })],
        }),
      ),
    ),
  ],
  lookup: [
    2,
    only(
      'name',
      'lookup',
      nested(
        attributes({
          set: [1, zstr],
          sreg: [2, be32],
          dreg: [3, be32],
          setId: [4, be32],
          flags: [5, be32],
        }),
      ),
    ),
  ],
  ct: [
    2,
    only(
      'name',
      'ct',
      nested(attributes({ dreg: [1, be32], key: [2, ctKey], direction: [3, binary], sreg: [4, be32] })),
    ),
  ],
  fib: [
    2,
    only(
      'name',
      'fib',
      nested(
        attributes({
          dreg: [1, be32],
          result: [2, named(be32, { none: 0, oif: 1, oifname: 2, type: 3 })],
          flags: [3, be32],
        }),
      ),
    ),
  ],
  rt: [
    2,
    only(
      'name',
      'rt',
      nested(
        attributes({
          dreg: [1, be32],
          key: [2, named(be32, { classid: 0, nexthop4: 1, nexthop6: 2, tcpmss: 3, xfrm: 4 })],
        }),
      ),
    ),
  ],
  nat: [
    2,
    only(
      'name',
      'nat',
      nested(
        attributes({
          type: [1, be32],
          family: [2, be32],
          addressMin: [3, be32],
          addressMax: [4, be32],
          portMin: [5, be32],
          portMax: [6, be32],
          flags: [7, be32],
        }),
      ),
    ),
  ],
  masq: [
    2,
    only('name', 'masq', nested(attributes({ flags: [1, be32], portMin: [2, be32], portMax: [3, be32] }))),
  ],
  counter: [2, only('name', 'counter', nested(counterData))],
  /** By its name and type (NFT_OBJECT_*), or by a map. */
  objref: [
    2,
    only(
      'name',
      'objref',
      nested(attributes({ type: [1, be32], object: [2, zstr], sreg: [3, be32], set: [4, zstr] })),
    ),
  ],
  reject: [2, only('name', 'reject', nested(attributes({ type: [1, be32], code: [2, binary] })))],
  limit: [
    2,
    only(
      'name',
      'limit',
      nested(
        attributes({ rate: [1, be64], unit: [2, be64], burst: [3, be32], type: [4, be32], flags: [5, be32] }),
      ),
    ),
  ],
  dynset: [
    2,
    only(
      'name',
      'dynset',
      nested(
        attributes({
          set: [1, zstr],
          setId: [2, be32],
          operation: [3, named(be32, { add: 0, update: 1, delete: 2 })],
          keyRegister: [4, be32],
          dataRegister: [5, be32],
          /** In milliseconds. */
          timeout: [6, be64],
          /** Limits and counters of each element: one, or several. */
          expression: [7, binary],
          expressions: [10, binary],
        }),
      ),
    ),
  ],
  match: [2, only('name', 'match', nested(extension))],
  target: [2, only('name', 'target', nested(extension))],
  // Of every other name.
  other: [2, binary],
})

export const expressionList = attributes({ all: [1, repeated(nested(expression))] })

/** As it is read. */
export type Expression = ValueOf<typeof expression>

/** As it is written. */
export type ExpressionInput = InputOf<typeof expression>
