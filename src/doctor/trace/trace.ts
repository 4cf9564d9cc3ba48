/**
 * One real packet, followed through the rules of this host by the kernel's own account.
 *
 *     sender.ts                      a socket here or in a container, or a packet that arrives as a stranger's
 *        │  its source port is its own
 *        ▼
 *     watch.ts   a table that dies with us: marks the packet at its first hook, and has a chain first and last in each
 *        │       of them, whose policies say that it came, and that it went on
 *        ▼
 *     path.ts    what the kernel tells of it (netfilter/trace.ts) ─▶ steps in order ─▶ where it ended
 *
 * The table belongs to our socket (NFT_TABLE_F_OWNER, Linux 5.12): whatever ends this process ends the table with it.
 *
 * Limits. Rules of legacy iptables tell nothing: where a packet came into a hook and did not leave it, though no rule
 * of nf_tables dropped it, they are named as what is left, with what is known of them by reading. Between hooks the
 * kernel routes, and what it drops there (reverse path filtering, no forwarding, no route) is told by the hook that is
 * not reached. Where the daemon redirects clients of this host (redirect/), the packet is seen as it is sent then, and
 * what it was to be before is told. Chains of the families bridge and netdev are not followed.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { TsnetError } from '../../model/errors.ts'
import { holderOf } from '../../ports/probe.ts'
import type { Asked, Outcome } from './packet.ts'
import { type End, endOf, redirectIn, type Step, stepsOf } from './path.ts'
import { prepare } from './sender.ts'
import { Watch } from './watch.ts'

export type { End, Step } from './path.ts'

export interface Traced {
  /** In words: by whom, and from where to where. */
  sent: string
  steps: Step[]
  /** What became of it in the end. */
  end: End
}

/** A packet is through in microseconds; its sender sends it again after a second. */
const QUIET_MS = 250
const ANSWER_WITHIN_MS = 800

/** @throws TsnetError; NetlinkError where the kernel has no such tables */
export async function trace(asked: Asked): Promise<Traced> {
  const { protocol } = asked
  if (protocol === 'sctp')
    throw new TsnetError('unsupported-field', 'a packet of SCTP cannot be sent: only TCP and UDP are traced')
  using sender = prepare({ ...asked, protocol })
  using watch = new Watch(protocol, sender.sourcePort)
  sender.send()
  const outcome = await answerTo(sender.outcome)
  await sleep(QUIET_MS)
  const events = watch.events()
  const steps = [...redirectIn(events, sender.to), ...stepsOf(events, sender.family)]
  const holder = holderOf(protocol, asked.port)
  const end = endOf(steps, { outcome, family: sender.family, ...(holder && { listener: holder }) })
  return { sent: sender.description, steps, end }
}

async function answerTo(outcome: () => Outcome): Promise<Outcome> {
  const until = performance.now() + ANSWER_WITHIN_MS
  for (;;) {
    const now = outcome()
    if (now !== 'silent' || performance.now() > until) return now
    await sleep(20)
  }
}
