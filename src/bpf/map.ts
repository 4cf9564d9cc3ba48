/** Maps: memory that programs and we both see, by key. */

import { constants } from 'node:os'
import { Fd } from '../ffi/fd.ts'
import { errno, SystemError } from '../ffi/ffi.ts'
import {
  attr,
  BPF_BTF_LOAD,
  BPF_MAP_CREATE,
  BPF_MAP_DELETE_ELEM,
  BPF_MAP_LOOKUP_ELEM,
  BPF_MAP_UPDATE_ELEM,
  bpf,
  type Field,
  pinned,
  pinnedCopy,
  tryBpf,
} from './bpf.ts'
import { encodeStorageBtf } from './btf.ts'

/** enum bpf_map_type */
export const BPF_MAP_TYPE_ARRAY = 2
export const BPF_MAP_TYPE_LPM_TRIE = 11
const BPF_MAP_TYPE_SK_STORAGE = 24

/** Elements take memory as they come. */
export const BPF_F_NO_PREALLOC = 1

const NAME_AT = 28
const NAME_SIZE = 16
const { ENOENT } = constants.errno

export interface MapShape {
  type: number
  keySize: number
  valueSize: number
  maxEntries: number
  flags?: number
}

export class BpfMap implements Disposable {
  readonly #fd: Fd
  readonly #valueSize: number

  /** @param number a descriptor, which is ours from now on */
  constructor(number: number, valueSize: number) {
    this.#fd = new Fd(number)
    this.#valueSize = valueSize
  }

  get fd(): number {
    return this.#fd.number
  }

  /** @throws SystemError, such as `E2BIG` for a map that is full */
  set(key: Uint8Array, value: Uint8Array): void {
    bpf('BPF_MAP_UPDATE_ELEM', BPF_MAP_UPDATE_ELEM, this.#element(key, pinnedCopy(value)))
  }

  /** What is there under a key. @throws SystemError */
  get(key: Uint8Array): Uint8Array | undefined {
    const value = pinned(this.#valueSize)
    if (tryBpf(BPF_MAP_LOOKUP_ELEM, this.#element(key, value)) === 0) return value
    if (errno() === ENOENT) return undefined
    throw new SystemError('bpf BPF_MAP_LOOKUP_ELEM', errno())
  }

  /** @returns false where there was nothing. @throws SystemError */
  delete(key: Uint8Array): boolean {
    if (tryBpf(BPF_MAP_DELETE_ELEM, attr([0, this.fd], [8, pinnedCopy(key)])) === 0) return true
    if (errno() === ENOENT) return false
    throw new SystemError('bpf BPF_MAP_DELETE_ELEM', errno())
  }

  #element(key: Uint8Array, value: Uint8Array): Uint8Array {
    return attr([0, this.fd], [8, pinnedCopy(key)], [16, value])
  }

  [Symbol.dispose](): void {
    this.#fd.close()
  }
}

/** @param name as people see it, up to 15 letters, digits, `_` and `.`. @throws SystemError */
export function createMap(
  name: string,
  { type, keySize, valueSize, maxEntries, flags = 0 }: MapShape,
): BpfMap {
  const fd = create(name, [0, type], [4, keySize], [8, valueSize], [12, maxEntries], [16, flags])
  return new BpfMap(fd, valueSize)
}

/** A map whose elements live in sockets, and end with them. @throws SystemError */
export function createSocketStorage(name: string, valueSize: number): BpfMap {
  const blob = pinnedCopy(encodeStorageBtf(valueSize))
  using btf = new Fd(bpf('BPF_BTF_LOAD', BPF_BTF_LOAD, attr([0, blob], [16, blob.length])))
  const shape: Field[] = [
    [0, BPF_MAP_TYPE_SK_STORAGE],
    [4, 4], // key_size: to us a descriptor
    [8, valueSize],
    [16, BPF_F_NO_PREALLOC],
    [48, btf.number],
    [52, 1], // btf_key_type_id
    [56, 2], // btf_value_type_id
  ]
  return new BpfMap(create(name, ...shape), valueSize)
}

function create(name: string, ...fields: Field[]): number {
  const union = attr(...fields)
  union.set(new TextEncoder().encode(name).subarray(0, NAME_SIZE - 1), NAME_AT)
  return bpf(`BPF_MAP_CREATE ${name}`, BPF_MAP_CREATE, union)
}
