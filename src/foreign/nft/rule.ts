/**
 * Rules of nf_tables as tests and a verdict: its expressions hand values to each other in registers, so what a
 * comparison is about is known from what was loaded before.
 *
 * Source: linux/netfilter/nf_tables.h.
 */

import type { Family } from '../../model/address/address.ts'
import type { Expression } from '../../netfilter/expression-tables.ts'
import type { ListedRule } from '../../netfilter/list.ts'
import type { Part, Range, Rule, Test, Verdict } from '../rule.ts'
import { commentOf, type Extension, readMatch } from '../xtables/match.ts'
import { readTarget } from '../xtables/target.ts'
import { meterTests, numbersOf, objectTests, unlessOver } from './meter.ts'
import { connectionPart, fibPart, known, metaName } from './parts.ts'
import { Registers } from './registers.ts'

/** What a rule is made of while its expressions are read. */
interface Draft {
  family: Family
  registers: Registers
  tests: Test[]
  verdict: Verdict
  writes: string[]
  comment?: string | undefined
}

/**
 * @param number from 1 on, within its chain
 * @param family of the packets that it is read for: extensions of xtables have structs of one
 */
export function readRule({ expressions, comment }: ListedRule, number: number, family: Family): Rule {
  const draft: Draft = {
    family,
    registers: new Registers(),
    tests: [],
    verdict: { kind: 'continue' },
    writes: [],
    comment,
  }
  for (const expression of expressions) readExpression(expression, draft)
  const { tests, verdict, writes } = draft
  return {
    tests,
    verdict,
    number,
    ...(writes.length > 0 && { writes }),
    ...(draft.comment !== undefined && { comment: draft.comment }),
  }
}

/** What belongs to a process of this host or came through IPsec: a packet that is led on has none of it. */
const NEVER = ['meta skuid', 'meta skgid', 'meta cgroup']

/** Reads an expression into a draft. */
type Reader = (expression: Expression, draft: Draft) => void

const readers: Record<string, Reader> = {
  immediate({ immediate: { dreg = 0, data } = {} }, draft) {
    if (data?.verdict !== undefined) draft.verdict = verdictOf(data.verdict)
    else if (data?.value !== undefined) draft.registers.load(dreg, { bytes: data.value })
  },
  payload({ payload: { dreg, base, offset = 0, length = 0 } = {} }, { registers }) {
    if (dreg !== undefined) registers.load(dreg, { source: { of: base ?? 'link', offset, length } })
  },
  meta({ meta: { dreg, key = '', sreg } = {} }, { registers, tests, writes }) {
    const of = metaName(key)
    if (sreg !== undefined) writes.push(of)
    else if (NEVER.includes(of)) tests.push({ kind: 'given', holds: false, text: of, ofProcess: true })
    // What the rule itself has written is not the packet's any more.
    if (dreg !== undefined && writes.includes(of)) registers.forget(dreg, REGISTER)
    else if (dreg !== undefined) registers.load(dreg, known(of))
  },
  ct({ ct: { dreg, key = '', sreg, direction } = {} }, { registers, writes, family }) {
    if (sreg !== undefined) writes.push(`ct ${key}`)
    if (dreg !== undefined) registers.load(dreg, connectionPart(key, direction?.[0], family))
  },
  fib({ fib: { dreg = 0, result = 'none', flags = 0 } = {} }, { registers }) {
    registers.load(dreg, fibPart(result, flags))
  },
  bitwise({ bitwise: { sreg = 0, dreg = 0, length = 0, mask, xor, op = 'mask' } = {} }, { registers }) {
    if (op === 'mask') registers.mask(sreg, dreg, length, mask?.value, xor?.value)
    else registers.forget(dreg, length)
  },
  byteorder({ other }, { registers }) {
    const [, sreg = 0, dreg = 0, , length = 0, size = 0] = numbersOf(other)
    registers.swap(sreg, dreg, length, size)
  },
  cmp({ cmp: { sreg = 0, op = 'eq', data } = {} }, { registers, tests }) {
    tests.push(comparison(registers, sreg, op, data?.value ?? NOTHING))
  },
  range({ range: { sreg = 0, op = 'eq', from, to } = {} }, { registers, tests }) {
    const range = { from: from?.value ?? NOTHING, to: to?.value ?? NOTHING }
    tests.push(amongTest(registers.key(sreg, range.from.length), [range], op === 'neq'))
  },
  lookup: ({ lookup = {} }, draft) => readLookup(lookup, draft),
  limit: ({ limit = {} }, { tests }) => void tests.push(unlessOver('limit', limit.flags ?? 0)),
  connlimit: ({ other }, { tests }) => void tests.push(unlessOver('ct count', numbersOf(other)[2] ?? 0)),
  quota: ({ other }, { tests }) => void tests.push(unlessOver('quota', numbersOf(other)[2] ?? 0)),
  dynset: ({ dynset }, { tests }) => void tests.push(...meterTests(dynset)),
  objref({ objref: { type, set, sreg } = {} }, draft) {
    draft.tests.push(...objectTests(type))
    if (set !== undefined) readLookup({ set, sreg }, draft)
  },
  reject(_, draft) {
    draft.verdict = { kind: 'drop', text: 'reject' }
  },
  synproxy: accept,
  tproxy: accept,
  queue: accept,
  match({ match = {} }, draft) {
    const extension = extensionOf(match)
    draft.comment ??= commentOf(extension)
    draft.tests.push(...readMatch(extension, draft.family))
  },
  target({ target = {} }, draft) {
    const { verdict, writes = [] } = readTarget(extensionOf(target), draft.family)
    draft.verdict = verdict
    draft.writes.push(...writes)
  },
  xfrm: (_, { tests }) => void tests.push({ kind: 'given', holds: false, text: 'ipsec' }),
}

function accept(_: Expression, draft: Draft): void {
  draft.verdict = { kind: 'accept' }
}

const NOTHING = new Uint8Array(0)

function readExpression(expression: Expression, draft: Draft): void {
  const { name = '', other } = expression
  readers[name]?.(expression, draft)
  const at = DESTINATIONS[name]
  if (at !== undefined) draft.registers.forget(numbersOf(other)[at] ?? 0, REGISTER)
}

const REGISTER = 16

/** Which attribute names the register that an expression of which nothing is known here loads. */
const DESTINATIONS: Record<string, number> = {
  exthdr: 1,
  hash: 2,
  numgen: 1,
  osf: 1,
  rt: 1,
  socket: 2,
  tunnel: 2,
}

const amongTest = (key: Part[] | undefined, values: Range[], not: boolean): Test =>
  key === undefined ? { kind: 'open', text: '…' } : { kind: 'among', key, values, not }

const OPERATORS = { lt: '<', lte: '<=', gt: '>', gte: '>=' } as const

function comparison(registers: Registers, sreg: number, op: string, value: Uint8Array): Test {
  const key = registers.key(sreg, value.length)
  const operator = OPERATORS[op as keyof typeof OPERATORS]
  if (operator !== undefined && key !== undefined) return { kind: 'order', key, operator, value }
  return amongTest(key, [{ from: value, to: value }], op === 'neq')
}

function readLookup(
  { set = '', sreg = 0, dreg, flags = 0 }: NonNullable<Expression['lookup']>,
  draft: Draft,
): void {
  const key = draft.registers.keyFrom(sreg)
  if (dreg === 0) {
    draft.verdict = key === undefined ? { kind: 'continue' } : { kind: 'map', key, set }
    return
  }
  if (dreg !== undefined) draft.registers.forget(dreg, REGISTER)
  draft.tests.push(
    key === undefined
      ? { kind: 'open', text: `@${set}` }
      : { kind: 'lookup', key, set, not: (flags & 1) !== 0 },
  )
}

interface KernelVerdict {
  code?: string | undefined
  chain?: string | undefined
}

/** What a verdict of nf_tables comes to. */
export function verdictOf({ code = '', chain = '' }: KernelVerdict): Verdict {
  switch (code) {
    case 'drop':
      return { kind: 'drop', text: 'drop' }
    case 'jump':
    case 'goto':
      return { kind: code, chain }
    case 'return':
    case 'continue':
      return { kind: code }
    case 'break':
      return { kind: 'continue' }
    default:
      // accept, and queues by their number: who listens there says yes as a rule.
      return { kind: 'accept' }
  }
}

const extensionOf = (extension: NonNullable<Expression['match']>): Extension => {
  const { name = '', revision = 0, info = new Uint8Array(0) } = extension
  return { name, revision, info }
}
