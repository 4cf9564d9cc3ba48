/** A connection without a kernel: what somebody says comes in pieces, and what is answered is kept. */

import { Duplex } from 'node:stream'

/** One end of a connection: what is written to it is kept. */
export class End extends Duplex {
  said = ''

  setTimeout(): void {}

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.said += chunk
    done()
  }
}

/** Lets all that waits for a turn of the event loop go on. */
const turn = () => new Promise<void>(resolve => setImmediate(resolve))

/** How many turns the streams between a socket and its answer may take. */
const TURNS = 12

/** Lines or pieces of a message, what ends each, and where the whole is cut in two. */
export type Said = [lines: string[], ending: string, cuts: number[]]

/** Sends in pieces. */
export async function send(end: End, said: string | Buffer, cuts: readonly number[]): Promise<void> {
  const bytes = Buffer.from(said)
  let at = 0
  for (const cut of [...cuts, bytes.length]) {
    if (end.destroyed || at >= bytes.length) break
    end.push(bytes.subarray(at, at + Math.max(cut, 1)))
    at += Math.max(cut, 1)
    await turn()
  }
  for (let i = 0; i < TURNS; i++) await turn()
}
