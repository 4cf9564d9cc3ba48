/**
 * A guard at a container's port: what it sends carries its own addresses and plays no router.
 *
 * Each attachment has a table of its own, `netdev tsnet-OWNER`, whose chain stands at the ingress of the
 * host's end of the veth. So no other packet meets it, the owner alone is enough to remove it, and nothing
 * is shared. What is not known to be right is dropped: another sender in Ethernet, ARP, IPv4 or IPv6, an
 * address of others in a neighbour advertisement, router advertisements, redirects, answers of DHCP
 * servers, and every other kind of frame, tagged ones among them.
 *
 * The link-local address is the one the kernel makes of the link-layer address (EUI-64, RFC 4291).
 */

import { bytesOf, familyOf, type Ip, ipFromBytes, parseIp } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { parseInterfaceName } from '../model/interface-name.ts'
import { shown } from '../model/json/shown.ts'
import type { NatBackend } from '../model/network.ts'
import { transactionOf } from '../netfilter/commands.ts'
import { consistently } from '../netfilter/generations.ts'
import { findChain, findTable, hasTable, listRules, listTables } from '../netfilter/list.ts'
import { hasNfTables, netfilterHere } from '../netfilter/netfilter.ts'
import { plannedChains } from '../netfilter/planned.ts'
import { denied, isMissing } from '../netfilter/refusal.ts'
import { type ChainFault, faultOf } from '../netfilter/same-rule.ts'
import { type TableRef, Transaction, tableText } from '../netfilter/transaction.ts'
import { type Hold, type Loss, losersOf } from './loss.ts'
import { isOwnerTag } from './rules.ts'

export interface SpoofGuard {
  /** ownerTag of the attachment. */
  owner: string
  /** The host's end of the container's veth. */
  hostInterface: string
  /** The container's link-layer address. */
  mac: string
  /** All addresses of the container, both families. */
  addresses: Ip[]
}

const PREFIX = 'tsnet-'

/** @throws TsnetError `internal` */
function tableOf(owner: string): TableRef {
  if (isOwnerTag(owner)) return { family: 'netdev', name: `${PREFIX}${owner}` }
  throw new TsnetError('internal', `owner tag ${shown(owner)} is not 16 hex digits`)
}

/**
 * The rules of each chain.
 * @throws TsnetError `invalid-config`
 */
function chainsOf({ mac, addresses }: SpoofGuard): { container: string[]; advertisement: string[] } {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac)) {
    throw new TsnetError('invalid-config', `mac: ${shown(mac)} is not a link-layer address`)
  }
  const ips = addresses.map(address => parseIp(address))
  const v4 = ips.filter(ip => familyOf(ip) === 4)
  const v6 = [...ips.filter(ip => familyOf(ip) === 6), linkLocalOf(mac)]
  return {
    container: [
      `ether saddr != ${mac} drop`,
      // A tag is not seen by the rules below, which look at what is inside.
      'ether type != { ip, arp, ip6 } drop',
      // 0.0.0.0 asks whether an address is free, RFC 5227.
      `ether type arp arp htype 1 arp ptype ip arp saddr ether ${mac} arp saddr ip { ${['0.0.0.0', ...v4].join(', ')} } accept`,
      'udp sport { 67, 547 } drop',
      'icmp type redirect drop',
      'ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept',
      ...(v4.length === 0 ? [] : [`ip saddr { ${v4.join(', ')} } accept`]),
      'icmpv6 type { nd-router-advert, nd-redirect } drop',
      'icmpv6 type nd-neighbor-advert jump advertisement',
      // :: asks whether an address is free, RFC 4862.
      `ip6 saddr { ${['::', ...v6].join(', ')} } accept`,
    ],
    // The target address is the second word of the message, RFC 4861 section 4.4.
    advertisement: [
      ...v6.map(ip => `@th,64,128 0x${Buffer.from(bytesOf(ip)).toString('hex')} return`),
      'drop',
    ],
  }
}

/** The EUI-64 address of a link-layer address: `02:00:00:00:00:02` → `fe80::ff:fe00:2`. */
function linkLocalOf(mac: string): Ip {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac.split(':').map(octet => Number.parseInt(octet, 16))
  return ipFromBytes(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f))
}

/** The commands that make a guard where there is none of the same owner. */
function documentOf(guard: SpoofGuard): string[] {
  const table = tableText(tableOf(guard.owner))
  const device = parseInterfaceName(guard.hostInterface, 'hostInterface')
  const { container, advertisement } = chainsOf(guard)
  return [
    `add table ${table}`,
    `add chain ${table} container { type filter hook ingress device "${device}" priority filter; policy drop; }`,
    `add chain ${table} advertisement`,
    ...container.map(rule => `add rule ${table} container ${rule}`),
    ...advertisement.map(rule => `add rule ${table} advertisement ${rule}`),
  ]
}

/**
 * The commands that make a guard, after those that remove an older one of the same owner. Only where there is one: over
 * what a transaction deletes, iptables waits for a grace period of RCU.
 */
const renewing = (guard: SpoofGuard): string[] => [
  ...(hasTable(netfilterHere(), tableOf(guard.owner))
    ? [`delete table ${tableText(tableOf(guard.owner))}`]
    : []),
  ...documentOf(guard),
]

/**
 * Installs a guard in one transaction, in place of an older one of the same owner.
 * @throws TsnetError `missing` where the kernel has no guards at devices; `kernel`
 */
export async function installSpoofGuard(_backend: NatBackend | undefined, guard: SpoofGuard): Promise<void> {
  const denial = transactionOf(renewing(guard)).commit(netfilterHere())
  if (denial !== undefined) throw denied(`the spoof guard of ${guard.hostInterface}`, denial)
}

/** Removes a guard. Idempotent; needs the owner alone. */
export async function withdrawSpoofGuard(_backend: NatBackend | undefined, owner: string): Promise<void> {
  if (!hasNfTables() || !hasTable(netfilterHere(), tableOf(owner))) return
  const denial = new Transaction().deleteTable(tableOf(owner)).commit(netfilterHere())
  if (denial !== undefined && !isMissing(denial)) throw denied(`removing the spoof guard of ${owner}`, denial)
}

const noGuardAt = (hostInterface: string): string => `there is no spoof guard at ${hostInterface}`

/** What differs from an installed guard, in words: each chain, its policy, and each rule is compared. */
export async function verifySpoofGuard(
  _backend: NatBackend | undefined,
  guard: SpoofGuard,
): Promise<string[]> {
  const { hostInterface } = guard
  const nl = netfilterHere()
  const table = tableOf(guard.owner)
  const planned = plannedChains(transactionOf(documentOf(guard)).messages.bytes)
  return consistently(nl, () => {
    const there = findTable(nl, table)
    if (there === undefined) return [noGuardAt(hostInterface)]
    const rules = listRules(nl, { table })
    return [
      ...(there.isDormant ? [`the spoof guard of ${hostInterface} is dormant`] : []),
      ...[...planned].flatMap(([name, wanted]) => {
        const fault = faultOf(nl, findChain(nl, table, name), rules, wanted)
        return fault === undefined ? [] : [`the spoof guard of ${hostInterface} ${inWords(name, fault)}`]
      }),
    ]
  })
}

function inWords(chain: string, fault: ChainFault): string {
  switch (fault.fault) {
    case 'absent':
      return `has no chain ${chain}`
    case 'misplaced':
      return 'is not hooked to it, or lets through by policy'
    case 'count':
      return `has ${fault.found} of ${fault.wanted} rules in ${chain}`
    case 'rule':
      return `has another rule ${fault.number} in ${chain} than it should`
  }
}

/**
 * Finds guards that are lacking or broken, and puts them back in one transaction. Those of ports that are not there
 * cannot be put back.
 * @param hold absent: nothing is changed
 * @returns what was lacking
 * @throws TsnetError `kernel`
 */
export async function mendSpoofGuards(guards: readonly SpoofGuard[], hold?: Hold): Promise<Loss[]> {
  const losses: (Loss & { guard: SpoofGuard })[] = []
  // After a flush none is there, which one question tells.
  const there = new Set(await spoofGuardOwners())
  for (const guard of guards) {
    const problems = there.has(guard.owner)
      ? await verifySpoofGuard(undefined, guard)
      : [noGuardAt(guard.hostInterface)]
    losses.push(...problems.map(what => ({ what, owner: guard.owner, guard })))
  }
  if (losses.length === 0 || hold === undefined) return losses.map(withoutGuard)
  const may = hold(losersOf(losses))
  const broken = [...new Set(losses.map(({ guard }) => guard))].filter(({ owner }) => may.has(owner))
  const denial = transactionOf(broken.flatMap(renewing)).commit(netfilterHere())
  // One port that goes at this moment is not to keep the others without.
  if (denial !== undefined) for (const guard of broken) await installSpoofGuard(undefined, guard)
  return losses.map(withoutGuard)
}

const withoutGuard = ({ guard: _, ...loss }: Loss & { guard: SpoofGuard }): Loss => loss

/** The owner tags that have a guard. */
export async function spoofGuardOwners(): Promise<string[]> {
  if (!hasNfTables()) return []
  const tables = listTables(netfilterHere(), { family: 'netdev' })
  return tables.flatMap(({ name }) => /^tsnet-([0-9a-f]{16})$/.exec(name)?.[1] ?? [])
}
