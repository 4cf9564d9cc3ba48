/** What may stand in the place of a file, other than what was written there. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'

/** Puts something in the place of a file. */
export type Damage = (path: string, text: string) => void

const written =
  (change: (text: string) => string): Damage =>
  (path, text) =>
    writeFileSync(path, change(text))

/** By what is wrong. */
export const damages: Record<string, Damage> = {
  empty: written(() => ''),
  zeros: written(text => '\0'.repeat(text.length)),
  garbage: written(() => '\u{1f4a5} not JSON {'),
  'half of it': written(text => text.slice(0, text.length / 2)),
  'an empty object': written(() => '{}'),
  'an empty text': written(() => '""'),
  null: written(() => 'null'),
  'a list of numbers': written(() => '[1,2,3]'),
  'wrong types': written(text => text.replace(/:"[^"]*"/g, ':7').replace(/:\d+/g, ':true')),
  'a wrong format': written(() => '{"format":0}'),
  'not UTF-8': path => writeFileSync(path, Buffer.from([0x5b, 0x22, 0xff, 0xfe, 0x22, 0x5d])),
  'a gigabyte': path => truncateSync(path, 1024 * 1024 * 1024),
  'a directory': path => mkdirSync(path),
  'a directory with something in it': path => mkdirSync(`${path}/within`, { recursive: true }),
  'a FIFO': path => void execFileSync('mkfifo', [path]),
  'a device': path => void execFileSync('mknod', [path, 'c', '1', '5']),
  'a link to nowhere': path => symlinkSync('/nowhere', path),
  'a link to itself': path => symlinkSync(path, path),
}

/** Does so, whatever is there. @param text what the file held */
export function damage(path: string, kind: string, text: string): void {
  rmSync(path, { recursive: true, force: true })
  // What is cut or stretched has to be there.
  if (kind === 'a gigabyte') writeFileSync(path, text)
  damages[kind]?.(path, text)
}

/** What a later build may write. */
export const NEWER = '{"format":2,"something":"else"}'
