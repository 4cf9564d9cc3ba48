/**
 * Queueing disciplines: the token bucket that limits a rate, and the ingress hook from which packets can be
 * redirected to another link.
 */

import { present } from '../model/present.ts'
import { command } from './command.ts'
import * as k from './constants.ts'
import { type LinkRef, nameOf } from './link.ts'
import type { Message } from './message.ts'
import type { Netlink } from './netlink.ts'
import { filterMessage, qdiscMessage } from './qdisc-tables.ts'

/** A token bucket filter. */
export interface TokenBucket {
  /** Bytes per second. */
  rate: number
  /** How much may pass at once, in bytes. A larger packet never passes. */
  burst: number
  /** How much may wait, in bytes, including what may pass at once. */
  limit: number
}

export interface Qdisc {
  /** The link it is on. */
  index: number
  kind: string
  /** Major number above, minor below: 0x10000 is `1:`. */
  handle: number
  /** The same; 0xffffffff is the root, 0xfffffff1 the ingress hook. */
  parent: number
  /** Its burst is what the kernel's clock of 64 ns makes of it. */
  tbf?: TokenBucket
}

/** The kernel counts the bucket in ticks, the time that its content takes to pass. */
const TICK_NS = 64
const U32_MAX = 0xffffffff

/** The ticks in which `bytes` pass at `rate`. */
const ticksOf = (bytes: number, rate: number): number => Math.floor((bytes * 1e9) / rate / TICK_NS)

const bytesIn = (ticks: number, rate: number): number => Math.round((ticks * TICK_NS * rate) / 1e9)

/** The burst that the kernel will list for a bucket, to a tick: of the ticks it reports the lower 32 bits. */
export const burstAsListed = ({ rate, burst }: TokenBucket): number =>
  bytesIn(ticksOf(burst, rate) % (U32_MAX + 1), rate)

/** @throws MalformedError */
export function readQdisc({ payload }: Pick<Message, 'payload'>): Qdisc {
  const { header, attributes: a } = qdiscMessage.decode(payload)
  const { parameters, rate64 } = a.tbf ?? {}
  const rate = rate64 === undefined ? (parameters?.rate.rate ?? 0) : Number(rate64)
  return present({
    index: header.index,
    kind: a.kind ?? '',
    handle: header.handle,
    parent: header.parent,
    tbf: parameters && {
      rate,
      burst: bytesIn(parameters.buffer, rate),
      limit: parameters.limit,
    },
  })
}

/**
 * The qdiscs of one link or all.
 * Equivalent to: tc qdisc show [dev NAME]
 */
export function listQdiscs(nl: Netlink, filter: { link?: LinkRef } = {}): Qdisc[] {
  const { link } = filter
  const messages = nl.dump({
    equivalent: command('tc qdisc show', link && ['dev', nameOf(link)]),
    type: k.RTM_GETQDISC,
    payload: [qdiscMessage.encode({ header: { index: link?.index ?? 0 }, attributes: {} })],
  })
  // The kernel lists those of every link whatever it is asked for.
  return messages.map(readQdisc).filter(({ index }) => (link?.index ?? index) === index)
}

/**
 * Limits what a link sends.
 * Equivalent to: tc qdisc add dev NAME root handle 1: tbf rate RATE burst BURST limit LIMIT
 * @throws NetlinkError `EEXIST` when the link has a root qdisc that somebody asked for
 */
export function addTokenBucket(nl: Netlink, link: LinkRef, bucket: TokenBucket): void {
  const { rate, burst, limit } = bucket
  nl.change({
    equivalent: command('tc qdisc add dev', nameOf(link), 'root', 'handle', '1:', 'tbf', [
      'rate',
      `${rate * 8}bit`,
      'burst',
      burst,
      'limit',
      limit,
    ]),
    type: k.RTM_NEWQDISC,
    flags: k.NLM_F_CREATE | k.NLM_F_EXCL,
    payload: [
      qdiscMessage.encode({
        header: { index: link.index, handle: ROOT_HANDLE, parent: k.TC_H_ROOT },
        attributes: {
          kind: 'tbf',
          tbf: {
            parameters: {
              // The link layer is named, so that the kernel asks for no table of transmission times.
              rate: { rate: Math.min(rate, U32_MAX), linkLayer: k.TC_LINKLAYER_ETHERNET },
              peakRate: {},
              limit,
              buffer: Math.min(ticksOf(burst, rate), U32_MAX),
            },
            rate64: rate > U32_MAX ? BigInt(rate) : undefined,
            burst,
          },
        },
      }),
    ],
  })
}

const ROOT_HANDLE = 0x10000
const INGRESS_HANDLE = 0xffff0000

/**
 * Opens the hook through which all passes that a link receives.
 * Equivalent to: tc qdisc add dev NAME ingress
 * @throws NetlinkError `EEXIST`
 */
export function addIngress(nl: Netlink, link: LinkRef): void {
  nl.change({
    equivalent: command('tc qdisc add dev', nameOf(link), 'ingress'),
    type: k.RTM_NEWQDISC,
    flags: k.NLM_F_CREATE | k.NLM_F_EXCL,
    payload: [
      qdiscMessage.encode({
        header: { index: link.index, handle: INGRESS_HANDLE, parent: k.TC_H_INGRESS },
        attributes: { kind: 'ingress' },
      }),
    ],
  })
}

/**
 * Takes a qdisc away, with all that hangs on it; the root gets the default again.
 * Equivalent to: tc qdisc delete dev NAME root|ingress
 * @throws NetlinkError `ENOENT`, `EINVAL` when there is none
 */
export function deleteQdisc(nl: Netlink, link: LinkRef, where: 'root' | 'ingress'): void {
  nl.change({
    equivalent: command('tc qdisc delete dev', nameOf(link), where),
    type: k.RTM_DELQDISC,
    payload: [
      qdiscMessage.encode({
        header: { index: link.index, parent: where === 'root' ? k.TC_H_ROOT : k.TC_H_INGRESS },
        attributes: {},
      }),
    ],
  })
}

const PRIORITY = 1
// The lower half of tcm_info is the protocol in network byte order.
const EVERYTHING = (PRIORITY << 16) | (k.ETH_P_ALL << 8)

/**
 * Sends all that a link receives into another link's transmit queue, after which it goes on as received.
 * Equivalent to: tc filter add dev NAME parent ffff: protocol all prio 1 u32 match u32 0 0
 *                action mirred egress redirect dev TARGET
 */
export function addRedirect(nl: Netlink, link: LinkRef, target: LinkRef): void {
  nl.change({
    equivalent: command(
      'tc filter add dev',
      nameOf(link),
      ...['parent', 'ffff:', 'protocol', 'all', 'prio', PRIORITY, 'u32', 'match', 'u32', 0, 0],
      ...['action', 'mirred', 'egress', 'redirect', 'dev', nameOf(target)],
    ),
    type: k.RTM_NEWTFILTER,
    flags: k.NLM_F_CREATE | k.NLM_F_EXCL,
    payload: [
      filterMessage.encode({
        header: { index: link.index, parent: INGRESS_HANDLE, info: EVERYTHING },
        attributes: {
          kind: 'u32',
          u32: {
            // One key whose mask is empty: it matches every packet.
            selector: { flags: k.TC_U32_TERMINAL, keys: 1 },
            actions: {
              first: {
                kind: 'mirred',
                mirred: {
                  parameters: {
                    action: k.TC_ACT_STOLEN,
                    direction: k.TCA_EGRESS_REDIR,
                    device: target.index,
                  },
                },
              },
            },
          },
        },
      }),
    ],
  })
}

/** A filter at the ingress hook of a link. */
export interface Filter {
  kind: string
  priority: number
  /** Index of the link that it redirects to. */
  redirectIndex?: number
}

/** @throws MalformedError */
export function readFilter({ payload }: Pick<Message, 'payload'>): Filter {
  const { header, attributes: a } = filterMessage.decode(payload)
  const mirred = a.u32?.actions?.first?.mirred?.parameters
  return present({
    kind: a.kind ?? '',
    priority: header.info >>> 16,
    redirectIndex: mirred?.direction === k.TCA_EGRESS_REDIR ? mirred.device : undefined,
  })
}

/**
 * The filters at a link's ingress hook; none where there is no hook. A u32 filter stands for itself and for
 * the hash table it is in.
 * Equivalent to: tc filter show dev NAME ingress
 */
export function listIngressFilters(nl: Netlink, link: LinkRef): Filter[] {
  const messages = nl.dump({
    equivalent: command('tc filter show dev', nameOf(link), 'ingress'),
    type: k.RTM_GETTFILTER,
    payload: [
      filterMessage.encode({ header: { index: link.index, parent: INGRESS_HANDLE }, attributes: {} }),
    ],
  })
  return messages.map(readFilter)
}
