/** One key of a JSON file, such as dockerd's daemon.json: set, and taken back; what else is in it stays. */

import { messageOf, TsnetError } from '../model/errors.ts'

type Values = Record<string, unknown>

/** @throws TsnetError `decode` for what is no JSON object; it is not touched then */
export function parseObject(text: string, path: string): Values {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new TsnetError('decode', `${path} is not JSON: ${messageOf(cause)}; it was not touched`, { cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Values
  throw new TsnetError('decode', `${path} does not hold a JSON object; it was not touched`)
}

/** The text with the key set, indented as it is; a new one where there is none. */
export function withKey(text: string | undefined, path: string, key: string, value: unknown): string {
  const values = text === undefined || text.trim() === '' ? {} : parseObject(text, path)
  return print({ ...values, [key]: value }, text)
}

/** The text with the key as it was in an earlier one. */
export function withKeyOf(text: string, path: string, key: string, before: string | null): string {
  const values = parseObject(text, path)
  const earlier = before === null || before.trim() === '' ? {} : parseObject(before, path)
  if (Object.hasOwn(earlier, key)) values[key] = earlier[key]
  else delete values[key]
  return print(values, text)
}

function print(values: Values, like: string | undefined): string {
  const [, indent = like?.trim().includes('\n') === false && like.trim() !== '' ? '' : '  '] =
    /^\s*\{\r?\n([ \t]+)/.exec(like ?? '') ?? []
  const end = like === undefined || like.trim() === '' || like.endsWith('\n') ? '\n' : ''
  return JSON.stringify(values, null, indent) + end
}
