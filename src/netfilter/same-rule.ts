/** Whether the kernel holds a rule, or a chain with all of its rules, as it was to be made. */

import type { Netlink } from '../netlink/netlink.ts'
import type { SetElement } from './elements.ts'
import { type ListedChain, type ListedRule, listElements } from './list.ts'
import type { PlannedChain } from './planned.ts'
import type { RuleExpression, RulePlan } from './rule.ts'

/** What was written is there; the kernel adds what it knows besides. */
function holds(found: unknown, wanted: unknown): boolean {
  if (wanted === undefined) return true
  if (wanted instanceof Uint8Array) return found instanceof Uint8Array && Buffer.compare(found, wanted) === 0
  if (typeof wanted !== 'object' || wanted === null) return found === wanted
  const object = (found ?? {}) as Record<string, unknown>
  return Object.entries(wanted).every(([key, value]) => holds(object[key], value))
}

const words = (elements: readonly SetElement[]): string =>
  elements
    .map(({ key, isEnd = false }) => `${Buffer.from(key).toString('hex')} ${isEnd}`)
    .sort()
    .join()

/**
 * True for a rule that consists of these expressions, or ends in them, and has the same comment.
 * @param nl for looking into sets without names
 */
export function isMadeOf(
  nl: Netlink,
  { table, expressions, comment }: ListedRule,
  plan: RulePlan,
  { isEnd = false } = {},
): boolean {
  const start = expressions.length - plan.expressions.length
  if (comment !== plan.comment || (isEnd ? start < 0 : start !== 0)) return false
  const same = ({ literal, counter, ...wanted }: RuleExpression, i: number): boolean => {
    const found = expressions[start + i]
    if (!holds(found, wanted)) return false
    const set = found?.lookup?.set
    return (
      literal === undefined ||
      (set !== undefined && words(listElements(nl, table, set)) === words(literal.elements))
    )
  }
  return plan.expressions.every(same)
}

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
