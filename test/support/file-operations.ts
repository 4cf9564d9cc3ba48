/** The operations on files that a process does, recorded by strace, and done again as far as one likes. */

import {
  appendFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { runProgram } from './processes.ts'

/** One operation; paths are below the folder that was recorded. */
export type FileOperation =
  | { kind: 'create' | 'empty' | 'mkdir' | 'unlink' | 'rmdir'; path: string }
  | { kind: 'write'; path: string; bytes: Buffer }
  | { kind: 'rename' | 'link'; from: string; path: string }

/** How the last operation went. */
export type End =
  /** Wholly: the process was killed behind it. */
  | 'done'
  /** Half of what was written has arrived. */
  | 'torn'
  /** The name has arrived, and what is in the file has not: a power loss. */
  | 'hollow'

export const endsOf = ({ kind }: FileOperation): End[] =>
  kind === 'write' ? ['done', 'torn'] : kind === 'rename' || kind === 'link' ? ['done', 'hollow'] : ['done']

const CALLS =
  'openat,open,creat,write,pwrite64,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir'

/** Runs node and records what it changes below a folder. @throws Error when it fails */
export async function recordOperations(folder: string, args: string[]): Promise<FileOperation[]> {
  const log = `${folder}.strace`
  const options = ['-f', '-y', '-qq', '-xx', '-s', '1000000', '-e', `trace=${CALLS}`, '-o', log]
  const { code, stderr } = await runProgram('strace', [...options, process.execPath, ...args])
  if (code !== 0) throw new Error(stderr)
  const lines = readFileSync(log, 'utf8').split('\n')
  rmSync(log)
  return lines.flatMap(line => operationIn(line, folder) ?? [])
}

function operationIn(line: string, folder: string): FileOperation | undefined {
  const [, call = '', rest = '', result = ''] = /^\d+ +(\w+)\((.*)\) += (-?\d+)/.exec(line) ?? []
  if (call === '' || result.startsWith('-')) return undefined
  const texts = [...rest.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex = '']) => bytesOf(hex))
  const below = (path: Buffer | string | undefined): string | undefined => {
    const text = String(path ?? '')
    return text.startsWith(`${folder}/`) ? text.slice(folder.length + 1) : undefined
  }
  if (call.endsWith('write') || call === 'pwrite64') {
    const path = below(bytesOf(/^\d+<((?:\\x[0-9a-f]{2})*|[^>]*)>/.exec(rest)?.[1] ?? ''))
    const [bytes] = texts
    return path === undefined || bytes === undefined ? undefined : { kind: 'write', path, bytes }
  }
  const [first, second] = texts.map(below)
  if (first === undefined) return undefined
  if (call.startsWith('open') || call === 'creat') return openingOf(rest, first)
  if (call.startsWith('rename') && second !== undefined) return { kind: 'rename', from: first, path: second }
  if (call.startsWith('link') && second !== undefined) return { kind: 'link', from: first, path: second }
  if (call.startsWith('mkdir')) return { kind: 'mkdir', path: first }
  if (call === 'rmdir' || /AT_REMOVEDIR/.test(rest)) return { kind: 'rmdir', path: first }
  return call.startsWith('unlink') ? { kind: 'unlink', path: first } : undefined
}

function openingOf(flags: string, path: string): FileOperation | undefined {
  if (/O_TRUNC/.test(flags)) return { kind: 'empty', path }
  return /O_CREAT/.test(flags) ? { kind: 'create', path } : undefined
}

/** `\x2f\x72` as bytes; a text that is not of that form as it is. */
const bytesOf = (text: string): Buffer =>
  text.startsWith('\\x') ? Buffer.from(text.replaceAll('\\x', ''), 'hex') : Buffer.from(text)

/** Does operations again below another folder. @param end how the last one went */
export function replay(folder: string, operations: readonly FileOperation[], end: End): void {
  for (const [index, operation] of operations.entries())
    doAgain(folder, operation, index === operations.length - 1 ? end : 'done')
}

function doAgain(folder: string, operation: FileOperation, end: End): void {
  const path = join(folder, operation.path)
  if ('from' in operation) {
    const name = operation.kind === 'rename' ? renameSync : linkSync
    name(join(folder, operation.from), path)
    if (end !== 'hollow') return
    rmSync(path)
    writeFileSync(path, '')
  } else if (operation.kind === 'create') appendFileSync(path, '', { mode: 0o600 })
  else if (operation.kind === 'empty') writeFileSync(path, '', { mode: 0o600 })
  else if (operation.kind === 'write') appendFileSync(path, arrived(operation.bytes, end))
  else if (operation.kind === 'mkdir') mkdirSync(path)
  else if (operation.kind === 'rmdir') rmdirSync(path)
  else rmSync(path)
}

const arrived = (bytes: Buffer, end: End): Buffer =>
  bytes.subarray(0, bytes.length / (end === 'torn' ? 2 : 1))
