/**
 * The tables of iptables' legacy variant, as the kernel hands them out: one block of entries a table, each with
 * what it asks of addresses and interfaces, matches, and a target. A jump names the place that it leads to.
 *
 * A table is made by asking for it, so only those are asked for that are there.
 *
 * Source: linux/netfilter/x_tables.h, linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h, as they
 * are on machines of 64 bits.
 */

import { readFileSync } from 'node:fs'
import { Fd } from '../../ffi/fd.ts'
import { libc, must } from '../../ffi/ffi.ts'
import { SOCK_CLOEXEC, SOCK_RAW } from '../../ffi/socket.ts'
import type { Family } from '../../model/address/address.ts'
import { hasCode } from '../../model/errors.ts'
import { AF_INET, AF_INET6 } from '../../netlink/constants.ts'
import type { BaseChain, ChainName, Hook, Rule, Ruleset, SetView } from '../rule.ts'
import { contentMark, readTable, type TableBlock } from './table.ts'

const IPPROTO_RAW = 255
/** Level and first option of IPT_SO_GET_INFO and IP6T_SO_GET_INFO. */
const LEVELS = { 4: 0, 6: 41 } as const
const GET_INFO = 64
const GET_ENTRIES = 65
const NAME_LENGTH = 32
const INFO_LENGTH = 84
/** In struct ipt_get_entries. */
const ENTRIES_AT = 40
const ATTEMPTS = 5

const HEADER: Record<Family, string> = { 4: 'ip', 6: 'ip6' }

/** Names of the tables that are there, in the namespace of the thread. */
export function legacyTables(family: Family): string[] {
  try {
    const text = readFileSync(`/proc/thread-self/net/${HEADER[family]}_tables_names`, 'utf8')
    return text.split('\n').filter(name => /^[a-z]+$/.test(name))
  } catch (thrown) {
    // ENOENT: the kernel has none; EACCES: nor would it let us look.
    if (hasCode(thrown, 'ENOENT', 'EACCES')) return []
    throw thrown
  }
}

/**
 * What becomes another text when rules are added to the tables of a family, or taken from them: number and size of the
 * entries, and where the hooks begin. It costs some microseconds, and nothing is read of the rules.
 * @throws SystemError
 */
export function legacyMark(family: Family): string {
  const tables = legacyTables(family)
  if (tables.length === 0) return ''
  using fd = rawSocket(family)
  return tables
    .map(table => {
      const info = askFor(fd.number, family, GET_INFO, table, INFO_LENGTH)
      return `${table} ${Buffer.from(info.subarray(NAME_LENGTH)).toString('base64')}`
    })
    .join()
}

/**
 * As legacyMark, and it is another text where a policy, or a rule for another of the same size, has changed. The kernel
 * copies all rules for it, and sums up what each of its processors has counted.
 * @throws SystemError
 */
export const legacyContent = (family: Family): string =>
  legacyTables(family)
    .map(table => `${table} ${contentMark(readBlock(family, table).entries, family)}`)
    .join()

function rawSocket(family: Family): Fd {
  const socket = libc.socket(family === 4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)
  return new Fd(must('socket', socket))
}

/** @throws SystemError */
function readBlock(family: Family, table: string): TableBlock {
  using fd = rawSocket(family)
  for (let attempt = 1; ; attempt++) {
    const info = askFor(fd.number, family, GET_INFO, table, INFO_LENGTH)
    const u32 = (at: number): number => new DataView(info.buffer).getUint32(at, true)
    try {
      const size = u32(INFO_LENGTH - 4)
      const entries = askFor(fd.number, family, GET_ENTRIES, table, ENTRIES_AT + size, size)
      return { hooks: hooksOf(u32), entries: entries.subarray(ENTRIES_AT) }
    } catch (thrown) {
      // Somebody has changed it meanwhile, and its size.
      if (!hasCode(thrown, 'EAGAIN') || attempt === ATTEMPTS) throw thrown
    }
  }
}

/** Those that are valid, of which struct ipt_getinfo tells both places. */
const hooksOf = (u32: (at: number) => number): TableBlock['hooks'] =>
  [0, 1, 2, 3, 4]
    .filter(number => (u32(NAME_LENGTH) & (1 << number)) !== 0)
    .map(number => ({
      number,
      start: u32(NAME_LENGTH + 4 + 4 * number),
      policy: u32(NAME_LENGTH + 24 + 4 * number),
    }))

/** @throws SystemError `EAGAIN` where the size is not right any more */
function askFor(
  fd: number,
  family: Family,
  option: number,
  table: string,
  length: number,
  size?: number,
): Uint8Array {
  const memory = new Uint8Array(length)
  memory.set(Buffer.from(table))
  if (size !== undefined) new DataView(memory.buffer).setUint32(NAME_LENGTH, size, true)
  const lengthBytes = new Uint8Array(new Uint32Array([length]).buffer)
  must('getsockopt', libc.getsockopt(fd, LEVELS[family], option, memory, lengthBytes))
  return memory
}

/** NF_INET_*. */
const HOOKS: readonly Hook[] = ['prerouting', 'input', 'forward', 'output', 'postrouting']
/** What their hooks stand at. Source: linux/netfilter_ipv4.h, enum nf_ip_hook_priorities. */
const PRIORITIES: Record<string, number> = { raw: -300, mangle: -150, filter: 0, security: 50 }

export class LegacyRuleset implements Ruleset {
  readonly #bases: BaseChain[] = []
  readonly #rules = new Map<string, Rule[]>()
  readonly #family: Family

  constructor(family: Family) {
    this.#family = family
    for (const table of legacyTables(family)) {
      const priority = PRIORITIES[table]
      if (priority === undefined) continue
      const { chains, policies } = readTable(readBlock(family, table), family)
      for (const [chain, rules] of chains) this.#rules.set(`${table} ${chain}`, rules)
      for (const { number, chain, drops } of policies) {
        const hook = HOOKS[number]
        if (hook === undefined) continue
        this.#bases.push({ dialect: 'legacy', family: HEADER[family], table, chain, hook, priority, drops })
      }
    }
  }

  baseChains(hook: Hook, family: Family): BaseChain[] {
    return family === this.#family ? this.#bases.filter(each => each.hook === hook) : []
  }

  rules({ table, chain }: ChainName): Rule[] {
    return this.#rules.get(`${table} ${chain}`) ?? []
  }

  set(): SetView {
    return { isNamed: true, all: () => [], find: () => undefined }
  }
}
