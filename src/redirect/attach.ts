/** Loads the programs, by as much as this kernel tells about a socket, and attaches them. */

import { kernelMember } from '../bpf/btf.ts'
import {
  attachToCgroup,
  BPF_CGROUP_INET4_CONNECT,
  BPF_CGROUP_INET4_GETPEERNAME,
  BPF_CGROUP_INET6_CONNECT,
  BPF_CGROUP_INET6_GETPEERNAME,
  openCgroupRoot,
} from '../bpf/cgroup.ts'
import type { Line } from '../bpf/instructions.ts'
import { BPF_PROG_TYPE_CGROUP_SOCK_ADDR, loadProgram } from '../bpf/program.ts'
import type { Fd } from '../ffi/fd.ts'
import type { Family } from '../model/address/address.ts'
import { hasCode } from '../model/errors.ts'
import type { Knowledge } from './conditions.ts'
import { connectProgram, LICENCE, type Maps, peerNameProgram } from './programs.ts'

/**
 * Attaches all, or none.
 * @returns links, which end with their descriptors
 * @throws SystemError, TsnetError as loadProgram
 */
export function attachPrograms(maps: Maps): Fd[] {
  const v6only = kernelMember('sock_common', 'skc_ipv6only')
  const loaded: Loaded[] = []
  const links: Fd[] = []
  try {
    // The way back first: nobody is to see a container.
    loaded.push(...loadAll(PEER_NAME, family => peerNameProgram(family, maps)))
    const known = [
      ...(v6only === undefined ? [] : [{ v6only, mptcp: true }]),
      { mptcp: true },
      { mptcp: false },
    ]
    loaded.push(...firstLoaded(known, each => loadAll(CONNECT, family => connectProgram(family, maps, each))))
    using cgroup = openCgroupRoot()
    for (const { program, attachType } of loaded) links.push(attachToCgroup(program, cgroup, attachType))
    return links
  } catch (thrown) {
    for (const link of links) link.close()
    throw thrown
  } finally {
    for (const { program } of loaded) program.close()
  }
}

interface Loaded {
  program: Fd
  attachType: number
}

type Hook = readonly (readonly [family: Family, name: string, attachType: number])[]
const CONNECT: Hook = [
  [4, 'tsnet_connect4', BPF_CGROUP_INET4_CONNECT],
  [6, 'tsnet_connect6', BPF_CGROUP_INET6_CONNECT],
]
const PEER_NAME: Hook = [
  [4, 'tsnet_peer4', BPF_CGROUP_INET4_GETPEERNAME],
  [6, 'tsnet_peer6', BPF_CGROUP_INET6_GETPEERNAME],
]

/** Loads a program for each family, or none. @throws as loadProgram */
function loadAll(hook: Hook, linesFor: (family: Family) => readonly Line[]): Loaded[] {
  const loaded: Loaded[] = []
  try {
    for (const [family, name, attachType] of hook) {
      const purpose = { name, type: BPF_PROG_TYPE_CGROUP_SOCK_ADDR, attachType, licence: LICENCE }
      loaded.push({ program: loadProgram(purpose, linesFor(family)), attachType })
    }
    return loaded
  } catch (thrown) {
    for (const { program } of loaded) program.close()
    throw thrown
  }
}

/** By the most knowledge that the verifier lets a program have. @throws what it says against the least */
function firstLoaded(all: readonly Knowledge[], load: (one: Knowledge) => Loaded[]): Loaded[] {
  let refused: unknown
  for (const one of all) {
    try {
      return load(one)
    } catch (thrown) {
      if (!hasCode(thrown, 'kernel')) throw thrown
      refused = thrown
    }
  }
  throw refused
}
