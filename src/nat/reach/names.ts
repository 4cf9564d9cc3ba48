/**
 * Names of a list, as maps that fill as the names are told.
 *
 *     ports4   addresses with protocols and ports         elements time out: what was told lasts as the answer does,
 *     named4   addresses, reached by every protocol       and a minute more. Each has the counter of its entry
 *     kept4    connections that began by these            rules add them, and each packet has them last anew
 *
 * An answer's addresses are put in before it leaves (daemon/names), so no first packet is lost. They last a minute longer than
 * the client may remember them: who was told in the last moment connects later, and sends its first packet again. An
 * answer without a time to live lasts that minute.
 *
 * A connection goes on when its address is no longer there: names move, and who is connected notices nothing of it. It is its own
 * addresses and ports that are kept, so nothing else passes by it, for a little longer than a host lets a silent
 * connection be before it asks (tcp_keepalive_time, two hours). Where too many are kept, others pass as long as their
 * address does. What else ends it, ends it here too: a list that is made anew has nobody in its sets.
 *
 * A packet is looked up in this order, so that it is counted by its entry as long as its address is there. What has several entries
 * counts for the most exact of those that the name had when it was put in: one with ports, then the longest name, then the fewest
 * ports.
 *
 * Ports are cut where any entry's begin or end: ranges of one address must not overlap in a set.
 *
 * Who answers for a name does not choose among what is near: private addresses and those of the link are not put in
 * (isElsewhere), and the host's own are denied by a rule, since they change. Where an entry of addresses allows them
 * they are reached by that one.
 */

import { type Family, familyOf, type Ip } from '../../model/address/address.ts'
import { isElsewhere } from '../../model/address/elsewhere.ts'
import { NameIndex } from '../../model/address/name-pattern.ts'
import { isOfNames, type Permission } from '../../model/address/reach.ts'
import { TsnetError } from '../../model/errors.ts'
import type { Protocol } from '../../model/port-mapping.ts'
import type { SetElement } from '../../netfilter/elements.ts'
import { keyBytes } from '../../netfilter/set-types.ts'
import type { SetPlan } from '../../netfilter/transaction.ts'
import { counterName, digestOfNames } from './counters.ts'
import { WITH_PORTS } from './ported.ts'
import { serviceType } from './ranges.ts'

/** Beyond the time to live. */
const MORE_S = 60
/** A longer time to live counts as this one, and is told as this one. */
export const TTL_MAX_S = 86_400
const KEPT_S = 8_000
/** Of each set: some megabytes of the kernel's. */
const SIZE = 65_536
/** Of one protocol. */
const PIECES_MAX = 1_024
/** Of one answer: whoever answers for a name does not choose how long the daemon is busy with it. */
const ELEMENTS_MAX = 4_096

/** A map with the rules that let through whom it has, in order. */
export interface FilledMap {
  plan: SetPlan
  rules: string[]
}

const ipOf = (family: Family): string => (family === 4 ? 'ip' : 'ip6')

/** What one family has, in the order in which packets are looked up: none without names. */
export function filledMaps(owner: string, allow: readonly Permission[], family: Family): FilledMap[] {
  const named = allow.filter(isOfNames)
  if (named.length === 0) return []
  for (const protocol of ['tcp', 'udp', 'sctp'] as const) mustBeFew(cutsOf(named, protocol))
  const to = `${ipOf(family)} daddr`
  const kept = `kept${family}-${owner}`
  const connection = `${to} . meta l4proto . th sport . th dport`
  const keep = `update @${kept} { ${connection} timeout ${KEPT_S}s }`
  const has = (what: string, type: string, look: string, isInterval = false): FilledMap => {
    const name = `${what}${family}-${owner}`
    return {
      plan: { name, type, data: 'counter', isInterval, hasTimeouts: true, size: SIZE },
      rules: [
        `${WITH_PORTS} counter name ${look} map @${name} ${keep} accept`,
        // Where its place is full the rule ends there, and has counted it.
        `${WITH_PORTS} ${look} @${name} accept`,
      ],
    }
  }
  const whole = has('named', `ipv${family}_addr`, to)
  return [
    ...(named.some(({ service }) => service !== undefined)
      ? [has('ports', serviceType(family), `${to} . meta l4proto . th dport`, hasRanges(named))]
      : []),
    ...(named.some(({ service }) => service === undefined)
      ? [{ ...whole, rules: [...whole.rules, `counter name ${to} map @${whole.plan.name} accept`] }]
      : []),
    {
      plan: {
        name: kept,
        type: `ipv${family}_addr . inet_proto . inet_service . inet_service`,
        hasTimeouts: true,
        isDynamic: true,
        size: SIZE,
      },
      rules: [`ct state established ${connection} @${kept} ${keep} counter accept`],
    },
  ]
}

const mustBeFew = (cuts: readonly number[]): void => {
  if (cuts.length > PIECES_MAX)
    throw new TsnetError(
      'invalid-config',
      `egress.allow: names have more than ${PIECES_MAX / 2} different ports and ranges of one protocol`,
      { details: 'allow the same ports for many of them' },
    )
}

/** Without ranges a map is a hash: the kernel copies one with intervals as a whole for each change of it. */
const hasRanges = (named: readonly Permission[]): boolean =>
  named.some(({ service }) => service !== undefined && service.first < service.last)

/** Where ports of any entry begin, or are behind its last, in order. */
function cutsOf(named: readonly Permission[], protocol: Protocol): number[] {
  const services = named.flatMap(({ service }) => (service?.protocol === protocol ? [service] : []))
  return [...new Set(services.flatMap(({ first, last }) => [first, last + 1]))].sort((a, b) => a - b)
}

/** What one interface of a container may reach by names. */
export class NamedReach {
  readonly #index: NameIndex<Numbered>
  readonly #cuts: Record<Protocol, number[]>
  readonly #hasRanges: boolean
  readonly #owner: string
  readonly #digest: string

  constructor(owner: string, allow: readonly Permission[]) {
    this.#owner = owner
    this.#digest = digestOfNames(allow) ?? ''
    const named = allow.filter(isOfNames)
    this.#index = new NameIndex(named.map((each, number) => [each.to, { ...each, number }]))
    this.#hasRanges = hasRanges(named)
    this.#cuts = { tcp: cutsOf(named, 'tcp'), udp: cutsOf(named, 'udp'), sctp: cutsOf(named, 'sctp') }
  }

  /**
   * What a name's addresses are to be reached by; undefined where the list does not have the name.
   * @param name lower case, without a dot at the end
   * @param ttlS the longest time to live of its answer
   */
  entriesOf(name: string, addresses: readonly Ip[], ttlS: number): NamedEntries | undefined {
    const found = this.#index.find(name).sort(byExactness)
    if (found.length === 0) return undefined
    // Twice in an answer, it would be twice in a transaction, which deletes it once.
    const each = [...new Set(addresses)]
    const far = each.filter(isElsewhere)
    const timeoutS = Math.min(ttlS, TTL_MAX_S) + MORE_S
    const pieces = this.#piecesOf(found)
    const whole = found.find(({ service }) => service === undefined)?.number
    const count = Math.max(1, Math.floor(ELEMENTS_MAX / (pieces.length + 1)))
    return {
      elements: far.slice(0, count).flatMap(ip => this.#elementsOf(ip, pieces, whole, timeoutS)),
      near: far.length === each.length ? [] : each.filter(ip => !isElsewhere(ip)),
      beyond: far.slice(count),
      lastsS: Math.min(ttlS, TTL_MAX_S) + MORE_S / 2,
    }
  }

  /** @param whole the entry that has it with all protocols; undefined: none */
  #elementsOf(
    ip: Ip,
    pieces: readonly Piece[],
    whole: number | undefined,
    timeoutS: number,
  ): [map: string, SetElement][] {
    const family = familyOf(ip)
    const type = serviceType(family)
    const of = (number: number) => ({ object: counterName(this.#owner, this.#digest, number), timeoutS })
    const named: [string, SetElement][] =
      whole === undefined
        ? []
        : [[`named${family}`, { key: keyBytes(`ipv${family}_addr`, ip), ...of(whole) }]]
    return [
      ...named,
      ...pieces.map(({ protocol, first, last, number }): [string, SetElement] => {
        const at = (port: number) => keyBytes(type, `${ip} . ${protocol} . ${port}`)
        const key = at(first)
        return [`ports${family}`, { key, ...(this.#hasRanges && { keyEnd: at(last) }), ...of(number) }]
      }),
    ]
  }

  /** Ports of these entries, in pieces that all entries share, each of the first that has it. */
  #piecesOf(found: readonly Numbered[]): Piece[] {
    const pieces = new Map<string, Piece>()
    for (const { service, number } of found) {
      if (service === undefined) continue
      const { protocol, first, last } = service
      const cuts = this.#cuts[protocol]
      for (let i = cuts.indexOf(first); (cuts[i] ?? Number.NaN) <= last; i++) {
        const [from, next] = [cuts[i] ?? 0, cuts[i + 1] ?? 0]
        const key = `${protocol} ${from}`
        if (!pieces.has(key)) pieces.set(key, { protocol, first: from, last: next - 1, number })
      }
    }
    return [...pieces.values()]
  }
}

/** An entry with its place among those of names. */
type Numbered = Permission & { number: number }

type Piece = NonNullable<Permission['service']> & { number: number }

/** The most exact first: a name alone is longer than any that all below it would be. */
function byExactness(one: Numbered, other: Numbered): number {
  const lengthOf = ({ to }: Numbered) => (to.startsWith('*') ? to.length : Number.MAX_SAFE_INTEGER)
  const portsOf = ({ service }: Numbered) => (service === undefined ? 0 : service.last - service.first)
  return lengthOf(other) - lengthOf(one) || portsOf(one) - portsOf(other) || one.number - other.number
}

export interface NamedEntries {
  /** By what the name of their map begins with. */
  elements: [map: string, SetElement][]
  /** Addresses that were not put in. */
  near: Ip[]
  /** More of them than one answer may bring. */
  beyond: Ip[]
  /** What has this long to go is not put in anew. */
  lastsS: number
}
