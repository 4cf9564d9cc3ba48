/**
 * Reading, and writing, a file in which something else may stand by now: a FIFO would be waited for, a device may do
 * anything, a link may lead anywhere, and a file of a gigabyte is nobody's state. So what is opened is looked at before,
 * never waited for, and looked at once more when it is open.
 */

import { isUtf8 } from 'node:buffer'
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { hasCode, messageOf } from '../model/errors.ts'
import { Fd } from './fd.ts'
import { libc } from './ffi.ts'
import { randomBytes } from './random.ts'

/** The text of a file, or in words why it is none. */
export type Content = { text: string } | { damage: string }

export interface ReadOptions {
  /** A link is followed: the file is somebody else's, who may keep it elsewhere. */
  follow?: boolean
  /** Default 16 MiB. */
  atMost?: number
  /** That there is none is an error, as others make it. */
  mustBe?: boolean
}

const AT_MOST = 16 * 1024 * 1024

/**
 * Reads a whole file.
 * @returns undefined where there is none
 * @throws Node's error where the kernel is short of something, does not let us look, or the disk fails
 */
export function readRegular(path: string, options: ReadOptions = {}): Content | undefined {
  const { follow = false, atMost = AT_MOST, mustBe = false } = options
  // Most are looked for before they are there, and an error takes longer than the look.
  const before: Stats | undefined = (follow ? statSync : lstatSync)(path, { throwIfNoEntry: mustBe })
  if (before === undefined) return undefined
  const unfit = unfitness(before, atMost)
  if (unfit !== undefined) return { damage: unfit }
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | (follow ? 0 : constants.O_NOFOLLOW))
    try {
      const changed = unfitness(fstatSync(fd), atMost)
      return changed === undefined ? contentOf(fd, before.size, atMost) : { damage: changed }
    } finally {
      closeSync(fd)
    }
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT') && !mustBe) return undefined
    // Something else has come into its place meanwhile.
    if (hasCode(thrown, 'ELOOP', 'ENXIO')) return { damage: `cannot be read: ${messageOf(thrown)}` }
    throw thrown
  }
}

const PLAIN = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW
const O_CLOEXEC = 0o2000000

/** Most files of state are some kilobytes. */
const LISTED_MOST = 64 * 1024
let listed: Buffer | undefined
const REPLACEMENT = '\ufffd'

/**
 * A folder whose files are read one after the other: of thousands the kernel then looks up only their names, and Node, which
 * takes as long as the kernel to pass on a call, is not asked.
 */
export class ListedFolder implements Disposable {
  readonly #path: string
  readonly #folder: Fd

  /** @throws Node's error where it cannot be opened */
  constructor(path: string) {
    this.#path = path
    this.#folder = new Fd(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY))
  }

  /**
   * As readRegular without options, of what a listing has just told to be a file: without looking at it before and when it
   * is open. Whatever is odd about it is looked at in full.
   */
  read(name: string): Content | undefined {
    listed ??= Buffer.allocUnsafeSlow(LISTED_MOST)
    const fd = libc.openat(this.#folder.number, name, PLAIN | O_CLOEXEC)
    if (fd >= 0) {
      const length = libc.read(fd, listed, LISTED_MOST)
      libc.close(fd)
      if (length > 0 && length < LISTED_MOST) {
        const text = listed.toString('utf8', 0, length)
        // Where something is no UTF-8 there would be one, and in what we write there is hardly ever.
        if (!text.includes(REPLACEMENT)) return { text }
      }
    }
    // It says below what it is, or throws.
    return readRegular(join(this.#path, name))
  }

  [Symbol.dispose](): void {
    this.#folder.close()
  }
}

function contentOf(fd: number, expected: number, atMost: number): Content {
  const chunks: Buffer[] = []
  let length = 0
  // Files of /proc say that they are empty.
  let buffer = Buffer.allocUnsafe(expected === 0 ? 4096 : expected + 1)
  for (;;) {
    const got = readSync(fd, buffer, 0, buffer.length, null)
    if (got === 0) break
    chunks.push(buffer.subarray(0, got))
    length += got
    if (length > atMost) return { damage: sizeOf(length) }
    if (expected > 0 && length === expected) break
    buffer = Buffer.allocUnsafe(64 * 1024)
  }
  const bytes = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
  return isUtf8(bytes) ? { text: bytes.toString('utf8') } : { damage: 'is not UTF-8' }
}

/** What else a file is, in words; undefined for one that can be read. */
function unfitness(stats: Stats, atMost: number): string | undefined {
  if (stats.isFile()) return stats.size > atMost ? sizeOf(stats.size) : undefined
  if (stats.isDirectory()) return 'is a directory'
  if (stats.isSymbolicLink()) return 'is a symbolic link'
  if (stats.isFIFO()) return 'is a FIFO'
  if (stats.isSocket()) return 'is a socket'
  return 'is a device'
}

const sizeOf = (bytes: number): string => `is ${(bytes / 1024 / 1024).toFixed(0)} MiB large`

/**
 * The text of a file that people or other programs keep, links followed.
 * @throws Node's error, also where there is none; Error saying that it is a FIFO, say
 */
export function readGiven(path: string): string {
  const content = readRegular(path, { follow: true, mustBe: true })
  if (content !== undefined && 'text' in content) return content.text
  throw new Error(`${path} ${content?.damage ?? 'is gone'}`)
}

/** Writes all of a text to an open file. @throws Node's error */
export function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
}

/** The same, and closes it, whatever close(2) answers. @param sync wait until it is on the disk @throws Node's error */
export function writeAndClose(fd: number, text: string, sync = false): void {
  try {
    writeAll(fd, text)
    if (sync) fsyncSync(fd)
  } finally {
    libc.close(fd)
  }
}

/** What distinguishes the name of something that is set aside: when, and of those of one millisecond which. */
export function asideMark(): string {
  const stamp = new Date().toISOString().replace(/[-:.]/g, '')
  return `${stamp}-${Buffer.from(randomBytes(3)).toString('hex')}`
}
