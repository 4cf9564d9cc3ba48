/** Whether a rule is about a packet. */

import {
  ANYTHING,
  type Answer,
  type Bits,
  conjunction,
  disjunction,
  equals,
  inverse,
  isWithin,
  join,
  known,
  masked,
  SOMEBODY,
  swapped,
} from './bits.ts'
import { type Packet, read } from './packet.ts'
import type { Part, Range, Rule, SetView, Test } from './rule.ts'

/** Finds sets by name. */
export type Sets = (name: string) => SetView

/** Do all tests of a rule hold? */
export function matches({ tests }: Rule, packet: Packet, sets: Sets): Answer {
  let answer: Answer = 'yes'
  for (const test of tests) {
    const held = holds(test, packet, sets)
    if (held === 'no') return 'no'
    if (held === 'perhaps') answer = 'perhaps'
  }
  return answer
}

function holds(test: Test, packet: Packet, sets: Sets): Answer {
  switch (test.kind) {
    case 'given':
      if (test.ofProcess && packet.isLocal) return 'perhaps'
      return test.holds ? 'yes' : 'no'
    case 'open':
      return 'perhaps'
    case 'listed': {
      if (packet.get(test.end)?.doubt.includes(SOMEBODY) !== true) return 'perhaps'
      return test.not ? 'yes' : 'no'
    }
    case 'any': {
      const answer = disjunction(...test.of.map(each => holds(each, packet, sets)))
      return test.not ? inverse(answer) : answer
    }
    case 'among': {
      const answer = among(keyOf(test.key, packet), test.values)
      return test.not ? inverse(answer) : answer
    }
    case 'lookup': {
      const answer = isIn(sets(test.set), keyOf(test.key, packet))
      return test.not ? inverse(answer) : answer
    }
    case 'order':
      return inOrder(keyOf(test.key, packet), test.operator, test.value)
  }
}

/** What a packet has for the parts of a key, one after the other. */
export const keyOf = (parts: readonly Part[], packet: Packet): Bits[] =>
  parts.map(part => bitsOf(part, packet))

function bitsOf(part: Part, packet: Packet): Bits {
  if ('bytes' in part) return known(part.bytes)
  const { source, mask, xor, swap } = part
  const value = read(packet, source)
  const turned = swap === undefined ? value : swapped(value, swap)
  return mask === undefined ? turned : masked(turned, mask, xor)
}

/** Of a range of concatenated values each is within its own ends. */
export function within(key: readonly Bits[], { from, to }: Range): Answer {
  let at = 0
  const answers = key.map(part => {
    const [first, last] = [from, to].map(end => end.subarray(at, at + part.bytes.length))
    at += part.bytes.length
    if (first === undefined || last === undefined) return 'perhaps'
    return isSame(first, last) ? equals(part, first) : isWithin(part, first, last)
  })
  return conjunction(...answers)
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, i) => byte === b[i])

const among = (key: readonly Bits[], values: readonly Range[]): Answer =>
  disjunction(...values.map(range => within(key, range)))

/** Whether a set holds a key. */
function isIn(set: SetView, key: readonly Bits[]): Answer {
  if (!set.isNamed) return among(key, set.all())
  const { bytes, doubt } = join(key)
  // Where there is too much to look at, nobody whom it could mean is in it.
  if (doubt.includes(SOMEBODY)) return 'no'
  if (doubt.includes(ANYTHING)) return 'perhaps'
  return set.find(bytes) === undefined ? 'no' : 'yes'
}

function inOrder([key]: readonly Bits[], operator: '<' | '<=' | '>' | '>=', value: Uint8Array): Answer {
  if (key === undefined) return 'perhaps'
  const upTo = isWithin(key, new Uint8Array(value.length), value)
  const from = isWithin(key, value, new Uint8Array(value.length).fill(0xff))
  if (operator === '<=') return upTo
  if (operator === '>=') return from
  return operator === '<' ? inverse(from) : inverse(upTo)
}
