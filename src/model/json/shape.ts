/**
 * What a value that was written down has to look like before anybody relies on it.
 *
 * A shape is a function that looks at a value and says in words what is wrong; it is made of smaller ones as types
 * are. It demands what its reader uses and leaves alone what it does not know, so that files of other builds pass.
 */

import { cut } from './shown.ts'

/** @returns what is wrong with a value, after the path to it: `.ports[0].hostPort is not a whole number` */
export type Shape = (value: unknown) => string | undefined

/** A value of which something holds. */
export const when =
  (isRight: (value: unknown) => boolean, what: string): Shape =>
  value =>
    isRight(value) ? undefined : ` is not ${what}`

export const text = when(value => typeof value === 'string', 'a text')
export const flag = when(value => typeof value === 'boolean', 'true or false')
export const number = when(Number.isFinite, 'a number')
export const whole = when(Number.isSafeInteger, 'a whole number')
export const object = when(isObject, 'an object')

export const within = (least: number, most: number): Shape =>
  when(
    value => Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most,
    `a whole number from ${least} to ${most}`,
  )

/** One of these values. */
export const oneOf = (...values: unknown[]): Shape =>
  when(value => values.includes(value), `one of ${values.join(', ')}`)

/** A text that a parser takes for what it is. */
export const parsed = (parse: (text: string) => unknown, what: string): Shape =>
  when(value => typeof value === 'string' && succeeds(() => parse(value)), what)

export const optional =
  (shape: Shape): Shape =>
  value =>
    value === undefined ? undefined : shape(value)

export const listOf =
  (shape: Shape): Shape =>
  value => {
    if (!Array.isArray(value)) return ' is not a list'
    for (let index = 0; index < value.length; index++) {
      const wrong = shape(value[index])
      if (wrong !== undefined) return `[${index}]${wrong}`
    }
    return undefined
  }

/** An object with at least these members. */
export const record = (members: Record<string, Shape>): Shape => {
  const named = Object.entries(members).map(([name, shape]) => ({ name, shape }))
  return value => {
    if (!isObject(value)) return ' is not an object'
    for (const { name, shape } of named) {
      const wrong = shape(value[name])
      if (wrong !== undefined) return value[name] === undefined ? `.${name} is missing` : `.${name}${wrong}`
    }
    return undefined
  }
}

/** An object of one of some kinds, which its member `kind` tells. */
export const byKind = (shapes: Record<string, Shape>): Shape => {
  const known = new Map(Object.entries(shapes))
  const kind = record({ kind: oneOf(...known.keys()) })
  return value => kind(value) ?? known.get((value as { kind: string }).kind)?.(value)
}

/** An object of any members that are all alike. */
export const mapOf =
  (shape: Shape): Shape =>
  value => {
    if (!isObject(value)) return ' is not an object'
    for (const [name, member] of Object.entries(value)) {
      const wrong = shape(member)
      if (wrong !== undefined) return `.${cut(name)}${wrong}`
    }
    return undefined
  }

/** Passes what passes all of them. */
export const all =
  (...shapes: Shape[]): Shape =>
  value => {
    for (const shape of shapes) {
      const wrong = shape(value)
      if (wrong !== undefined) return wrong
    }
    return undefined
  }

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function succeeds(parse: () => unknown): boolean {
  try {
    return parse() !== undefined
  } catch {
    return false
  }
}
