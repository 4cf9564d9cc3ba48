/**
 * Generations of the rule set: each transaction makes another, whoever's it is.
 *
 * Which of them are of our own making is remembered, as far as they follow each other: what was read of the rules of
 * others still holds after those. The kernel tells who asks for an echo which generation his transaction has made
 * (transaction.ts); so somebody else's between two of ours is never taken for one.
 */

import { constants } from 'node:os'
import { type Netlink, NetlinkError } from '../netlink/netlink.ts'
import * as k from './constants.ts'
import { generationMessage } from './tables.ts'

/** The number of the rule set, which each transaction changes, whoever makes it. */
export function generation(nl: Netlink): number {
  const { payload } = nl.get({
    equivalent: 'nft list ruleset',
    type: k.NFT_MSG_GETGEN,
    payload: [generationMessage.encode({ header: {}, attributes: {} })],
  })
  return readGeneration(payload)
}

/** @throws MalformedError */
export const readGeneration = (bytes: Uint8Array): number =>
  generationMessage.decode(bytes).attributes.id ?? 0

/** Generations from one to another, of which all but the first are ours. */
interface Span {
  from: number
  to: number
}

/** By the conversation with a namespace, the last ones. */
const spans = new WeakMap<Netlink, Span>()

/** To be told of each transaction of ours that touches no rule of others'. @param made the generation that it made */
export function noteOwnGeneration(nl: Netlink, made: number): void {
  const before = (made - 1) >>> 0
  const span = spans.get(nl)
  spans.set(nl, { from: span?.to === before ? span.from : before, to: made })
}

/** True where nobody but us has changed anything from one generation to another that is not older. */
export function isOnlyOurs(nl: Netlink, then: number, now: number): boolean {
  if (then === now) return true
  const span = spans.get(nl)
  return span?.to === now && (now - then) >>> 0 <= (now - span.from) >>> 0
}

/** How often a picture is taken again when the rule set changes meanwhile. */
const ATTEMPTS = 20

/** Several lists as one picture. @throws NetlinkError `EINTR`: the rule set changes all the time */
export function consistently<T>(nl: Netlink, read: () => T): T {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const before = generation(nl)
    const picture = read()
    if (generation(nl) === before) return picture
  }
  throw new NetlinkError('nft list ruleset', {
    errno: constants.errno.EINTR,
    text: `the rules changed while they were read, ${ATTEMPTS} times in a row`,
  })
}
