/**
 * Ports that several attachments of one container publish: on two networks, or by two interfaces on one.
 *
 * Each claims all of them, in turn, and the first has them. Of the next ones the rules stand behind its own,
 * with iptables as with the drop-in portmap: the kernel asks the first that matches. In nftables' map a port
 * stands once, and so it does as a socket of the proxy; there the next one waits for its turn.
 *
 *     ADD    claim ─▶ rules of what it has (under the claims' lock where others are before it)
 *     DEL    yield: its rules for ports go, those of the next that waits come, in one transaction ─▶ it is the
 *            last in line from now on ─▶ link down, and all the rest of it ─▶ the claim goes
 *
 * So at no moment a port leads nowhere, and what comes while one network is taken down goes by the next one.
 * A kill between rules and files leaves the first one first: its next DEL hands over once more, which changes
 * nothing where it was done.
 *
 * An attachment is an heir from when its record tells its rules, which is written under the same lock as they
 * are made: so nobody gets ports of which it does not know, or twice.
 */

import { type Family, type Ip, parseIp } from '../model/address.ts'
import type { NatIntent, Undertaking } from '../model/network.ts'
import { coversAddress, type PortMapping, portsMeet, portsOutside } from '../model/port-mapping.ts'
import { handOver } from '../nat/nat.ts'
import {
  bucketsOf,
  type Claim,
  changeClaims,
  claimsOf,
  readClaims,
  whileClaimsLocked,
} from './claim-files.ts'
import { familiesOf } from './plan.ts'
import { releasePorts, rivalsOf } from './port-claims.ts'
import { installRules, withdrawRules } from './shared.ts'
import { readEntry } from './state.ts'

type Nat = NonNullable<Undertaking['nat']>

/** True when an earlier claim keeps a later one from having the mapping's ports. */
type Way = (claim: Claim, mapping: PortMapping) => boolean

/** By a rule: a port of one address may stand beside that port of all. */
const byRule: Way = ({ rules, ...claim }, mapping) =>
  rules === 'nftables' && coversAddress(claim.hostIp, mapping.hostIp) && portsMeet(claim, mapping)

/** By a socket, of our proxy. What others publish, it leaves to their rules. */
const bySocket: Way = ({ rules, ...claim }, mapping) => rules !== undefined && portsMeet(claim, mapping)

/**
 * Of an owner's ports those that no other has before it.
 * @param gone an owner that does not count any more
 */
function portsHeld(owner: string, mappings: readonly PortMapping[], way: Way, gone?: string): PortMapping[] {
  const claims = readClaims(mappings)
  return mappings.flatMap(mapping => {
    const before = bucketsOf(mapping).flatMap(bucket => {
      const inLine = claims.get(bucket) ?? []
      const own = inLine.findIndex(claim => claim.owner === owner)
      return inLine.slice(0, Math.max(own, 0)).filter(claim => claim.owner !== gone)
    })
    return portsOutside(
      mapping,
      before.filter(claim => way(claim, mapping)),
    )
  })
}

/** The ports that the proxy is to serve for an attachment. */
export const portsToServe = (owner: string, mappings: readonly PortMapping[]): PortMapping[] =>
  portsHeld(owner, mappings, bySocket)

/** Which attachments of the container have claimed some of these ports too, and what each is to serve without the owner. */
export const heirsToServe = (owner: string, mappings: readonly PortMapping[]) =>
  othersIn(owner, mappings, ({ rules }) => rules !== undefined).map(heir => ({
    owner: heir,
    ports: portsHeld(heir, claimsIn(heir, mappings), bySocket, owner),
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

const claimsIn = (owner: string, mappings: readonly PortMapping[]): PortMapping[] =>
  rivalsOf('', mappings).flatMap(({ owner: by, rules: _, ...mapping }) => (by === owner ? [mapping] : []))

/** An intent whose rules are for what the attachment has by now; the same where it has all. */
export const asHeld = (owner: string, { backend, intent }: Nat): NatIntent =>
  backend === 'iptables' || rivalsOf(owner, intent.ports).length === 0 ? intent : heldIntent(owner, intent)

const EVERY: Record<Family, Ip> = { 4: parseIp('0.0.0.0'), 6: parseIp('::') }

function heldIntent(owner: string, intent: NatIntent, gone?: string): NatIntent {
  const families = familiesOf(intent.addresses)
  // Of one family another may have it, and of the other nobody.
  const mappings = intent.ports.flatMap(mapping =>
    mapping.hostIp === undefined
      ? families.map(family => ({ ...mapping, hostIp: EVERY[family] }))
      : [mapping],
  )
  return { ...intent, held: portsHeld(owner, mappings, byRule, gone) }
}

/**
 * Installs an attachment's rules, as far as no other of its container has the ports.
 * @param record writes down what the rules are to be
 * @throws TsnetError as installRules
 */
export async function installSharing(owner: string, nat: Nat, record: () => void): Promise<void> {
  const install = async () => {
    record()
    await installRules(nat.backend, asHeld(owner, nat))
  }
  // Whoever comes behind us takes nothing from us.
  const isAlone = nat.backend === 'iptables' || rivalsOf(owner, nat.intent.ports).length === 0
  await (isAlone ? install() : whileClaimsLocked(install))
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
  return whileClaimsLocked(async () => {
    const others = othersIn(owner, mappings)
    if (others.length === 0) return false
    const own = [...readClaims(mappings).values()].flat().find(claim => claim.owner === owner)
    if (own?.rules !== undefined) {
      const heirs = own.rules === 'nftables' ? others.flatMap(other => heirOf(other, owner)) : []
      await handOver(own.rules, owner, heirs)
    }
    changeClaims(mappings, claims => {
      const rest = claims.filter(claim => claim.owner !== owner)
      return [...rest, ...claims.filter(claim => claim.owner === owner)]
    })
    return true
  })
}

/** What an owner leads to itself once another has gone; nothing where it is not there yet, or on its way out. */
function heirOf(owner: string, gone: string): NatIntent[] {
  const entry = readEntry(owner)
  const nat = entry?.attachment.nat
  return entry?.state === 'detaching' || nat?.backend !== 'nftables'
    ? []
    : [heldIntent(owner, nat.intent, gone)]
}

/** As yieldPorts, of all that an owner has claimed, of which nothing else is known; then the claims go. */
export async function yieldUnrecorded(owner: string): Promise<void> {
  const claims = claimsOf(owner)
  await yieldPorts(owner, claims)
  await releasePorts(owner, claims)
}
