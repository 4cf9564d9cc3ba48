/**
 * Rules about packets: masquerade, published ports, and who may not reach whom.
 *
 *     NatIntent ──rules.ts──▶ which packets ──┬─ nftables/ ─▶ the kernel (netfilter/)
 *                                             └─ iptables/ ─▶ iptables-restore
 *
 * Drop-ins have the rules of the plugins whose place they take: reference/. What a container may reach is said in tables of
 * its own, for either backend: reach/.
 *
 * A packet meets, in this order:
 *
 *     raw        to 127.0.0.0/8 but not over lo: dropped. To a container's own address but not over its
 *                bridge: dropped, unless the network allows direct routing
 *     mangle     belongs to no connection, and is for a published port or from who has one: dropped, or
 *                the host, or a client, would reset a connection that it does not know
 *     nat, pre   to an address of this host and a published port: gets the container's address. The host's
 *                own packets the same, but not those to 127.0.0.0/8 and ::1: these the kernel cannot lead
 *                there without opening the host's loopback to the bridge (loopback.ts). Where a proxy is to
 *                serve who is on the container's bridge, what comes from there stays as it is
 *     input      from a container, to where its bridge tells names: accepted, before whatever others have there
 *     forward    from a container, answers to it, and what was published: accepted where the policy drops
 *     nat, post  leaves the container's network: gets the host's address. Published and from the
 *                container's own subnet, or another network of its own: gets the bridge's, or the answer
 *                would go past us. All others keep their source address
 *
 * Rules are text, and text is only made of what rules.ts parsed: numbers, enums, addresses, the name of the
 * bridge and the owner tag. Each rule or element carries the owner tag and belongs to one attachment, so it
 * can be found and removed with nothing but the tag. What attachments share (chains, a table) holds no
 * state; who needs it makes it, and who leaves last takes it away, decided by the kernel inside the
 * transaction, so nobody has to hold a lock.
 *
 * install       parse everything → one transaction a family; when one fails the other is taken back
 * openLoopback  once the bridge is there: route_localnet, where a port is published on 127.0.0.0/8
 * withdraw      the same rules, by handle or by their text; where they are not all there, look and remove what is
 *
 * Limits: iptables matches one rule after the other, so its cost grows with the number of attachments and
 * ranges; nftables looks up. A drop in somebody else's nft table, or by the policy of the other variant of
 * iptables (legacy beside nft), cannot be overruled by ours. The empty built-in tables that iptables makes
 * when it is first used stay. Packets that a bridge hands over without routing them (br_netfilter) come
 * back to the container that sent them only where its port is in hairpin mode.
 */

import { type Family, familiesOf } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import type { NatBackend, NatIntent } from '../model/network.ts'
import { hasNfTables, missingNfTables, netfilterHere } from '../netfilter/netfilter.ts'
import { closeForwarding, type ForwardingChange, restoreSettings } from './forwarding.ts'
import {
  describeIptables,
  handOverIptables,
  type InstallHint,
  installIptables,
  loopbackBridgesIptables,
  ownersIptables,
  verifyIptables,
  withdrawIptables,
} from './iptables/iptables.ts'
import { isGoneIptables, mendIptables } from './iptables/mend.ts'
import { findIptables } from './iptables/run.ts'
import { isLoopbackRouted, routeLoopback, unrouteLoopback } from './loopback.ts'
import type { Hold, Loss } from './loss.ts'
import { isGoneNft, mendNft } from './nftables/mend.ts'
import {
  describeNft,
  handOverNft,
  installNft,
  loopbackBridgesNft,
  ownersNft,
  verifyNft,
  withdrawNft,
} from './nftables/nftables.ts'
import { showTable } from './nftables/show.ts'
import { reachOwners } from './reach/reach.ts'
import { planRules, type Rules } from './rules.ts'
import { spoofGuardOwners } from './spoof.ts'

export { type Begun, listBegun } from './begun.ts'
export { type Connection, listConnections } from './connections.ts'
export { endFlows, flushConntrack } from './conntrack.ts'
export { countFlows } from './flows.ts'
export { isForwardGuarded } from './forward-guard.ts'
export {
  changes,
  closedFamilies,
  closeForwarding,
  type ForwardingChange,
  keepForwarding,
  openForwarding,
  restoreSettings,
  switchOn,
} from './forwarding.ts'
export { iptablesVariant, ownChanges } from './iptables/run.ts'
export { isLoopbackRouted } from './loopback.ts'
export { type Hold, type Loss, losersOf } from './loss.ts'
export { digestOfNames } from './reach/counters.ts'
export { endDenied, type InForce, listDenied } from './reach/ending.ts'
export { type Fill, fillReach } from './reach/fill.ts'
export { NamedReach, TTL_MAX_S } from './reach/names.ts'
export { installReach, mendReach, type ReachGuard, verifyReach, withdrawReach } from './reach/reach.ts'
export {
  countDropped,
  type ReachUse,
  type Refused,
  readNamed,
  readReachUse,
  readRefused,
} from './reach/seen.ts'
export {
  installMacGuard,
  lookAtMacGuards,
  type MacGuard,
  requireMacGuard,
  verifyMacGuard,
  withdrawMacGuard,
} from './reference/mac-guard.ts'
export {
  collectMasquerades,
  installMasquerade,
  type Masquerade,
  verifyMasquerade,
  withdrawMasquerade,
} from './reference/masquerade.ts'
export { localAddresses } from './served-ports.ts'
export {
  installSpoofGuard,
  mendSpoofGuards,
  type SpoofGuard,
  verifySpoofGuard,
  withdrawSpoofGuard,
} from './spoof.ts'
export { countUntranslated, forgetUntranslated, type Translated } from './untranslated.ts'

const backends = {
  iptables: {
    install: installIptables,
    withdraw: withdrawIptables,
    verify: verifyIptables,
    owners: ownersIptables,
    describe: describeIptables,
    loopbackBridges: loopbackBridgesIptables,
    handOver: handOverIptables,
    mend: mendIptables,
    isGone: isGoneIptables,
  },
  nftables: {
    install: installNft,
    withdraw: withdrawNft,
    verify: verifyNft,
    owners: ownersNft,
    describe: describeNft,
    loopbackBridges: loopbackBridgesNft,
    handOver: handOverNft,
    mend: mendNft,
    isGone: isGoneNft,
  },
} satisfies Record<NatBackend, unknown>

/**
 * The backend to use: the configured one, else iptables where there is `iptables-restore`, else nftables.
 * @throws TsnetError `missing`: what it needs is not installed
 */
export function chooseBackend(configured?: NatBackend): NatBackend {
  if (configured !== 'nftables' && findIptables(4) !== undefined) return 'iptables'
  if (configured !== 'iptables' && hasNfTables()) return 'nftables'
  if (configured === 'nftables') throw missingNfTables()
  throw new TsnetError(
    'missing',
    configured === 'iptables'
      ? 'natBackend is "iptables", but no iptables-restore command is there'
      : 'no firewall is there: neither an iptables-restore command nor nf_tables in the kernel',
    {
      details:
        configured === 'iptables'
          ? 'install iptables, or set natBackend to "nftables"'
          : 'install iptables, or use a kernel with CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET',
    },
  )
}

const isLoopback = ({ families }: Rules): boolean => families.some(({ loopback }) => loopback)

/**
 * Installs all rules of an attachment, or none. The owner must have none yet.
 * @param hint `guards`: families in which FORWARD is to drop by policy, with iptables
 * @throws TsnetError `invalid-config` or `unsupported-field`: a mapping cannot be served by the kernel;
 *   `conflict`: a host port is published already; `try-again`: the xtables lock was held too long;
 *   `kernel`, `missing`
 */
export async function install(backend: NatBackend, intent: NatIntent, hint: InstallHint = {}): Promise<void> {
  const rules = planRules(intent)
  if (rules.families.length === 0) return
  await backends[backend].install(rules, hint)
}

/**
 * Lets packets with loopback addresses over the bridge, if a port is published on 127.0.0.0/8. To be called
 * after `install`, which guards against what else this allows, as soon as the bridge is there; `withdraw`
 * takes it back.
 * @throws TsnetError `kernel`
 */
export function openLoopback(intent: NatIntent): void {
  const rules = planRules(intent)
  if (isLoopback(rules)) routeLoopback(rules.bridge)
}

/** True where a port is published on 127.0.0.0/8, so that openLoopback does something. */
export const needsLoopback = (intent: NatIntent): boolean => {
  const rules = tryPlan(intent)
  return rules !== undefined && isLoopback(rules)
}

/** What withdraw may use, none of which it needs. */
export interface WithdrawHint {
  /** What was installed: saves looking. */
  intent?: NatIntent
  /** No other attachment has rules: what all share goes too. Safe when wrong. */
  last: boolean
  /** What had been done that the host might forward, and is taken back. */
  changes?: ForwardingChange[]
}

/**
 * Removes all rules of an owner, as often as one likes.
 * @throws TsnetError `try-again`, `kernel`
 */
export async function withdraw(
  backend: NatBackend,
  owner: string,
  { intent, last, changes = [] }: WithdrawHint,
): Promise<void> {
  const { withdraw, loopbackBridges } = backends[backend]
  const guards = await closeAll(backend, changes)
  const rules = intent === undefined ? undefined : tryPlan(intent)
  if (rules !== undefined && !isLoopback(rules)) return withdraw(owner, { rules, last, guards })
  const bridges = rules === undefined ? await loopbackBridges() : [rules.bridge]
  await withdraw(owner, { ...(rules !== undefined && { rules }), last: false, guards })
  await unrouteLoopback(bridges, loopbackBridges)
  if (last) await withdraw(owner, { last })
}

/** @returns the families whose guard goes with the rules, in the same transaction */
async function closeAll(backend: NatBackend, changes: ForwardingChange[]): Promise<Family[]> {
  const later: Family[] = []
  for (const change of changes.toReversed()) {
    if (backend === 'iptables' && change.backend === backend) later.push(...(await restoreSettings(change)))
    else await closeForwarding(change)
  }
  return [...new Set(later)]
}

/**
 * The published ports of an owner are led to others: its rules for them go, all else of it stays, and those of the
 * others come, as far as they are not there, in one transaction (a family, with iptables). Idempotent.
 * @param owner undefined: those of the others come, and nobody's go
 * @param heirs `held` of each: what leads to it then. It has rules already, but for these
 * @throws TsnetError `try-again`, `kernel`
 */
export async function handOver(
  backend: NatBackend,
  owner: string | undefined,
  heirs: readonly NatIntent[],
): Promise<void> {
  await backends[backend].handOver(
    owner,
    heirs.map(intent => planRules({ ...intent, part: 'ports' })),
  )
}

/** A record that cannot be understood any more must not keep an attachment from going. */
function tryPlan(intent: NatIntent): Rules | undefined {
  try {
    return planRules(intent)
  } catch {
    return undefined
  }
}

/** All that the kernel's rules lack or have too much of this intent, in words; empty: all is right. */
export async function verifyRules(backend: NatBackend, intent: NatIntent): Promise<string[]> {
  const rules = planRules(intent)
  if (rules.families.length === 0) return []
  const problems = await backends[backend].verify(rules)
  const closed = isLoopback(rules) && !isLoopbackRouted(rules.bridge)
  return closed ? [...problems, `route_localnet of ${rules.bridge} is off`] : problems
}

/**
 * Finds what is lacking of the rules of all these intents, and puts it back, guards first.
 * @param intents in the order in which they were made
 * @param closed families in which the host forwards for our containers alone
 * @param hold absent: nothing is changed
 * @returns what was lacking
 * @throws TsnetError `try-again`, `kernel`, `missing`
 */
export async function mendRules(
  backend: NatBackend,
  intents: readonly NatIntent[],
  closed: readonly Family[],
  hold?: Hold,
): Promise<Loss[]> {
  const rules = intents.flatMap(intent => tryPlan(intent) ?? []).filter(({ families }) => families.length > 0)
  return rules.length === 0 && closed.length === 0 ? [] : backends[backend].mend(rules, closed, hold)
}

/**
 * True where at a glance nothing is left of all rules of intents: whoever puts them back need not look first whether
 * anything lacks.
 */
export const areRulesGone = (backend: NatBackend, intents: readonly NatIntent[]): boolean =>
  intents.length > 0 && backends[backend].isGone(familiesOf(intents.flatMap(({ addresses }) => addresses)))

/** The owner tags that have rules, a spoof guard or a list of whom they may reach. */
export async function owners(backend: NatBackend): Promise<string[]> {
  return [
    ...new Set([...(await backends[backend].owners()), ...(await spoofGuardOwners()), ...reachOwners()]),
  ]
}

/** What the nftables backend has in the namespace that the thread is in, as a page. */
export const showRules = (): string => showTable(netfilterHere())

/** The rules as the document that the kernel gets when there is none of ours yet. */
export const describeRules = (backend: NatBackend, intent: NatIntent): string =>
  backends[backend].describe(planRules(intent))
