/** A struct of xtables, by offsets, in the byte order of the machine. */

/** Reads a struct. What lies beyond its end is zero, as in an older revision. */
export class Struct {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
  u8 = (at: number): number => this.#bytes[at] ?? 0
  u16 = (at: number): number => (at + 2 <= this.#bytes.length ? this.#view.getUint16(at, true) : 0)
  u32 = (at: number): number => (at + 4 <= this.#bytes.length ? this.#view.getUint32(at, true) : 0)
  bytes = (at: number, length: number): Uint8Array => {
    const part = new Uint8Array(length)
    part.set(this.#bytes.subarray(at, at + length))
    return part
  }
}
