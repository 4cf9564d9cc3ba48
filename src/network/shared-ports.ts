/**
 * Ports that several attachments of one container publish: on two networks, or by two interfaces on one.
 *
 * Each claims all of them, in turn, and the first has them. Where rules of one kind are asked in the order in which
 * they were made (iptables', portmap's of one backend), those of the next ones stand behind its own. In nftables' map
 * a port stands once, and so it does as a socket of the proxy; and of rules of different kinds nobody can say which
 * is asked first. There the next one has none, and waits for its turn.
 *
 *     ADD    claim ─▶ rules of what it has (under the claims' lock where others are before it)
 *     DEL    yield: rules of the next that waits come, its own for ports go, in one transaction or in this order ─▶
 *            it is the last in line from now on ─▶ link down, and all the rest of it ─▶ the claim goes
 *
 * So at no moment a port leads nowhere, and what comes while one network is taken down goes by the next one. Which
 * one has them matters to who is on several networks: it answers by its default route.
 *
 * A kill between rules and files leaves the first one first: its next DEL hands over once more, which changes
 * nothing where it was done.
 *
 * An attachment is an heir from when its record tells its rules, which is written under the same lock as they
 * are made: so nobody gets ports of which it does not know, or twice. Locks are taken in this order: the owner's,
 * portmap's, the claims'.
 */

import { type Family, familiesOf, type Ip, parseIp } from '../model/address/address.ts'
import type { HostPort, HostPortRecord } from '../model/chained.ts'
import { type NatBackend, type NatIntent, ownerTag, type Undertaking } from '../model/network.ts'
import {
  coversAddress,
  describeHostPorts,
  type PortMapping,
  portsMeet,
  portsOutside,
} from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import { handOver } from '../nat/nat.ts'
import {
  bucketsOf,
  type Claim,
  changeClaims,
  type ReadClaims,
  readClaims,
  whileClaimsLocked,
} from '../ports/claim-files.ts'
import { leadPorts, mappingsOf, whilePortmapLocked } from '../ports/portmap-rules.ts'
import { forgetClaims, rivalsOf } from '../ports/ports.ts'
import { readRecord } from '../records/chained.ts'
import { readEntry } from '../records/records.ts'
import { installRules, withdrawRules } from './shared.ts'

type Nat = NonNullable<Undertaking['nat']>

/** True when an earlier claim keeps a later one, of the same container, from having the mapping's ports. */
type Way = (earlier: Claim, own: Claim, mapping: PortMapping) => boolean

/** Rules of one kind stand behind each other. */
const kindOf = ({ rules, portmap }: Claim): string | undefined => rules ?? (portmap && `portmap ${portmap}`)

/** By a rule: a port of one address may stand beside that port of all. */
const byRule: Way = (earlier, own, mapping) =>
  kindOf(earlier) !== undefined &&
  (kindOf(earlier) !== kindOf(own) || own.rules === 'nftables') &&
  coversAddress(earlier.hostIp, mapping.hostIp) &&
  portsMeet(earlier, mapping)

/** By a socket, of our proxy. What others publish, it leaves to their rules. */
const bySocket: Way = (earlier, _, mapping) => earlier.rules !== undefined && portsMeet(earlier, mapping)

/**
 * Of an owner's ports those that no other has before it.
 * @param gone an owner that does not count any more
 */
function portsHeld(
  owner: string,
  mappings: readonly PortMapping[],
  way: Way,
  { gone, read = readClaims }: { gone?: string; read?: ReadClaims } = {},
): PortMapping[] {
  const claims = read(mappings)
  return mappings.flatMap(mapping => {
    const before = bucketsOf(mapping).flatMap(bucket => {
      const inLine = claims.get(bucket) ?? []
      const at = inLine.findIndex(claim => claim.owner === owner)
      const own = inLine[at]
      return own === undefined
        ? []
        : inLine.slice(0, at).filter(claim => claim.owner !== gone && way(claim, own, mapping))
    })
    return portsOutside(mapping, before)
  })
}

/** The ports that the proxy is to serve for an attachment. */
export const portsToServe = (
  owner: string,
  mappings: readonly PortMapping[],
  read = readClaims,
): PortMapping[] => portsHeld(owner, mappings, bySocket, { read })

/** Which attachments of the container have claimed some of these ports too, and what each is to serve without the owner. */
export const heirsToServe = (owner: string, mappings: readonly PortMapping[]) =>
  othersIn(owner, mappings, ({ rules }) => rules !== undefined).map(heir => ({
    owner: heir,
    ports: portsHeld(heir, claimsIn(heir, mappings), bySocket, { gone: owner }),
  }))

const othersIn = (
  owner: string,
  mappings: readonly PortMapping[],
  counts: (claim: Claim) => boolean = () => true,
): string[] => [
  ...new Set(
    rivalsOf(owner, mappings)
      .filter(counts)
      .map(claim => claim.owner),
  ),
]

function claimsIn(owner: string, mappings: readonly PortMapping[]): PortMapping[] {
  const all = [...readClaims(mappings).values()].flat().filter(claim => claim.owner === owner)
  // A range may be in several files.
  return [...new Map(all.map(claim => [describeHostPorts(claim), claim])).values()].map(
    ({ owner: _, rules: __, portmap: ___, ...mapping }) => mapping,
  )
}

/** An intent whose rules are for what the attachment has by now; the same where it has all. */
export const asHeld = (owner: string, { intent }: Nat, read = readClaims): NatIntent =>
  rivalsOf(owner, intent.ports, read).length === 0 ? intent : heldIntent(owner, intent, { read })

/** Of the ports of a record of portmap those that lead to it by now. */
export function heldOf(record: HostPortRecord, gone?: string): HostPort[] {
  const { ports } = record.intent
  const held = portsHeld(ownerTag(record), mappingsOf(ports), byRule, present({ gone }))
  return ports.filter(port =>
    held.some(
      ({ protocol, hostIp, hostPort }) =>
        protocol === port.protocol && hostIp === port.hostIp && hostPort === port.hostPort,
    ),
  )
}

const EVERY: Record<Family, Ip> = { 4: parseIp('0.0.0.0'), 6: parseIp('::') }

function heldIntent(
  owner: string,
  intent: NatIntent,
  options: { gone?: string; read?: ReadClaims },
): NatIntent {
  const families = familiesOf(intent.addresses)
  // Of one family another may have it, and of the other nobody.
  const mappings = intent.ports.flatMap(mapping =>
    mapping.hostIp === undefined
      ? families.map(family => ({ ...mapping, hostIp: EVERY[family] }))
      : [mapping],
  )
  return { ...intent, held: portsHeld(owner, mappings, byRule, options) }
}

/**
 * Installs an attachment's rules, as far as no other of its container has the ports.
 * @param record writes down what the rules are to be
 * @throws TsnetError as installRules
 */
export async function installSharing(owner: string, nat: Nat, record: () => void): Promise<void> {
  const install = async (intent: NatIntent) => {
    record()
    await installRules(nat.backend, intent)
  }
  // Whoever comes behind us takes nothing from us.
  const isAlone = rivalsOf(owner, nat.intent.ports).length === 0
  await (isAlone ? install(nat.intent) : whileClaimsLocked(() => install(asHeld(owner, nat))))
}

/** Takes an attachment's rules away, its ports first, for whoever of its container is next. Idempotent. */
export async function withdrawSharing(owner: string, { backend, intent }: Nat): Promise<void> {
  const shared = await yieldPorts(owner, intent.ports)
  // Which of a shared map's ports are its own, only a look tells.
  await withdrawRules(backend, owner, shared ? undefined : intent)
}

/**
 * Hands an owner's ports to the other attachments of its container, behind which it stands from now on. Idempotent.
 * @returns false where there are no others
 * @throws TsnetError `try-again`, `kernel`
 */
export async function yieldPorts(owner: string, mappings: readonly PortMapping[]): Promise<boolean> {
  if (rivalsOf(owner, mappings).length === 0) return false
  return whilePortmapLocked(() => yieldLocked(owner, mappings))
}

/** As yieldPorts, where portmap is locked already. */
export const yieldLocked = (owner: string, mappings: readonly PortMapping[]): Promise<boolean> =>
  whileClaimsLocked(async () => {
    const others = othersIn(owner, mappings)
    if (others.length === 0) return false
    await leadToNext(owner, others, mappings)
    changeClaims(mappings, claims => {
      const rest = claims.filter(claim => claim.owner !== owner)
      return [...rest, ...claims.filter(claim => claim.owner === owner)]
    })
    return true
  })

/** Rules of others come; those of an attachment of ours go. */
async function leadToNext(
  owner: string,
  others: readonly string[],
  mappings: readonly PortMapping[],
): Promise<void> {
  const own = [...readClaims(mappings).values()].flat().find(claim => claim.owner === owner)
  if (own === undefined || kindOf(own) === undefined) return
  for (const record of others.flatMap(other => readRecord('portmap', other) ?? []))
    await leadPorts(record, heldOf(record, owner))
  const heirs = others.flatMap(other => heirOf(other, owner))
  const intentsOf = (backend: NatBackend) =>
    heirs.flatMap(heir => (heir.backend === backend ? [heir.intent] : []))
  for (const backend of ['iptables', 'nftables'] as const) {
    const intents = intentsOf(backend)
    if (backend !== own.rules && intents.length > 0) await handOver(backend, undefined, intents)
  }
  if (own.rules !== undefined) await handOver(own.rules, owner, intentsOf(own.rules))
}

/** What an owner leads to itself once another has gone; nothing where it is not there yet, or on its way out. */
function heirOf(owner: string, gone: string): Nat[] {
  const entry = readEntry(owner)
  const nat = entry?.attachment.nat
  return nat === undefined || entry?.state === 'detaching'
    ? []
    : [{ backend: nat.backend, intent: heldIntent(owner, nat.intent, { gone }) }]
}

/** Gives an owner's claims back; whoever has come behind it meanwhile gets the ports. Idempotent. */
export async function leavePorts(owner: string, mappings: readonly PortMapping[]): Promise<void> {
  if (mappings.length === 0) return
  const isGone = await whileClaimsLocked(() => {
    const isLast = isLastInLine(owner, mappings)
    if (isLast) forgetClaims(owner, mappings)
    return isLast
  })
  if (!isGone) await whilePortmapLocked(() => leaveLocked(owner, mappings))
}

/** As leavePorts, where portmap is locked already. */
export async function leaveLocked(owner: string, mappings: readonly PortMapping[]): Promise<void> {
  await whileClaimsLocked(async () => {
    const others = othersIn(owner, mappings)
    if (!isLastInLine(owner, mappings)) await leadToNext(owner, others, mappings)
    forgetClaims(owner, mappings)
  })
}

/** True when nobody stands behind an owner whose ports meet its own. */
const isLastInLine = (owner: string, mappings: readonly PortMapping[]): boolean =>
  [...readClaims(mappings).values()].every(claims => {
    const at = claims.findIndex(claim => claim.owner === owner)
    const behind = at < 0 ? [] : claims.slice(at).filter(claim => claim.owner !== owner)
    return !behind.some(claim => mappings.some(mapping => portsMeet(claim, mapping)))
  })
