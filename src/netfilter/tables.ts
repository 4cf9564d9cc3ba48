/**
 * The messages of nf_tables: what tables, chains, rules, sets and their elements consist of.
 *
 * Source: linux/netfilter/nf_tables.h.
 */

import { attributes, nested, payload, repeated } from '../netlink/attributes.ts'
import { be32, be64, bes32, binary, zstr } from '../netlink/codecs.ts'
import { counterData, expression, expressionList } from './expression-tables.ts'
import { data, nfgenmsg, type TableFamily, verdictCode } from './values.ts'

/** The first message of a batch. */
export const batchMessage = payload(nfgenmsg, attributes({ generation: [1, be32] }))

/** NFT_MSG_NEWGEN. */
export const generationMessage = payload(nfgenmsg, attributes({ id: [1, be32] }))

/** enum nft_table_attributes. */
export const tableMessage = payload(
  nfgenmsg,
  attributes({ name: [1, zstr], flags: [2, be32], handle: [4, be64], userdata: [6, binary] }),
)

/** enum nft_chain_attributes. */
export const chainMessage = payload(
  nfgenmsg,
  attributes({
    table: [1, zstr],
    handle: [2, be64],
    name: [3, zstr],
    hook: [
      4,
      nested(
        attributes({
          number: [1, be32],
          priority: [2, bes32],
          device: [3, zstr],
          devices: [4, nested(attributes({ names: [1, repeated(zstr)] }))],
        }),
      ),
    ],
    policy: [5, verdictCode],
    /** How many rules it has, and how many lead to it, together. */
    uses: [6, be32],
    type: [7, zstr],
    userdata: [12, binary],
  }),
)

/** enum nft_rule_attributes. */
export const ruleMessage = payload(
  nfgenmsg,
  attributes({
    table: [1, zstr],
    chain: [2, zstr],
    handle: [3, be64],
    expressions: [4, nested(expressionList)],
    /** What xtables wants to know of a rule of iptables. */
    compat: [5, nested(attributes({ protocol: [1, be32], flags: [2, be32] }))],
    position: [6, be64],
    userdata: [7, binary],
  }),
)

/** enum nft_set_attributes. */
export const setMessage = payload(
  nfgenmsg,
  attributes({
    table: [1, zstr],
    name: [2, zstr],
    flags: [3, be32],
    keyType: [4, be32],
    keyLength: [5, be32],
    dataType: [6, be32],
    dataLength: [7, be32],
    description: [
      9,
      nested(
        attributes({
          size: [1, be32],
          fields: [2, nested(attributes({ all: [1, repeated(nested(attributes({ length: [1, be32] })))] }))],
        }),
      ),
    ],
    id: [10, be32],
    userdata: [13, binary],
    objectType: [15, be32],
    /** What each element gets of its own. */
    expression: [17, nested(expression)],
  }),
)

/** enum nft_set_elem_attributes. */
export const element = attributes({
  key: [1, data],
  data: [2, data],
  flags: [3, be32],
  /** In milliseconds. */
  timeout: [4, be64],
  /** In milliseconds, until it goes. */
  expiration: [5, be64],
  userdata: [6, binary],
  expression: [7, nested(expression)],
  /** In maps of objects, the object's name. */
  object: [9, zstr],
  keyEnd: [10, data],
})

/** enum nft_set_elem_list_attributes. */
export const elementsMessage = payload(
  nfgenmsg,
  attributes({
    table: [1, zstr],
    set: [2, zstr],
    elements: [3, nested(attributes({ all: [1, repeated(nested(element))] }))],
    setId: [4, be32],
  }),
)

/** enum nft_object_attributes, of counters. */
export const counterMessage = payload(
  nfgenmsg,
  attributes({ table: [1, zstr], name: [2, zstr], type: [3, be32], data: [4, nested(counterData)] }),
)

const NLA_F_NESTED = 0x8000

/** As ruleMessage and elementsMessage, of what is bytes already. */
const rawRuleMessage = payload(
  nfgenmsg,
  attributes({
    table: [1, zstr],
    chain: [2, zstr],
    expressions: [NLA_F_NESTED | 4, binary],
    userdata: [7, binary],
  }),
)
const rawElementsMessage = payload(
  nfgenmsg,
  attributes({ table: [1, zstr], set: [2, zstr], elements: [NLA_F_NESTED | 3, binary], setId: [4, be32] }),
)

const MESSAGE_HEADER = 16
const ATTRIBUTE_HEADER = 4

/** A payload, and where in its message the list that it carries begins. */
interface Carrier {
  bytes: Uint8Array
  start: number
}

interface Table {
  family: TableFamily
  name: string
}

const carrier = (before: Uint8Array, bytes: Uint8Array): Carrier => ({
  bytes,
  start: MESSAGE_HEADER + before.length + ATTRIBUTE_HEADER,
})

export function ruleOfExpressions(
  { family, name: table }: Table,
  chain: string,
  expressions: Uint8Array,
  userdata: Uint8Array | undefined,
): Carrier {
  const header = { family }
  return carrier(
    rawRuleMessage.encode({ header, attributes: { table, chain } }),
    rawRuleMessage.encode({ header, attributes: { table, chain, expressions, userdata } }),
  )
}

export function elementsOfSet(
  { family, name: table }: Table,
  set: string,
  elements: Uint8Array,
  setId: number | undefined,
): Carrier {
  const header = { family }
  return carrier(
    rawElementsMessage.encode({ header, attributes: { table, set } }),
    rawElementsMessage.encode({ header, attributes: { table, set, elements, setId } }),
  )
}
