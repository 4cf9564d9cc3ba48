/** What a process has of programs, maps and links, and whether the kernel still has it. */

import { readdirSync, readFileSync } from 'node:fs'
import { attr, bpf, pinned, tryBpf } from '../../src/bpf/bpf.ts'
import { Fd } from '../../src/ffi/fd.ts'

/** BPF_PROG_GET_FD_BY_ID, BPF_MAP_GET_FD_BY_ID, BPF_LINK_GET_FD_BY_ID */
const GET_FD_BY_ID = { prog: 13, map: 14, link: 30 } as const
const MAP_GET_NEXT_KEY = 4
const KEY_MAX = 64

export interface BpfObject {
  kind: keyof typeof GET_FD_BY_ID
  id: number
}

/** By its descriptors; a link holds a program. */
export function bpfObjectsOf(pid: number): BpfObject[] {
  const folder = `/proc/${pid}/fdinfo`
  return readdirSync(folder).flatMap(name => {
    const text = infoAt(`${folder}/${name}`)
    return (['prog', 'map', 'link'] as const).flatMap(kind => {
      const [, id] = new RegExp(`^${kind}_id:\\s*(\\d+)$`, 'm').exec(text) ?? []
      return id === undefined ? [] : [{ kind, id: Number(id) }]
    })
  })
}

/** What a descriptor is that goes meanwhile. */
function infoAt(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Whether the kernel has it, whoever holds it. */
export function isThere({ kind, id }: BpfObject): boolean {
  const fd = tryBpf(GET_FD_BY_ID[kind], attr([0, id]))
  if (fd < 0) return false
  new Fd(fd).close()
  return true
}

/** How many keys a map has that has any; 0, too, for what keeps its elements in sockets. */
export function keysOf({ id }: BpfObject): number {
  using map = new Fd(bpf('BPF_MAP_GET_FD_BY_ID', GET_FD_BY_ID.map, attr([0, id])))
  let count = 0
  let [key, next] = [pinned(0), pinned(KEY_MAX)]
  while (tryBpf(MAP_GET_NEXT_KEY, attr([0, map.number], [8, count === 0 ? 0n : key], [16, next])) === 0) {
    ;[key, next] = [next, count === 0 ? pinned(KEY_MAX) : key]
    count++
  }
  return count
}
