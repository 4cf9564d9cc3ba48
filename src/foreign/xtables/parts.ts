/** What matches are made of. */

import type { Family } from '../../model/address/address.ts'
import { word } from '../bits.ts'
import type { Part, Range, Test } from '../rule.ts'
import type { Struct } from './struct.ts'

/** Reads the struct of a match. */
export type Reader = (info: Struct, revision: number, family: Family) => Test[]

export const sourceOf = (of: string, length: number, offset = 0): Part => ({ source: { of, offset, length } })
export const one = (value: Uint8Array): Range => ({ from: value, to: value })
export const be16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff)
export const given = (holds: boolean, text: string) => ({ kind: 'given', holds, text }) satisfies Test

export const among = (part: Part, values: Range[], not = false): Test => ({
  kind: 'among',
  key: [part],
  values,
  not,
})

/** A value with these bits: any of them, or exactly. */
export const hasBits = (of: string, bits: number, not = false): Test => ({
  kind: 'among',
  key: [{ source: { of, offset: 0, length: 4 }, mask: word(bits) }],
  values: [one(word(0))],
  not: !not,
})

export const masked = (of: string, value: number, mask: number, not: boolean): Test =>
  among({ source: { of, offset: 0, length: 4 }, mask: word(mask) }, [one(word(value))], not)

export const open = (name: string): Test => ({ kind: 'open', text: `-m ${name}` })
