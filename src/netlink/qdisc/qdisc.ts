/**
 * Queueing disciplines: the token bucket that limits a rate, and the hook at which packets that a link receives
 * can be looked at (filter.ts).
 */

import { present } from '../../model/present.ts'
import { command } from '../command.ts'
import * as k from '../constants.ts'
import { type LinkRef, nameOf } from '../link/link.ts'
import type { Message } from '../message.ts'
import type { Netlink } from '../netlink.ts'
import { qdiscMessage } from './tables.ts'

/** A token bucket filter. */
export interface TokenBucket {
  /** Bytes per second. */
  rate: number
  /** How much may pass at once, in bytes. A larger packet never passes. */
  burst: number
  /** How much may wait, in bytes, including what may pass at once. */
  limit: number
  /** The burst as the time it takes, which the kernel then goes by; absent: it counts the bytes. */
  burstMicroseconds?: number
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

/** The ticks that a bucket's burst takes to pass. */
const ticksOf = ({ burst, rate, burstMicroseconds }: TokenBucket): number =>
  Math.floor(
    burstMicroseconds === undefined ? (burst * 1e9) / rate / TICK_NS : (burstMicroseconds * 1000) / TICK_NS,
  )

const bytesIn = (ticks: number, rate: number): number => Math.round((ticks * TICK_NS * rate) / 1e9)

/** The burst that the kernel will list for a bucket, to a tick: of the ticks it reports the lower 32 bits. */
export const burstAsListed = (bucket: TokenBucket): number =>
  bytesIn(ticksOf(bucket) % (U32_MAX + 1), bucket.rate)

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
    equivalent: () => command('tc qdisc show', link && ['dev', nameOf(link)]),
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
  const { rate, burst, limit, burstMicroseconds } = bucket
  nl.change({
    equivalent: () =>
      command('tc qdisc add dev', nameOf(link), 'root', 'handle', '1:', 'tbf', [
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
              buffer: Math.min(ticksOf(bucket), U32_MAX),
            },
            rate64: rate > U32_MAX ? BigInt(rate) : undefined,
            burst: burstMicroseconds === undefined ? burst : undefined,
          },
        },
      }),
    ],
  })
}

const ROOT_HANDLE = 0x10000

/** Where `ingress` and `clsact` stand. A link has one of them. */
export const HOOK_HANDLE = 0xffff0000

/** `clsact` has a side for what is sent as well. */
export type Hook = 'ingress' | 'clsact'

/** The hook of a link, whoever opened it. */
export function findHook(nl: Netlink, link: LinkRef): Hook | undefined {
  const kind = listQdiscs(nl, { link }).find(({ parent }) => parent === k.TC_H_INGRESS)?.kind
  return kind === 'ingress' || kind === 'clsact' ? kind : undefined
}

/**
 * Opens the hook through which all passes that a link receives.
 * Equivalent to: tc qdisc add dev NAME ingress
 * @throws NetlinkError `EEXIST` when the link has a hook, of either kind
 */
export function addIngress(nl: Netlink, link: LinkRef): void {
  nl.change({
    equivalent: () => command('tc qdisc add dev', nameOf(link), 'ingress'),
    type: k.RTM_NEWQDISC,
    flags: k.NLM_F_CREATE | k.NLM_F_EXCL,
    payload: [
      qdiscMessage.encode({
        header: { index: link.index, handle: HOOK_HANDLE, parent: k.TC_H_INGRESS },
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
    equivalent: () => command('tc qdisc delete dev', nameOf(link), where),
    type: k.RTM_DELQDISC,
    payload: [
      qdiscMessage.encode({
        header: { index: link.index, parent: where === 'root' ? k.TC_H_ROOT : k.TC_H_INGRESS },
        attributes: {},
      }),
    ],
  })
}
