/**
 * What the registers of nf_tables hold while the expressions of a rule are read: 64 bytes, known as sixteen
 * registers of four bytes (8 and up) or as four of sixteen (1 to 4). Keys of several values lie side by side.
 */

import type { Part } from '../rule.ts'

interface Loaded {
  at: number
  length: number
  /** Undefined: not known. */
  part: Part | undefined
}

const NFT_REG32_00 = 8
const WORD = 4
const REGISTER = 16

const placeOf = (register: number): number =>
  register >= NFT_REG32_00 ? (register - NFT_REG32_00) * WORD : (register - 1) * REGISTER

const lengthOf = (part: Part): number => ('bytes' in part ? part.bytes.length : part.source.length)

/** The first bytes of a part. */
function first(part: Part, length: number): Part {
  if ('bytes' in part) return { bytes: part.bytes.subarray(0, length) }
  const { source, mask, xor, ...rest } = part
  return {
    ...rest,
    source: { ...source, length },
    ...(mask && { mask: mask.subarray(0, length) }),
    ...(xor && { xor: xor.subarray(0, length) }),
  }
}

export class Registers {
  #loaded: Loaded[] = []

  load(register: number, part: Part): void {
    this.#put(placeOf(register), lengthOf(part), part)
  }

  /** Something is loaded, and nobody knows what. */
  forget(register: number, length: number): void {
    this.#put(placeOf(register), length, undefined)
  }

  #put(at: number, length: number, part: Part | undefined): void {
    const end = at + Math.ceil(length / WORD) * WORD
    this.#loaded = [
      ...this.#loaded.filter(each => each.at + each.length <= at || each.at >= end),
      { at, length, part },
    ].sort((a, b) => a.at - b.at)
  }

  /** What lies in these bytes; undefined where that is not known. */
  key(register: number, length: number): Part[] | undefined {
    const start = placeOf(register)
    const parts: Part[] = []
    let at = start
    for (const each of this.#loaded) {
      if (each.at < at || at >= start + length) continue
      if (each.at > at || each.part === undefined) return undefined
      const left = start + length - at
      parts.push(left < each.length ? first(each.part, left) : each.part)
      at += Math.min(left, each.length)
      const border = Math.ceil(at / WORD) * WORD
      const padding = Math.min(border, start + length) - at
      if (padding > 0) parts.push({ bytes: new Uint8Array(padding) })
      at += Math.max(padding, 0)
    }
    return at < start + length ? undefined : parts
  }

  /** All that lies side by side from there on: the key of a look-up, whose length the set knows. */
  keyFrom(register: number): Part[] | undefined {
    const start = placeOf(register)
    let end = start
    for (const { at, length } of this.#loaded) {
      if (at < start) continue
      if (at > Math.ceil(end / WORD) * WORD) break
      end = at + length
    }
    return end === start ? undefined : this.key(register, end - start)
  }

  mask(from: number, to: number, length: number, mask?: Uint8Array, xor?: Uint8Array): void {
    const part = this.#plain(from, length)
    const changed = xor?.some(byte => byte !== 0)
    this.#put(
      placeOf(to),
      length,
      part && mask && { ...part, mask, ...(changed && xor !== undefined && { xor }) },
    )
  }

  /** Bytes of each unit are turned around. */
  swap(from: number, to: number, length: number, size: number): void {
    const part = this.#plain(from, length)
    this.#put(placeOf(to), length, part && !part.swap ? { ...part, swap: size } : undefined)
  }

  /** A value of the packet that nothing was done to yet, but that it may be turned around. */
  #plain(register: number, length: number) {
    const key = this.key(register, length)
    const [only] = key ?? []
    return key?.length === 1 && only !== undefined && 'source' in only && !only.mask ? only : undefined
  }
}
