/**
 * What messages of a transaction make, read back from their bytes: so it can be compared with what the kernel holds,
 * also where nobody has its text any more.
 */

import { present } from '../model/present.ts'
import { eachMessage } from '../netlink/message.ts'
import * as k from './constants.ts'
import type { SetElement } from './elements.ts'
import type { Expression } from './expression-tables.ts'
import { type ListedChain, readChain, readElements, readRule } from './list.ts'
import type { RuleExpression, RulePlan } from './rule.ts'
import { elementsMessage } from './tables.ts'

/** A chain with its rules, in order. */
export interface PlannedChain {
  chain: ListedChain
  rules: RulePlan[]
}

/**
 * The chains that messages make, by their names.
 * @param messages as Transaction.messages has them
 * @throws MalformedError
 */
export function plannedChains(messages: Uint8Array): Map<string, PlannedChain> {
  const chains = new Map<string, PlannedChain>()
  /** Elements of sets without a name, by the ids that rules know them by. */
  const literals = new Map<number, SetElement[]>()
  for (const { type, payload } of eachMessage(messages)) {
    if (type === k.NFT_MSG_NEWCHAIN) {
      const chain = readChain(payload)
      if (chain !== undefined) chains.set(chain.name, { chain, rules: [] })
    } else if (type === k.NFT_MSG_NEWSETELEM) {
      const { setId } = elementsMessage.decode(payload).attributes
      // Those of sets with a name are not the rule's.
      if (setId !== undefined) literals.set(setId, [...(literals.get(setId) ?? []), ...readElements(payload)])
    } else if (type === k.NFT_MSG_NEWRULE) {
      const rule = readRule(payload)
      const expressions = rule?.expressions.map(each => planned(each, literals)) ?? []
      chains.get(rule?.chain ?? '')?.rules.push({ expressions, ...present({ comment: rule?.comment }) })
    }
  }
  return chains
}

function planned(expression: Expression, literals: ReadonlyMap<number, SetElement[]>): RuleExpression {
  const { lookup, ...rest } = expression
  if (lookup === undefined) return expression
  const { set, setId, ...where } = lookup
  const elements = setId === undefined ? undefined : literals.get(setId)
  if (elements === undefined) return { ...rest, lookup: { ...where, set } }
  return { ...rest, lookup: where, literal: { type: '', elements } }
}
