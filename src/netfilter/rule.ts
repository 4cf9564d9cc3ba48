/** A rule as bytes: its expressions one after the other, and sets without a name that it looks into. */

import { concatenate } from '../netlink/codecs.ts'
import type { SetElement } from './elements.ts'
import { type ExpressionInput, expressionList } from './expression-tables.ts'
import type { Found } from './refusal.ts'
import { ruleOfExpressions } from './tables.ts'
import { commentData } from './userdata.ts'
import type { TableFamily } from './values.ts'

/** A set without a name, for one rule: `{ established, related }`. */
export interface SetLiteral {
  type: string
  elements: readonly SetElement[]
  isInterval?: boolean
}

/** An expression; a look-up may bring its set along. */
export type RuleExpression = ExpressionInput & { literal?: SetLiteral }

export interface RulePlan {
  expressions: readonly RuleExpression[]
  comment?: string
}

/**
 * @param makeSet makes a set for this rule, before it
 * @returns the payload, and which expression stands where in its message
 */
export function encodeRule(
  table: { family: TableFamily; name: string },
  chain: string,
  { expressions, comment }: RulePlan,
  makeSet: (literal: SetLiteral) => { id: number; name: string },
): { bytes: Uint8Array; find: (offset: number) => Found | undefined } {
  const encoded = expressions.map(({ literal, ...expression }) => {
    if (literal === undefined) return expressionList.encode({ all: [expression] })
    const { id, name } = makeSet(literal)
    return expressionList.encode({
      all: [{ ...expression, lookup: { ...expression.lookup, set: name, setId: id } }],
    })
  })
  const userdata = comment === undefined ? undefined : commentData(comment)
  const { bytes, start } = ruleOfExpressions(table, chain, concatenate(encoded), userdata)
  return {
    bytes,
    find(offset) {
      let at = start
      for (const [i, { length }] of encoded.entries()) {
        if (offset >= at && offset < at + length) return { expression: expressions[i]?.name ?? '' }
        at += length
      }
      return undefined
    },
  }
}
