/**
 * The guard of the reference's bridge plugin against spoofing (macspoofchk): a container sends with its own
 * link-layer address, or not at all.
 *
 *     bridge nat: PREROUTING (iifname HOST-END) ─▶ cni-br-iface-ID ─▶ cni-br-iface-ID-mac: its MAC, or drop
 *
 * ID is the container's id and the interface. Table and PREROUTING may be somebody else's, such as
 * libvirt's, and stay. The role `tsnet` has a guard of its own, which looks at addresses too (nat/spoof.ts).
 */

import { TsnetError } from '../../model/errors.ts'
import { parseInterfaceName } from '../../model/interface-name.ts'
import { shown } from '../../model/json/shown.ts'
import type { AttachmentKey } from '../../model/network.ts'
import { transactionOf } from '../../netfilter/commands.ts'
import { consistently } from '../../netfilter/generations.ts'
import { compileRule } from '../../netfilter/language/language.ts'
import {
  findChain,
  findTable,
  type ListedRule,
  listChains,
  listRules,
  readRule,
  rulesAsBytes,
  targetOf,
} from '../../netfilter/list.ts'
import { hasNfTables, missingNfTables, netfilterHere } from '../../netfilter/netfilter.ts'
import { denied, isMissing } from '../../netfilter/refusal.ts'
import { isMadeOf } from '../../netfilter/same-rule.ts'
import { type TableRef, tableText } from '../../netfilter/transaction.ts'

const TABLE_REF: TableRef = { family: 'bridge', name: 'nat' }
const TABLE = tableText(TABLE_REF)
const BASE = 'PREROUTING'
/** NFTNL_UDATA_COMMENT_MAXLEN. */
const COMMENT_MAX = 128

export interface MacGuard extends AttachmentKey {
  /** The host's end of the container's veth. */
  hostInterface: string
  /** The container's link-layer address. */
  mac: string
}

/** A guard of which not all may be known. */
type KnownGuard = AttachmentKey & { [key in 'hostInterface' | 'mac']?: string | undefined }

const namesOf = ({ containerId, ifname }: Pick<AttachmentKey, 'containerId' | 'ifname'>) => {
  const chain = `cni-br-iface-${containerId}-${ifname}`
  return {
    chain,
    macChain: `${chain}-mac`,
    comment: `macspoofchk-${containerId}-${ifname}`.slice(0, COMMENT_MAX),
  }
}

/** The rules of a guard, each with its chain; undefined in place of one that depends on what is not known. */
function rulesOf(guard: KnownGuard): [chain: string, rule: string | undefined][] {
  const { chain, macChain, comment } = namesOf(guard)
  const { hostInterface, mac } = guard
  const commented = (words: string) => `${words} comment "${comment}"`
  return [
    [BASE, hostInterface === undefined ? undefined : commented(`iifname "${hostInterface}" jump ${chain}`)],
    [chain, commented(`jump ${macChain}`)],
    [macChain, mac === undefined ? undefined : commented(`ether saddr ${mac} return`)],
    [macChain, commented('drop')],
  ]
}

/** @throws TsnetError `missing` where the guard could not be installed */
export function requireMacGuard(): void {
  if (!hasNfTables()) throw missingNfTables()
}

/**
 * Installs a guard in one transaction, in place of what the same attachment had.
 * @throws TsnetError `missing`, `kernel`
 */
export async function installMacGuard(guard: MacGuard): Promise<void> {
  const { mac } = guard
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac)) {
    throw new TsnetError('invalid-config', `mac: ${shown(mac)} is not a link-layer address`)
  }
  const device = parseInterfaceName(guard.hostInterface, 'hostInterface')
  const { chain, macChain } = namesOf(guard)
  const denial = transactionOf([
    `add table ${TABLE}`,
    `add chain ${TABLE} ${BASE} { type filter hook prerouting priority -300 ; policy accept ; }`,
    `add chain ${TABLE} ${chain}`,
    `add chain ${TABLE} ${macChain}`,
    `flush chain ${TABLE} ${chain}`,
    `flush chain ${TABLE} ${macChain}`,
    // What leads to a chain keeps it, so where there is none nothing does: PREROUTING has a rule for each container.
    ...(chainsOf(guard).length > 0 ? jumpsTo(guard) : []).map(
      handle => `delete rule ${TABLE} ${BASE} handle ${handle}`,
    ),
    ...rulesOf({ ...guard, hostInterface: device }).map(
      ([name, rule]) => `add rule ${TABLE} ${name} ${rule}`,
    ),
  ]).commit(netfilterHere())
  if (denial !== undefined) throw denied(`the spoof guard of ${device}`, denial)
}

/** The rules by which packets come to a guard. */
function rulesTo(key: Pick<AttachmentKey, 'containerId' | 'ifname'>): ListedRule[] {
  const { chain } = namesOf(key)
  return rulesAsBytes(netfilterHere(), { table: TABLE_REF, chain: BASE })
    .filter(bytes => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(chain))
    .flatMap(bytes => readRule(bytes) ?? [])
    .filter(rule => targetOf(rule) === chain)
}

const jumpsTo = (key: Pick<AttachmentKey, 'containerId' | 'ifname'>): bigint[] =>
  rulesTo(key).map(({ handle }) => handle)

/** How often a removal is tried again when others remove the same. */
const ATTEMPTS = 10

/** Removes a guard, whoever made it. Idempotent. @throws TsnetError `kernel` */
export async function withdrawMacGuard(key: Pick<AttachmentKey, 'containerId' | 'ifname'>): Promise<void> {
  if (!hasNfTables()) return
  for (let attempt = 1; ; attempt++) {
    const jumps = jumpsTo(key)
    const chains = chainsOf(key)
    if (jumps.length === 0 && chains.length === 0) return
    const denial = transactionOf([
      ...jumps.map(handle => `delete rule ${TABLE} ${BASE} handle ${handle}`),
      ...chains.map(name => `flush chain ${TABLE} ${name}`),
      ...chains.map(name => `delete chain ${TABLE} ${name}`),
    ]).commit(netfilterHere())
    if (denial === undefined) return
    if (!isMissing(denial) || attempt === ATTEMPTS) {
      throw denied(`removing the guard ${namesOf(key).chain}`, denial)
    }
  }
}

/** The chains of a guard that are there. */
function chainsOf(key: Pick<AttachmentKey, 'containerId' | 'ifname'>): string[] {
  const { chain, macChain } = namesOf(key)
  return [chain, macChain].filter(name => findChain(netfilterHere(), TABLE_REF, name) !== undefined)
}

/** What differs from an installed guard, in words: where it stands, and each of its rules. */
export async function verifyMacGuard(guard: KnownGuard): Promise<string[]> {
  if (!hasNfTables()) return problemsOf(guard, NOTHING)
  const nl = netfilterHere()
  const { chain, macChain } = namesOf(guard)
  const rulesIn = (chain: string) => listRules(nl, { table: TABLE_REF, chain })
  const there = consistently(nl, () => ({
    isHooked: isHooked(),
    chains: new Set(chainsOf(guard)),
    rules: [...rulesTo(guard), ...rulesIn(chain), ...rulesIn(macChain)],
  }))
  return problemsOf(guard, there)
}

/**
 * As verifyMacGuard, of many: what there is is listed once.
 * @returns what differs of one, in words
 */
export function lookAtMacGuards(): (guard: MacGuard) => string[] {
  if (!hasNfTables()) return guard => problemsOf(guard, NOTHING)
  const nl = netfilterHere()
  const {
    isHooked: isHere,
    chains,
    rules,
  } = consistently(nl, () => ({
    isHooked: isHooked(),
    chains: new Set(listChains(nl, { table: TABLE_REF }).map(({ name }) => name)),
    rules: listRules(nl, { table: TABLE_REF }),
  }))
  /** By the guard's chain that they are in, or lead to from PREROUTING. */
  const byChain = new Map<string, ListedRule[]>()
  for (const rule of rules) {
    const name = (rule.chain === BASE ? targetOf(rule) : rule.chain) ?? ''
    byChain.set(name, [...(byChain.get(name) ?? []), rule])
  }
  return guard => {
    const { chain, macChain } = namesOf(guard)
    const own = [chain, macChain].flatMap(name => byChain.get(name) ?? [])
    return problemsOf(guard, { isHooked: isHere, chains, rules: own })
  }
}

/** What there is of a guard. */
interface Found {
  /** Packets come to PREROUTING. */
  isHooked: boolean
  /** More may be among them. */
  chains: ReadonlySet<string>
  /** Those in its chains, and those that lead to it. */
  rules: readonly ListedRule[]
}

const NOTHING: Found = { isHooked: false, chains: new Set(), rules: [] }

/** What policy it has, and what else is in it, is up to whose table it is. */
function isHooked(): boolean {
  const nl = netfilterHere()
  const table = findTable(nl, TABLE_REF)
  const hook = findChain(nl, TABLE_REF, BASE)?.hook
  return table?.isDormant === undefined && hook?.at === 'prerouting' && hook.type === 'filter'
}

function problemsOf(guard: KnownGuard, { isHooked, chains, rules }: Found): string[] {
  const { chain, macChain } = namesOf(guard)
  if (!chains.has(chain) || !chains.has(macChain)) return [`there is no spoof guard ${chain}`]
  const isLedTo = isHooked && rules.some(rule => rule.chain === BASE)
  if (!isLedTo) return [`nothing leads to the spoof guard ${chain}`]
  const nl = netfilterHere()
  const wanted = rulesOf(guard)
  return [BASE, chain, macChain].flatMap(name => {
    const plans = wanted.flatMap(([where, rule]) => (where === name ? [rule] : []))
    const there = rules.filter(rule => rule.chain === name)
    const isAsPlanned = (found: ListedRule, plan: string | undefined): boolean =>
      plan === undefined || isMadeOf(nl, found, compileRule(TABLE_REF.family, plan))
    const isWhole = there.length === plans.length && there.every((found, i) => isAsPlanned(found, plans[i]))
    return isWhole ? [] : [`the spoof guard ${chain} has other rules in ${name} than it should`]
  })
}
