/** Reads all of standard input, and writes all of standard output, without the event loop. */

import { fstatSync, readSync, writeSync } from 'node:fs'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'

/** A configuration with every port of a host published is about 5 MB. */
const LIMIT_BYTES = 10_000_000

/** Where the launcher that is a script leaves what it has read already, see launcher/launch.cjs. */
const READ_BEFORE: unique symbol = Symbol.for('tsnet stdin')

/**
 * The text on standard input up to its end.
 * @throws TsnetError `io`: it cannot be read, or there is too much; the rest is left unread
 */
export function readStdin(): string {
  const read = (globalThis as { [READ_BEFORE]?: Buffer })[READ_BEFORE]
  if (read !== undefined) {
    checkLength(read.length)
    return read.toString()
  }
  const chunks: Buffer[] = []
  let length = 0
  let chunk = Buffer.allocUnsafe(65_536)
  for (;;) {
    const count = patiently('read', () => readSync(0, chunk, 0, chunk.length, null))
    if (count === 0) return Buffer.concat(chunks).toString()
    length += count
    checkLength(length)
    chunks.push(chunk.subarray(0, count))
    chunk = Buffer.allocUnsafe(65_536)
  }
}

function checkLength(length: number): void {
  if (length < LIMIT_BYTES) return
  throw new TsnetError('io', `stdin: more than ${LIMIT_BYTES} bytes is no network configuration`)
}

/** As readStdin; empty where stdin is a terminal or /dev/null, which VERSION need not wait for. */
export function readStdinIfPiped(): string {
  try {
    return fstatSync(0).isCharacterDevice() ? '' : readStdin()
  } catch {
    return ''
  }
}

/** @throws Node's error, such as EPIPE where nobody listens any more */
export function writeStdout(text: string): void {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; ) at += patiently('write', () => writeSync(1, bytes, at))
}

// A caller may hand us a descriptor that does not block. There is nothing else to do meanwhile.
function patiently(what: 'read' | 'write', attempt: () => number): number {
  for (;;) {
    try {
      return attempt()
    } catch (thrown) {
      if (what === 'read' && hasCode(thrown, 'EOF')) return 0
      if (!hasCode(thrown, 'EAGAIN', 'EINTR')) {
        if (what === 'write') throw thrown
        throw new TsnetError('io', `stdin: ${messageOf(thrown)}`, { cause: thrown })
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    }
  }
}
