/** Whether the kernel holds a chain as it was to be made: where it belongs, with each of its rules in its place. */

import type { Netlink } from '../netlink/netlink.ts'
import type { ListedChain, ListedRule } from './list.ts'
import type { PlannedChain } from './planned.ts'
import { isMadeOf } from './same-rule.ts'

/** What differs first of a chain. */
export type ChainFault =
  | { fault: 'absent' }
  /** It is hooked elsewhere, or lets through by policy what it should not, or the other way round. */
  | { fault: 'misplaced' }
  | { fault: 'count'; found: number; wanted: number }
  /** Counted from 1. */
  | { fault: 'rule'; number: number }

/**
 * @param nl for looking into sets without names
 * @param rules those of its table, in order
 * @throws NetlinkError
 */
export function faultOf(
  nl: Netlink,
  found: ListedChain | undefined,
  rules: readonly ListedRule[],
  wanted: PlannedChain,
): ChainFault | undefined {
  if (found === undefined) return { fault: 'absent' }
  if (!isPlacedAs(found, wanted.chain)) return { fault: 'misplaced' }
  const there = rules.filter(({ chain }) => chain === found.name)
  if (there.length !== wanted.rules.length)
    return { fault: 'count', found: there.length, wanted: wanted.rules.length }
  const wrong = wanted.rules.findIndex((rule, i) => there[i] === undefined || !isMadeOf(nl, there[i], rule))
  return wrong < 0 ? undefined : { fault: 'rule', number: wrong + 1 }
}

const isPlacedAs = ({ hook, policy = 'accept' }: ListedChain, wanted: ListedChain): boolean =>
  hook?.type === wanted.hook?.type &&
  hook?.number === wanted.hook?.number &&
  hook?.priority === wanted.hook?.priority &&
  hook?.devices.join() === wanted.hook?.devices.join() &&
  policy === (wanted.policy ?? 'accept')
