/**
 * Reading what runtimes leave on disk: a file that is not there, or not what it should be, says nothing. Where
 * the kernel is short of something it is an error: nobody shall take that for a container that is gone.
 */

import { readdirSync } from 'node:fs'
import { readRegular } from '../ffi/regular-file.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'

/** A list of all of podman's containers, say. */
const LARGEST = 256 * 1024 * 1024

export function readText(path: string): string | undefined {
  const content = ifThere(() => readRegular(path, { follow: true, atMost: LARGEST }))
  return content !== undefined && 'text' in content ? content.text : undefined
}

export function readJson(path: string): Record<string, unknown> | undefined {
  const text = readText(path)
  try {
    const value: unknown = text === undefined ? undefined : JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

export const listNames = (folder: string): string[] => ifThere(() => readdirSync(folder)) ?? []

/** JSON may hold an object where a number or a text belongs, of which JavaScript cannot always make one. */
export const asNumber = (value: unknown): number => (typeof value === 'number' ? value : Number.NaN)

export const textsIn = (value: unknown): string[] =>
  (Array.isArray(value) ? value : []).filter(each => typeof each === 'string')

function ifThere<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (cause) {
    if (!hasCode(cause, 'EMFILE', 'ENFILE', 'ENOMEM', 'EIO')) return undefined
    throw new TsnetError('io', messageOf(cause), { cause })
  }
}
