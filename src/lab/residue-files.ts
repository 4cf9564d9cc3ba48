/**
 * Files, mounts and processes of a host.
 */

import { createHash } from 'node:crypto'
import { type Dirent, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { hasCode } from '../model/errors.ts'
import type { Host } from './host.ts'
import { counted, type Section } from './section.ts'

/** Everything below these folders: kind, mode, and for files a hash of what is in them. */
export function filesOf(host: Host, folders: readonly string[]): Section {
  return Object.fromEntries(folders.flatMap(folder => [...walk(host, folder)]))
}

function* walk(host: Host, folder: string): Generator<[path: string, description: string]> {
  for (const entry of entriesOf(host.path(folder))) {
    const path = `${folder}/${entry.name}`
    if (path === '/run/.lab') continue
    try {
      yield [path, describe(host.path(path), entry)]
    } catch (thrown) {
      if (!hasCode(thrown, 'ENOENT')) throw thrown // gone since the folder was listed
    }
    if (entry.isDirectory()) yield* walk(host, path)
  }
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return []
    throw thrown
  }
}

function describe(path: string, entry: Dirent): string {
  const { mode, size } = lstatSync(path)
  const rights = (mode & 0o7777).toString(8)
  if (entry.isDirectory()) return `folder ${rights}`
  if (entry.isSymbolicLink()) return `link to ${readlinkSync(path)}`
  if (!entry.isFile()) return `special ${rights}`
  // The file of a namespace is the namespace, which cannot be read.
  const content = size === 0 ? Buffer.alloc(0) : readFileSync(path)
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 12)
  return `${size} bytes ${rights} ${hash}`
}

/** Mounts, and with them the namespaces that are kept by path: `nsfs net:[4026532316]`. */
export function mountsOf(host: Host): Section {
  const lines = readFileSync(host.path('/proc/1/mountinfo'), 'utf8').split('\n').filter(Boolean)
  return counted(
    lines.map(line => {
      const [before = '', after = ''] = line.split(' - ')
      const [, , , root = '', point = ''] = before.split(' ')
      return `${point} ${after.split(' ')[0]} ${root}`
    }),
  )
}

export const processesOf = (host: Host): Section => counted(host.processes().map(({ command }) => command))
