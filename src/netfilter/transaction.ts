/**
 * A transaction of nf_tables: messages of which the kernel does all or none.
 *
 *     BATCH_BEGIN, messages, BATCH_END      one datagram; the kernel is done with it when send(2) returns
 *
 * An attribute holds 64 KiB, so many elements are several messages. What the kernel refuses it names by the
 * message and the place in it, from which we know the element or the expression that it means (refusal.ts).
 */

import { tellChange } from '../model/surroundings.ts'
import { concatenate } from '../netlink/codecs.ts'
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL, NLM_F_REQUEST } from '../netlink/constants.ts'
import { addFlags, encodeMessage, lengthAt } from '../netlink/message.ts'
import type { Netlink } from '../netlink/netlink.ts'
import * as k from './constants.ts'
import { type ElementRun, groupElements } from './elements.ts'
import { counter } from './expressions.ts'
import { noteOwnGeneration, readGeneration } from './generations.ts'
import { type HookName, hookNumber } from './hooks.ts'
import { type Denial, denialOf, type Part } from './refusal.ts'
import { encodeRule, type RulePlan } from './rule.ts'
import { keyType, VERDICT_TYPE } from './set-types.ts'
import {
  batchMessage,
  chainMessage,
  counterMessage,
  elementsMessage,
  elementsOfSet,
  ruleMessage,
  setMessage,
  tableMessage,
} from './tables.ts'
import { commentData, ordersData } from './userdata.ts'
import type { TableFamily } from './values.ts'

/** Which table. */
export interface TableRef {
  family: TableFamily
  name: string
}

/** `inet tsnet`. */
export const tableText = ({ family, name }: TableRef): string => `${family} ${name}`

export interface ChainPlan {
  name: string
  /** Of base chains. A priority of -300 comes before one of 0. */
  hook?: { type: 'filter' | 'nat'; at: HookName; priority: number; device?: string }
  policy?: 'accept' | 'drop'
  comment?: string
}

export interface SetPlan {
  name: string
  /** As nft names types: `ipv4_addr . ifname`. */
  type: string
  /** Of maps: `verdict`, `counter` for names of counters, or as `type`. */
  data?: string
  /** Keys are ranges. */
  isInterval?: boolean
  /** Its elements may time out. */
  hasTimeouts?: boolean
  /** Each of its elements counts the packets that find it; Linux 5.11. */
  isCounted?: boolean
  /** Rules add to it as packets come; it needs a size. */
  isDynamic?: boolean
  /** How many elements it takes; absent: as many as come. */
  size?: number
}

/** The ids by which messages of a transaction name its new sets begin here, unless it says otherwise. */
const FIRST_SET_ID = 1
const ANONYMOUS_NAME = '__set%d'
/** Bytes of a message that the kernel is asked to repeat; the elements of a long list are not. */
const ECHOED_AT_MOST = 4096

export class Transaction {
  readonly #messages: Uint8Array[] = []
  readonly #parts: Part[] = []
  #setId: number
  /** It changes what becomes of packets of others. */
  #isOfOthers = false

  /** @param setId the first id for new sets, where messages made elsewhere are included */
  constructor(setId = FIRST_SET_ID) {
    this.#setId = setId
  }

  /** All but those that open and close a batch; the numbers in them are not set. */
  get messages(): { bytes: Uint8Array; count: number } {
    return { bytes: concatenate(this.#messages), count: this.#parts.length }
  }

  /** Messages that were made before. @param what they do, for errors */
  include(what: string, messages: Uint8Array, count: number): this {
    this.#messages.push(messages)
    for (let i = 0; i < count; i++) this.#parts.push({ what })
    return this
  }

  /**
   * Equivalent to: nft add table inet NAME
   * @param flags NFT_TABLE_F_*
   */
  addTable(table: TableRef, comment?: string, flags = 0): this {
    return this.#add(table, 'add table', k.NFT_MSG_NEWTABLE, NLM_F_CREATE, header =>
      tableMessage.encode({
        header,
        attributes: { name: table.name, flags, userdata: userdata(comment) },
      }),
    )
  }

  /** Equivalent to: nft delete table inet NAME */
  deleteTable(table: TableRef): this {
    return this.#add(table, 'delete table', k.NFT_MSG_DELTABLE, 0, header =>
      tableMessage.encode({ header, attributes: { name: table.name } }),
    )
  }

  /**
   * Adds a chain; one that is there stays as it is.
   * Equivalent to: nft add chain inet TABLE NAME
   * @param options `isNew`: refused where there is one
   */
  addChain(table: TableRef, chain: ChainPlan, { isNew = false } = {}): this {
    const { name, hook, policy, comment } = chain
    const flags = NLM_F_CREATE | (isNew ? NLM_F_EXCL : 0)
    return this.#add(
      table,
      'add chain',
      k.NFT_MSG_NEWCHAIN,
      flags,
      header =>
        chainMessage.encode({
          header,
          attributes: {
            table: table.name,
            name,
            hook: hook && {
              number: hookNumber(table.family, hook.at),
              priority: hook.priority,
              device: hook.device,
            },
            policy,
            type: hook?.type,
            userdata: userdata(comment),
          },
        }),
      { subject: name, ...(hook !== undefined && { hook }) },
    )
  }

  /** Equivalent to: nft chain inet TABLE NAME { policy … ; } */
  setPolicy(table: TableRef, name: string, policy: 'accept' | 'drop'): this {
    this.#isOfOthers = true
    return this.#add(
      table,
      'chain',
      k.NFT_MSG_NEWCHAIN,
      0,
      header => chainMessage.encode({ header, attributes: { table: table.name, name, policy } }),
      { subject: name },
    )
  }

  /**
   * Deletes a chain with its rules; refused (`EBUSY`) where something leads to it.
   * Equivalent to: nft delete chain inet TABLE NAME
   * @param options `ifEmpty`: refused where it has rules, as by iptables -X
   */
  deleteChain(table: TableRef, name: string, { ifEmpty = false } = {}): this {
    return this.#add(
      table,
      'delete chain',
      k.NFT_MSG_DELCHAIN,
      ifEmpty ? k.NLM_F_NONREC : 0,
      header => chainMessage.encode({ header, attributes: { table: table.name, name } }),
      { subject: name },
    )
  }

  /** Equivalent to: nft flush chain inet TABLE NAME */
  flushChain(table: TableRef, name: string): this {
    return this.#add(
      table,
      'flush chain',
      k.NFT_MSG_DELRULE,
      0,
      header => ruleMessage.encode({ header, attributes: { table: table.name, chain: name } }),
      { subject: name },
    )
  }

  /** Equivalent to: nft add rule inet TABLE CHAIN …; or, at its beginning: nft insert rule inet TABLE CHAIN … */
  addRule(table: TableRef, chain: string, rule: RulePlan, isFirst = false): this {
    const { bytes, find } = encodeRule(table, chain, rule, literal => {
      const id = this.#addSet(
        table,
        { name: ANONYMOUS_NAME, ...literal },
        k.NFT_SET_ANONYMOUS | k.NFT_SET_CONSTANT,
      )
      this.#addElements(table, ANONYMOUS_NAME, literal.elements, 'add element', NLM_F_CREATE, id)
      return { id, name: ANONYMOUS_NAME }
    })
    const flags = isFirst ? NLM_F_CREATE : NLM_F_CREATE | NLM_F_APPEND
    return this.#add(table, 'add rule', k.NFT_MSG_NEWRULE, flags, () => bytes, { subject: chain, find })
  }

  /** Equivalent to: nft delete rule inet TABLE CHAIN handle HANDLE */
  deleteRule(table: TableRef, chain: string, handle: bigint): this {
    return this.#add(
      table,
      'delete rule',
      k.NFT_MSG_DELRULE,
      0,
      header => ruleMessage.encode({ header, attributes: { table: table.name, chain, handle } }),
      { subject: `${chain} handle ${handle}` },
    )
  }

  /** Adds a set or map; one that is there stays as it is. Equivalent to: nft add set inet TABLE NAME { type … } */
  addSet(table: TableRef, set: SetPlan): this {
    this.#addSet(table, set, 0)
    return this
  }

  /** Refused (`EBUSY`) where a rule looks into it. Equivalent to: nft delete set inet TABLE NAME */
  deleteSet(table: TableRef, name: string): this {
    return this.#add(
      table,
      'delete set',
      k.NFT_MSG_DELSET,
      0,
      header => setMessage.encode({ header, attributes: { table: table.name, name } }),
      { subject: name },
    )
  }

  /** Takes all elements out. Equivalent to: nft flush set inet TABLE NAME */
  flushSet(table: TableRef, name: string): this {
    return this.#add(
      table,
      'flush set',
      k.NFT_MSG_DELSETELEM,
      0,
      header => elementsMessage.encode({ header, attributes: { table: table.name, set: name } }),
      { subject: name },
    )
  }

  /** Adds a counter; one that is there goes on. Equivalent to: nft add counter inet TABLE NAME */
  addCounter(table: TableRef, name: string): this {
    return this.#add(
      table,
      'add counter',
      k.NFT_MSG_NEWOBJ,
      NLM_F_CREATE,
      header =>
        counterMessage.encode({
          header,
          attributes: {
            table: table.name,
            name,
            type: k.NFT_OBJECT_COUNTER,
            data: { bytes: 0n, packets: 0n },
          },
        }),
      { subject: name },
    )
  }

  /** Refused (`EBUSY`) where a map has it. Equivalent to: nft delete counter inet TABLE NAME */
  deleteCounter(table: TableRef, name: string): this {
    return this.#add(
      table,
      'delete counter',
      k.NFT_MSG_DELOBJ,
      0,
      header =>
        counterMessage.encode({
          header,
          attributes: { table: table.name, name, type: k.NFT_OBJECT_COUNTER },
        }),
      { subject: name },
    )
  }

  /** Refused where one of the elements is there. Equivalent to: nft create element inet TABLE SET { … } */
  createElements(table: TableRef, set: string, elements: readonly ElementRun[]): this {
    return this.#addElements(table, set, elements, 'create element', NLM_F_CREATE | NLM_F_EXCL)
  }

  /** Elements that are there stay. Equivalent to: nft add element inet TABLE SET { … } */
  addElements(table: TableRef, set: string, elements: readonly ElementRun[]): this {
    return this.#addElements(table, set, elements, 'add element', NLM_F_CREATE)
  }

  /** Refused where one of the elements is not there. Equivalent to: nft delete element inet TABLE SET { … } */
  deleteElements(table: TableRef, set: string, elements: readonly ElementRun[]): this {
    const keys = elements.map(({ key, keyEnd, isEnd, count }) => ({
      key,
      ...(count !== undefined && { count }),
      ...(keyEnd && { keyEnd }),
      ...(isEnd && { isEnd }),
    }))
    return this.#addElements(table, set, keys, 'delete element', 0, undefined, k.NFT_MSG_DELSETELEM)
  }

  /**
   * Has the kernel do all of it or nothing.
   * @param generation refused (`ERESTART`) where the rule set is not of this generation any more
   * @returns what was refused first; undefined where all is done
   * @throws NetlinkError, SystemError `EMSGSIZE` where the socket may not hold so much at once
   */
  commit(nl: Netlink, generation?: number): Denial | undefined {
    if (this.#messages.length === 0) return undefined
    const header = { resource: k.NFNL_SUBSYS_NFTABLES }
    const begin = message(
      k.NFNL_MSG_BATCH_BEGIN,
      0,
      batchMessage.encode({ header, attributes: { generation } }),
    )
    const datagram = concatenate([
      begin,
      ...this.#messages,
      message(k.NFNL_MSG_BATCH_END, 0, batchMessage.encode({ header, attributes: {} })),
    ])
    // The echo of the first message, which is no part of the answer that matters, and the generation that was made.
    if (lengthAt(datagram, begin.length) <= ECHOED_AT_MOST) addFlags(datagram, begin.length, NLM_F_ECHO)
    for (const { what } of this.#parts) tellChange(() => what)
    let made: number | undefined
    const [refusal] = nl.transact(this.#parts[0]?.what ?? '', datagram, ({ type, payload }) => {
      if (type === k.NFT_MSG_NEWGEN) made = readGeneration(payload)
    })
    if (made !== undefined && !this.#isOfOthers) noteOwnGeneration(nl, made)
    return refusal && denialOf(refusal, this.#parts[refusal.index - 1])
  }

  #addSet(table: TableRef, set: SetPlan, flags: number): number {
    const id = this.#setId++
    const { name, type, data, isInterval = false, hasTimeouts = false, size } = set
    const { isDynamic = false, isCounted = false } = set
    const key = keyType(type)
    const isOfCounters = data === 'counter'
    const value =
      data === undefined || isOfCounters
        ? undefined
        : data === 'verdict'
          ? ({ id: VERDICT_TYPE, size: 0, order: 'none' } as const)
          : keyType(data)
    const isRanges = isInterval && key.fields.length > 1
    this.#add(
      table,
      `add ${data === undefined ? 'set' : 'map'}`,
      k.NFT_MSG_NEWSET,
      NLM_F_CREATE,
      header =>
        setMessage.encode({
          header,
          attributes: {
            table: table.name,
            name,
            flags:
              flags |
              (value === undefined ? 0 : k.NFT_SET_MAP) |
              (isOfCounters ? k.NFT_SET_OBJECT : 0) |
              (isInterval ? k.NFT_SET_INTERVAL : 0) |
              (hasTimeouts ? k.NFT_SET_TIMEOUT : 0) |
              (isDynamic ? k.NFT_SET_EVAL : 0) |
              (isRanges ? k.NFT_SET_CONCAT : 0),
            keyType: key.id,
            keyLength: key.size,
            dataType: value?.id,
            dataLength: value?.size,
            objectType: isOfCounters ? k.NFT_OBJECT_COUNTER : undefined,
            description:
              isRanges || size !== undefined
                ? {
                    size,
                    fields: isRanges
                      ? { all: key.fields.map(({ size: length }) => ({ length })) }
                      : undefined,
                  }
                : undefined,
            id,
            expression: isCounted ? counter : undefined,
            userdata: ordersData(key.order, value?.order),
          },
        }),
      { subject: name },
    )
    return id
  }

  #addElements(
    table: TableRef,
    set: string,
    elements: readonly ElementRun[],
    what: string,
    flags: number,
    setId?: number,
    type: number = k.NFT_MSG_NEWSETELEM,
  ): this {
    for (const group of groupElements(elements)) {
      const { bytes, start } = elementsOfSet(table, set, group.bytes, setId)
      const find = (offset: number) => {
        const found = group.find(offset - start)
        return found && { element: found, set }
      }
      this.#add(table, what, type, flags, () => bytes, { subject: set, find })
    }
    return this
  }

  #add(
    table: TableRef,
    what: string,
    type: number,
    flags: number,
    encode: (header: { family: TableFamily }) => Uint8Array,
    { subject, ...part }: Omit<Part, 'what'> & { subject?: string } = {},
  ): this {
    this.#messages.push(message(type, flags, encode({ family: table.family })))
    const where = [what, tableText(table), subject].filter(word => word !== undefined)
    this.#parts.push({ ...part, what: `nft ${where.join(' ')}`, family: table.family })
    return this
  }
}

const userdata = (comment: string | undefined): Uint8Array | undefined =>
  comment === undefined ? undefined : commentData(comment)

const message = (type: number, flags: number, payload: Uint8Array): Uint8Array =>
  encodeMessage({ type, flags: NLM_F_REQUEST | flags, sequence: 0, port: 0, payload })
