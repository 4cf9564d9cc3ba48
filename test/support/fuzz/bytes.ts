/** Bytes: any, such whose lengths fit, and real messages with some of them changed, cut off or doubled. */

import fc from 'fast-check'
import type { Subject } from './fuzz.ts'
import { holdsWithin, type Refusals } from './promises.ts'

export const anyBytes = fc.uint8Array({ maxLength: 300 })

/** Random bytes rarely have a length that fits; these have. @param head bytes before the attributes */
export const attributeLike = (head: number) =>
  fc.array(fc.tuple(fc.nat(70), fc.uint8Array({ maxLength: 40 })), { maxLength: 8 }).map(list => {
    const parts = list.map(([type, payload]) => {
      const bytes = new Uint8Array((payload.length + 7) & ~3)
      bytes.set([payload.length + 4, 0, type, 0])
      bytes.set(payload, 4)
      return bytes
    })
    return Uint8Array.from([...new Uint8Array(head), ...parts.flatMap(part => [...part])])
  })

export const damagedBytes = (samples: readonly Uint8Array[]) =>
  fc
    .record({
      original: fc.constantFrom(...samples),
      changes: fc.array(
        fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 4, 0x7f, 0x80, 0xff))),
        { maxLength: 6 },
      ),
      keep: fc.option(fc.nat()),
      double: fc.option(fc.tuple(fc.nat(), fc.nat(64))),
    })
    .map(({ original, changes, keep, double }) => {
      let bytes = original.slice()
      for (const [at, value] of changes) bytes[at % bytes.length] = value
      if (keep !== null) bytes = bytes.slice(0, keep % (bytes.length + 1))
      if (double !== null && bytes.length > 0) {
        const at = double[0] % bytes.length
        bytes = Uint8Array.from([
          ...bytes.slice(0, at),
          ...bytes.slice(at, at + double[1]),
          ...bytes.slice(at),
        ])
      }
      return bytes
    })

/** A sample and what is repeated behind it: the sample itself, attributes without a value, none at all, zeros. */
export function longBytes(samples: readonly Uint8Array[], length: number): Uint8Array[] {
  const [sample = new Uint8Array()] = samples
  const tails = [
    sample,
    sample.subarray(4),
    sample.subarray(16),
    ...[[4, 0, 1, 0], [5, 0, 1, 0, 7, 0, 0, 0], [0], [0xff], [0, 0x40]].map(bytes => Uint8Array.from(bytes)),
  ]
  return tails
    .filter(tail => tail.length > 0)
    .flatMap(tail => [0, 4, sample.length].map(head => filled(sample.subarray(0, head), tail, length)))
}

function filled(head: Uint8Array, tail: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(head.length + length)
  bytes.set(head)
  for (let at = head.length; at < bytes.length; at += tail.length)
    bytes.set(tail.subarray(0, bytes.length - at), at)
  return bytes
}

export interface Message {
  samples: readonly Uint8Array[]
  /** Bytes before a message's attributes. */
  head?: number
  read: (bytes: Uint8Array) => unknown
  refusals: Refusals
  more?: fc.Arbitrary<Uint8Array>
}

/** A parser of bytes that stays within them. */
export function ofBytes(
  name: string,
  { samples, head = 4, read, refusals, more }: Message,
): Subject<Uint8Array> {
  return {
    name,
    weight: 1,
    inputs: fc.oneof(
      anyBytes,
      attributeLike(head),
      damagedBytes(samples),
      ...(more === undefined ? [] : [more]),
    ),
    long: length => longBytes(samples, length),
    holds: bytes => holdsWithin(read, bytes, refusals),
  }
}
