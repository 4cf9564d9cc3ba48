/**
 * Lets bytes pass as whole lines only. ndjson looks through a line from its beginning with every chunk of
 * it that arrives; a list of ten thousand published ports is one line of two hundred chunks.
 */

import { Transform, type TransformCallback } from 'node:stream'

const NEWLINE = 10

export class WholeLines extends Transform {
  readonly #maxLength: number
  #begun: Buffer[] = []
  #length = 0

  /** @param maxLength of a line in bytes; a longer one is an error */
  constructor(maxLength: number) {
    super()
    this.#maxLength = maxLength
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const end = chunk.lastIndexOf(NEWLINE) + 1
    if (end > 0) {
      this.push(Buffer.concat([...this.#begun, chunk.subarray(0, end)]))
      this.#begun = []
      this.#length = 0
    }
    const rest = chunk.subarray(end)
    this.#begun.push(rest)
    this.#length += rest.length
    done(this.#length > this.#maxLength ? new RangeError('a line is too long') : null)
  }

  /** What is left is passed on, to be found to be half a line. */
  override _flush(done: TransformCallback): void {
    done(null, Buffer.concat(this.#begun))
  }
}
