/**
 * What the kernel tells of packets that a rule has marked (`meta nftrace set 1`): each rule that they matched, and
 * each chain that they left by its policy.
 *
 * Source: linux/netfilter/nf_tables.h (enum nft_trace_attributes, nft_trace_types); net/netfilter/nf_tables_trace.c.
 */

import { attributes, nested, payload } from '../netlink/attributes.ts'
import { be32, be64, binary, zstr } from '../netlink/codecs.ts'
import { NETLINK_NETFILTER } from '../netlink/constants.ts'
import { EVERYTHING_TOLD, Listener } from '../netlink/listener.ts'
import type { Message } from '../netlink/message.ts'
import { NFNLGRP_NFTRACE, NFT_MSG_TRACE } from './constants.ts'
import { named, nfgenmsg, verdictCode } from './values.ts'

export const traceMessage = payload(
  nfgenmsg,
  attributes({
    table: [1, zstr],
    chain: [2, zstr],
    handle: [3, be64],
    type: [4, named(be32, { unspecified: 0, policy: 1, return: 2, rule: 3 })],
    verdict: [5, nested(attributes({ code: [1, verdictCode], chain: [2, zstr] }))],
    id: [6, be32],
    network: [8, binary],
    transport: [9, binary],
    input: [10, be32],
    output: [12, be32],
    policy: [16, verdictCode],
  }),
)

/** One thing that happened to a packet. */
export interface TraceEvent {
  /** The same for what happens to one packet on its way through a hook. */
  id: number
  family: string
  table: string
  chain: string
  type: 'rule' | 'policy' | 'return'
  /** Of a rule. */
  handle?: bigint
  /** `accept`, `drop`, `jump` …, or `#2`; of a policy as well. */
  verdict: string
  /** Where a jump leads. */
  to?: string
  /** The beginning of the packet's headers, once for each chain of a hook. */
  network?: Uint8Array
  transport?: Uint8Array
  /** Indices of interfaces. */
  input?: number
  output?: number
}

/** Undefined for what is no trace. @throws MalformedError */
export function readTrace({
  type: message,
  payload,
}: Pick<Message, 'type' | 'payload'>): TraceEvent | undefined {
  if (message !== NFT_MSG_TRACE) return undefined
  const { header, attributes: a } = traceMessage.decode(payload)
  const { id, table, chain, type, verdict, policy, handle, network, transport, input, output } = a
  if (id === undefined || table === undefined || chain === undefined) return undefined
  if (type !== 'rule' && type !== 'policy' && type !== 'return') return undefined
  return {
    id,
    family: header.family,
    table,
    chain,
    type,
    verdict: (type === 'policy' ? policy : verdict?.code) ?? 'continue',
    ...(handle !== undefined && { handle }),
    ...(verdict?.chain !== undefined && { to: verdict.chain }),
    ...(network !== undefined && { network: network.slice() }),
    ...(transport !== undefined && { transport: transport.slice() }),
    ...(input !== undefined && { input }),
    ...(output !== undefined && { output }),
  }
}

/** Hears of the packets of this namespace from now on. @throws SystemError. Equivalent to: nft monitor trace */
export const listenToTraces = (): Listener =>
  new Listener({ protocol: NETLINK_NETFILTER, groups: [NFNLGRP_NFTRACE], filter: EVERYTHING_TOLD })
