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
import { findChain, listChains, listRules, readRule, rulesAsBytes, targetOf } from '../../netfilter/list.ts'
import { hasNfTables, missingNfTables, netfilterHere } from '../../netfilter/netfilter.ts'
import { denied, isMissing } from '../../netfilter/refusal.ts'
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

const namesOf = ({ containerId, ifname }: Pick<AttachmentKey, 'containerId' | 'ifname'>) => {
  const chain = `cni-br-iface-${containerId}-${ifname}`
  return {
    chain,
    macChain: `${chain}-mac`,
    comment: `macspoofchk-${containerId}-${ifname}`.slice(0, COMMENT_MAX),
  }
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
  const { chain, macChain, comment } = namesOf(guard)
  const rule = (to: string, words: string) => `add rule ${TABLE} ${to} ${words} comment "${comment}"`
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
    rule(BASE, `iifname "${device}" jump ${chain}`),
    rule(chain, `jump ${macChain}`),
    rule(macChain, `ether saddr ${mac} return`),
    rule(macChain, 'drop'),
  ]).commit(netfilterHere())
  if (denial !== undefined) throw denied(`the spoof guard of ${device}`, denial)
}

/** Handles of the rules by which packets come to a guard. */
function jumpsTo(key: Pick<AttachmentKey, 'containerId' | 'ifname'>): bigint[] {
  const { chain } = namesOf(key)
  return rulesAsBytes(netfilterHere(), { table: TABLE_REF, chain: BASE })
    .filter(bytes => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(chain))
    .flatMap(bytes => readRule(bytes) ?? [])
    .filter(rule => targetOf(rule) === chain)
    .map(({ handle }) => handle)
}

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

/** What differs from an installed guard, in words. */
export async function verifyMacGuard(key: AttachmentKey): Promise<string[]> {
  const { chain } = namesOf(key)
  const isThere = hasNfTables() && chainsOf(key).length === 2
  return problemsOf(chain, isThere, isThere && jumpsTo(key).length > 0)
}

/**
 * As verifyMacGuard, of many: chains, and what leads to them, are listed once.
 * @returns what differs of one, in words
 */
export function lookAtMacGuards(): (key: AttachmentKey) => string[] {
  const { chains, led } = hasNfTables() ? macGuards() : { chains: new Set(), led: new Set() }
  return key => {
    const { chain, macChain } = namesOf(key)
    return problemsOf(chain, chains.has(chain) && chains.has(macChain), led.has(chain))
  }
}

function macGuards(): { chains: Set<string>; led: Set<string> } {
  const nl = netfilterHere()
  return consistently(nl, () => ({
    chains: new Set(listChains(nl, { table: TABLE_REF }).map(({ name }) => name)),
    led: new Set(listRules(nl, { table: TABLE_REF, chain: BASE }).flatMap(rule => targetOf(rule) ?? [])),
  }))
}

const problemsOf = (chain: string, isThere: boolean, isLedTo: boolean): string[] => {
  if (!isThere) return [`there is no spoof guard ${chain}`]
  return isLedTo ? [] : [`nothing leads to the spoof guard ${chain}`]
}
