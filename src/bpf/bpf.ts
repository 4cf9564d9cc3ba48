/**
 * BPF: small programs that the kernel runs for us, without a compiler, a library or a file.
 *
 *     instructions   a program as lines with labels ──▶ bytes          pure
 *     btf            what the kernel says of its own structures        pure, and the one file it reads
 *     map            what programs and we both see
 *     program        bytes ──▶ verified by the kernel, whose words are in the error
 *     cgroup         the root of the second hierarchy, and programs that hold on to it
 *     this file      bpf(2) itself: commands, and the union that they take
 *
 * What is made here is a descriptor, and lives as long as somebody has it: nothing is pinned in bpffs, so a process
 * that ends, however it does, takes its programs with it. The kernel makes such descriptors close-on-exec.
 *
 * Names and numbers are those of linux/bpf.h. Bytes are put together for machines that have the low byte first;
 * on others everything here is refused before it begins.
 */

import { endianness } from 'node:os'
import { addressOf, errno, libc, SystemError } from '../ffi/ffi.ts'
import { TsnetError } from '../model/errors.ts'

/** enum bpf_cmd */
export const BPF_MAP_CREATE = 0
export const BPF_MAP_LOOKUP_ELEM = 1
export const BPF_MAP_UPDATE_ELEM = 2
export const BPF_MAP_DELETE_ELEM = 3
export const BPF_PROG_LOAD = 5
export const BPF_BTF_LOAD = 18
export const BPF_LINK_CREATE = 28

/** Of bpf(2), by processor (asm/unistd.h). */
const NUMBERS: { [arch in NodeJS.Architecture]?: number } = {
  x64: 321,
  arm64: 280,
  riscv64: 280,
  loong64: 280,
  ppc64: 361,
  ia32: 357,
  arm: 386,
}

/** V8 moves arrays that are smaller than this, see ffi's addressOf. */
const LEAST = 64

/** Memory whose address can be given to the kernel. */
export const pinned = (size: number): Uint8Array => new Uint8Array(Math.max(size, LEAST)).subarray(0, size)

/** The same with these bytes in it. */
export function pinnedCopy(bytes: Uint8Array): Uint8Array {
  const copy = pinned(bytes.length)
  copy.set(bytes)
  return copy
}

/** A field of union bpf_attr; a pointer where it is memory, which has to be pinned. */
export type Field = readonly [offset: number, value: number | bigint | Uint8Array]

/** A union bpf_attr; what is not given is 0. Numbers are __u32, bigints __u64. */
export function attr(...fields: Field[]): Uint8Array {
  const bytes = pinned(128)
  const view = new DataView(bytes.buffer)
  for (const [offset, value] of fields) {
    if (typeof value === 'number') view.setUint32(offset, value, true)
    else view.setBigUint64(offset, typeof value === 'bigint' ? value : addressOf(value), true)
  }
  return bytes
}

/**
 * bpf(2).
 * @param what names the operation in the error
 * @throws SystemError; TsnetError `missing` where this processor is not served
 */
export function bpf(what: string, command: number, union: Uint8Array): number {
  const result = tryBpf(command, union)
  if (result < 0) throw new SystemError(`bpf ${what}`, errno())
  return result
}

/** As bpf, but with a negative result, see errno. */
export function tryBpf(command: number, union: Uint8Array): number {
  const number = NUMBERS[process.arch]
  if (number === undefined || endianness() !== 'LE')
    throw new TsnetError(
      'missing',
      `programs for the kernel are made for little-endian machines that are known here, not for ${process.arch}`,
    )
  return Number(libc.bpf(number, command, union, union.length))
}
