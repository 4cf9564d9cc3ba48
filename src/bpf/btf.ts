/**
 * BTF: structures described in numbers. We write as much as a map of sockets needs, and read from the running kernel's
 * where a member of one of its structures is, which no header promises.
 *
 * Source: linux/btf.h. A blob is a header, types (struct btf_type, each with what its kind adds) and strings.
 */

import { readFileSync } from 'node:fs'
import { TsnetError } from '../model/errors.ts'

const MAGIC = 0xeb9f
const HEADER_SIZE = 24
const TYPE_SIZE = 12
const MEMBER_SIZE = 12

/** enum of BTF_KIND_*, as far as they are named here. */
const [KIND_INT, KIND_ARRAY, KIND_STRUCT, KIND_UNION] = [1, 3, 4, 5] as const

/** What follows a struct btf_type, in bytes, by kind: a fixed part, and one for each of vlen. */
const TAILS: Record<number, readonly [fixed: number, each: number]> = {
  [KIND_INT]: [4, 0],
  [KIND_ARRAY]: [12, 0],
  [KIND_STRUCT]: [0, MEMBER_SIZE],
  [KIND_UNION]: [0, MEMBER_SIZE],
  6: [0, 8], // BTF_KIND_ENUM
  13: [0, 8], // BTF_KIND_FUNC_PROTO
  14: [4, 0], // BTF_KIND_VAR
  15: [0, 12], // BTF_KIND_DATASEC
  17: [4, 0], // BTF_KIND_DECL_TAG
  19: [0, 12], // BTF_KIND_ENUM64
}

const WORD = 4

/** Type 1, an int of 32 bits, is the key; type 2, an array of them, the value. */
export function encodeStorageBtf(valueSize: number): Uint8Array {
  const types = [
    [1, KIND_INT << 24, WORD, 32], // "int", of 32 bits
    [0, KIND_ARRAY << 24, 0, 1, 1, valueSize / WORD], // of type 1, counted by type 1
  ].flat()
  const strings = new TextEncoder().encode('\0int\0')
  const bytes = new Uint8Array(HEADER_SIZE + types.length * WORD + strings.length)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, MAGIC, true)
  view.setUint8(2, 1) // version
  view.setUint32(4, HEADER_SIZE, true)
  view.setUint32(12, types.length * WORD, true) // type_len
  view.setUint32(16, types.length * WORD, true) // str_off
  view.setUint32(20, strings.length, true)
  for (const [i, word] of types.entries()) view.setUint32(HEADER_SIZE + i * WORD, word, true)
  bytes.set(strings, HEADER_SIZE + types.length * WORD)
  return bytes
}

/**
 * Where a member of a structure is.
 * @param blob BTF, as the kernel shows it
 * @returns in bits from the structure's beginning; undefined where there is no such member
 * @throws TsnetError `decode`
 */
export function memberOffset(blob: Uint8Array, struct: string, member: string): number | undefined {
  try {
    return find(blob, struct, member)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new TsnetError('decode', 'this BTF leads out of itself', { cause })
  }
}

/** @throws RangeError where a number in it leads out of the blob */
function find(blob: Uint8Array, struct: string, member: string): number | undefined {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength)
  if (blob.length < HEADER_SIZE || view.getUint16(0, true) !== MAGIC)
    throw new TsnetError('decode', 'this is no BTF')
  const start = view.getUint32(4, true)
  const [typeOff, typeLen, strOff, strLen] = [8, 12, 16, 20].map(at => view.getUint32(at, true)) as [
    number,
    number,
    number,
    number,
  ]
  if (start + strOff + strLen > blob.length) throw new RangeError('its strings are cut short')
  const strings = Buffer.from(blob.buffer, blob.byteOffset + start + strOff, strLen)
  const nameAt = (at: number) => strings.toString('latin1', at, strings.indexOf(0, at))
  const wanted = strings.indexOf(`\0${struct}\0`, 0, 'latin1') + 1
  if (wanted === 0) return undefined
  const end = start + typeOff + typeLen
  for (let at = start + typeOff; at + TYPE_SIZE <= end; ) {
    const info = view.getUint32(at + 4, true)
    const [kind, vlen, kindFlag] = [(info >>> 24) & 0x1f, info & 0xffff, info >>> 31]
    const [fixed, each] = TAILS[kind] ?? [0, 0]
    const next = at + TYPE_SIZE + fixed + vlen * each
    if (kind === KIND_STRUCT && vlen > 0 && view.getUint32(at, true) === wanted) {
      for (let m = at + TYPE_SIZE; m < next; m += MEMBER_SIZE) {
        // With kind_flag the size of a bit field stands in the upper bits.
        const offset = view.getUint32(m + 8, true)
        if (nameAt(view.getUint32(m, true)) === member) return kindFlag ? offset & 0xffffff : offset
      }
      return undefined
    }
    at = next
  }
  return undefined
}

/** As memberOffset, of the kernel that runs; undefined, too, where it does not say. */
export function kernelMember(struct: string, member: string): number | undefined {
  try {
    return memberOffset(readFileSync('/sys/kernel/btf/vmlinux'), struct, member)
  } catch {
    return undefined
  }
}
