/**
 * What is written down as JSON: its form, its format, and whether it can be relied upon.
 *
 * A file without a number is of format 1, as 0.1.0 wrote it, and so is one that is but a list. A higher number than
 * this build knows is no damage: whoever wrote it knows more than we do.
 */

import { messageOf, TsnetError } from '../errors.ts'
import type { Shape } from './shape.ts'

/** The newest form that this build understands, and the one that it writes. */
export const FORMAT = 1

export type Stored<T> = { value: T } | { damage: string }

/** As it is written: an object gets the number of its format. */
export const storedText = (value: unknown): string =>
  JSON.stringify(isObject(value) ? { format: FORMAT, ...value } : value)

/** How storedText begins with one that has members. */
const BEGINNING = `{"format":${FORMAT},`

/**
 * Reads a stored text.
 * @param path where it stands, for the message
 * @throws TsnetError `io` for a newer format
 */
export function readStored<T>(content: string, shape: Shape, path: string): Stored<T> {
  let value: unknown
  try {
    // An object without the number is the value itself, where to copy all but the number takes as long as to parse it.
    value = JSON.parse(content.startsWith(BEGINNING) ? `{${content.slice(BEGINNING.length)}` : content)
  } catch (thrown) {
    return { damage: content === '' ? 'is empty' : `is not JSON: ${messageOf(thrown)}` }
  }
  const format = isObject(value) ? value.format : undefined
  // Of what is but a list of names, one may be called so; its value is a text.
  const isNumbered = typeof format === 'number'
  if (isNumbered && format > FORMAT) throw tooNew(path, format)
  if (isNumbered && format !== FORMAT) return { damage: `has the format ${format}` }
  const whole = isNumbered ? withoutFormat(value as { format: number }) : value
  const wrong = shape(whole)
  return wrong === undefined ? { value: whole as T } : { damage: `is not what it should be: it${wrong}` }
}

const withoutFormat = ({ format: _, ...rest }: { format: number }): object => rest

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const tooNew = (path: string, format: number): TsnetError =>
  new TsnetError(
    'io',
    `${path} was written by a newer tsnet, in format ${format}; this one understands ${FORMAT}`,
    { details: 'use that build, or let it take down what it made before you go back' },
  )
