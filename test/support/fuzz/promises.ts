/** What every parser promises, whatever it is handed. */

import { deepEqual } from 'node:assert/strict'
import { TsnetError } from '../../../src/model/errors.ts'

/** What came of reading: a value, or an error that it may throw. */
export type Outcome<T> = { value: T } | { refused: Error }

/** Kinds of errors by which a parser may refuse. */
export type Refusals = readonly (abstract new (...given: never[]) => Error)[]

/** An error says what is wrong in some sentences; it is no copy of the input. */
const MESSAGE_MAX = 1000

/** @throws what else is thrown, and an error that nobody can read */
export function outcomeOf<T>(read: () => T, refusals: Refusals): Outcome<T> {
  try {
    return { value: read() }
  } catch (thrown) {
    return { refused: asRefusal(thrown, refusals) }
  }
}

/** As outcomeOf. */
export async function outcomeLater<T>(read: () => Promise<T>, refusals: Refusals): Promise<Outcome<T>> {
  try {
    return { value: await read() }
  } catch (thrown) {
    return { refused: asRefusal(thrown, refusals) }
  }
}

function asRefusal(thrown: unknown, refusals: Refusals): Error {
  if (!refusals.some(kind => thrown instanceof kind)) throw thrown
  const refused = thrown as Error
  if (refused instanceof TsnetError && refused.code === 'internal')
    throw new Error(`a fault that nobody foresaw: ${refused.message}`)
  if (refused.message === '') throw new Error('it is refused without a word')
  if (refused.message.length > MESSAGE_MAX)
    throw new Error(`a message of ${refused.message.length} characters: ${refused.message.slice(0, 80)}…`)
  return refused
}

/** @throws where something was added to what all objects have */
export function checkPrototypes(): void {
  for (const name in {}) throw new Error(`all objects have a ${name} now`)
  for (const prototype of [Object.prototype, Array.prototype, Function.prototype, String.prototype]) {
    const names = Object.keys(prototype)
    if (names.length > 0) throw new Error(`all objects of a kind have ${names.join()} now`)
  }
}

/** What reads bytes reads no byte outside of them: it makes the same of them wherever they lie. */
export function holdsWithin(
  read: (bytes: Uint8Array) => unknown,
  bytes: Uint8Array,
  refusals: Refusals,
): void {
  const told = (lying: Uint8Array): unknown => {
    const outcome = outcomeOf(() => read(lying), refusals)
    return 'refused' in outcome ? outcome.refused.message : outcome.value
  }
  const alone = told(bytes.slice())
  deepEqual(told(amid(bytes, 0)), alone)
  deepEqual(told(amid(bytes, 0xff)), alone)
}

/** The same bytes between others, as they lie in a receive buffer. */
function amid(bytes: Uint8Array, filling: number): Uint8Array {
  const buffer = new Uint8Array(bytes.length + 64).fill(filling)
  buffer.set(bytes, 32)
  return buffer.subarray(32, 32 + bytes.length)
}
