/** Inputs that found a fault, one a file: `test/fuzz/corpus/<subject>-<digest>.case`, a line of JSON. */

import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Input } from './fuzz.ts'

export const CORPUS = 'test/fuzz/corpus'

/** What is longer is made anew by seed and path. */
const KEPT_MAX = 8192

export interface Case {
  subject: string
  input: Input
}

/** Bytes as JSON has none: `{"$hex": "0a0b"}`. */
const HEX = '$hex'

const write = (value: Input): string =>
  JSON.stringify(value, (_, each) =>
    each instanceof Uint8Array ? { [HEX]: Buffer.from(each).toString('hex') } : each,
  )

const read = (text: string): unknown =>
  JSON.parse(text, (_, each) =>
    typeof each?.[HEX] === 'string' ? Uint8Array.from(Buffer.from(each[HEX], 'hex')) : each,
  )

export function readCorpus(folder = CORPUS): Case[] {
  const names = readdirSync(folder).filter(name => name.endsWith('.case'))
  return names.sort().map(name => read(readFileSync(join(folder, name), 'utf8')) as Case)
}

/** @returns the file's path; undefined for one too long to be kept */
export function keep({ subject, input }: Case, folder = CORPUS): string | undefined {
  const text = write({ subject, input })
  if (text.length > KEPT_MAX) return undefined
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 12)
  const path = join(folder, `${subject.replaceAll('/', '-')}-${digest}.case`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(path, `${text}\n`)
  return path
}
