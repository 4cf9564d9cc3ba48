/**
 * What other people's rules do to packets that tsnet wants to get through.
 *
 *     nf_tables ── nft-ruleset, nft-rule ──┐
 *                                          ├─▶ rule.ts: chains, tests, verdicts ─┐
 *     legacy iptables ── legacy-table ─────┘        (xt-*.ts reads both)         ├─▶ walk ─▶ judge ─▶ Obstacle
 *     what is to come through ── journey, packet ──▶ what is known of it ────────┘            describe ─▶ words
 *
 * A firewall's owner may drop what is forwarded to a container in any table: Docker for its bridges, an image
 * of a cloud by a last REJECT, ufw by a policy, firewalld by zones. An accept of ours in one table does not
 * help against a drop in another, and in iptables only where it comes first. So before the kernel is given a
 * port, its packets are sent through all those rules, as plain values, and what drops them is named.
 *
 * What is not known of a packet (where a client comes from) makes a rule match *perhaps*, and both ways are gone.
 * Nobody's rule is changed, and none is gone around: what the proxy serves instead comes by INPUT, where the
 * owner's rules about the host itself hold.
 *
 * Below the routed hooks, chains of the family bridge and at interfaces are looked at as well (frames.ts), for who asks
 * what is wrong: no publication is decided by them.
 *
 * Limits: chains of type nat and of the family arp, tables of ebtables-legacy, and what programs do (tc, BPF, XDP) are
 * not looked at. Extensions that are not known here match perhaps. A limit is taken for one that light
 * traffic is below, and a queue for one whose listener says yes.
 */

import type { Family, Ip } from '../model/address/address.ts'
import type { ListedRule } from '../netfilter/list.ts'
import { describePlace } from './describe.ts'
import {
  answering,
  type By,
  bridged,
  HOOKS,
  inward,
  type Outgoing,
  onLoopback,
  outward,
  type ProxiedPort,
  type PublishedPort,
  returning,
  toProxy,
} from './journey.ts'
import { findDrop, findObstacle, type Obstacle } from './judge.ts'
import { readRule } from './nft/rule.ts'
import type { Interface } from './packet.ts'
import type { BaseChain, Ruleset } from './rule.ts'
import { withRules } from './ruleset-here.ts'
import { interfaceNamed, uplinksBeside } from './uplinks.ts'
import type { Own } from './walk.ts'

export {
  type HangingBy,
  obstacleToFramesBetween,
  obstacleToPortFrames,
  obstacleToProxyFrames,
  obstacleToSentFrames,
} from './below.ts'
export type { Certainty, Obstacle } from './judge.ts'
export { asOnePicture, generationHere, hasLegacyRules } from './ruleset-here.ts'
export { legacyContent, legacyMark } from './xtables/xtables.ts'

/** Where our own rules accept what we want to get through: in FORWARD of iptables, of one variant. */
export interface Accepts {
  variant: 'nft' | 'legacy'
  /** Before all that others have there; absent: behind it. */
  isFirst?: boolean
  /** Only where the chain drops by policy. */
  onlyIfDropping?: boolean
}

/**
 * What drops connections to published ports, or their answers.
 * @throws NetlinkError, SystemError
 */
export const obstacleToPorts = (
  ports: readonly By<PublishedPort>[],
  accepts?: Accepts,
): Obstacle | undefined =>
  obstacleOf(ports, port => [peer => inward(port, peer), peer => answering(port, peer)], accepts)

/** As obstacleToPorts, where somebody else sees to the answers. */
export const obstacleToRequests = (ports: readonly By<PublishedPort>[]): Obstacle | undefined =>
  obstacleOf(ports, port => [peer => inward(port, peer)])

/** What drops connections to the same ports where a process of this host listens on them. */
export const obstacleToProxy = (ports: readonly By<ProxiedPort>[]): Obstacle | undefined =>
  obstacleOf(ports, port => [peer => toProxy(port, peer)])

/** A container that asks a port of this host, at an address of the host. */
export interface Question extends Pick<PublishedPort, 'family' | 'protocol' | 'hostPort'> {
  container: Ip
  hostIp: Ip
  bridge: string
}

/** What drops a container's questions to this host. */
export const obstacleToQuestion = ({ container, bridge, ...port }: Question): Obstacle | undefined =>
  withRules(ruleset => {
    if (!haveRules(ruleset, port.family)) return undefined
    const journey = toProxy(port, { address: container, by: interfaceNamed(bridge) })
    return findDrop(
      { ...journey, what: `what ${container} asks port ${port.hostPort}/${port.protocol} of ${port.hostIp}` },
      ruleset,
    )
  })

/** What drops new connections from a container to another one on its bridge, where such packets pass rules. */
export const obstacleBetween = (sent: By<Outgoing>): Obstacle | undefined =>
  withRules(ruleset =>
    haveRules(ruleset, sent.family)
      ? findDrop(bridged({ ...sent, bridge: interfaceNamed(sent.bridge) }), ruleset)
      : undefined,
  )

/** What keeps somebody, or everybody, of this host from ports of its loopback. */
export const guardOfLoopback = (ports: readonly Parameters<typeof onLoopback>[0][]): Obstacle | undefined =>
  withRules(ruleset => {
    for (const port of ports) {
      const drop = haveRules(ruleset, port.family) ? findDrop(onLoopback(port), ruleset) : undefined
      if (drop !== undefined) return drop
    }
    return undefined
  })

/** What drops what containers send out, or the answers to that. */
export const obstacleToEgress = (
  outgoing: readonly By<Outgoing>[],
  accepts?: Accepts,
): Obstacle | undefined =>
  obstacleOf(outgoing, each => [peer => outward(each, peer), peer => returning(each, peer)], accepts)

/** An obstacle in words, as part/** An obstacle in words, as part of a sentence: `… is dropped by iptables, table filter, …`. */
export const describeObstacle = ({ certainty, what, place }: Obstacle): string => {
  const verb = certainty === 'perhaps' ? 'may be dropped' : 'is dropped'
  const whose = certainty === 'outside' ? ' for all whom no rule names' : ''
  return `${what} ${verb}${whose} by ${describePlace(place)}`
}

/** A rule as those who wrote it know it, and where it stands. @param number from 1 on, within its chain */
export function describeListed(rule: ListedRule, number: number, family: Family): string {
  const { table, chain } = rule
  const dialect = isOfXtables(table.name, chain) ? 'iptables' : 'nft'
  return describePlace({
    dialect,
    family: table.family,
    table: table.name,
    chain,
    rule: readRule(rule, number, family),
  })
}

/** Tables that iptables makes have its names, with chains in capital letters. */
const isOfXtables = (table: string, chain: string): boolean =>
  ['raw', 'mangle', 'nat', 'filter', 'security'].includes(table) && /^[A-Z]/.test(chain)

function obstacleOf<T extends { family: Family }>(
  subjects: readonly By<T & { bridge: Interface }>[],
  ways: (subject: T & { bridge: Interface }) => Parameters<typeof findObstacle>[0],
  accepts?: Accepts,
): Obstacle | undefined {
  const [first] = subjects
  if (first === undefined) return undefined
  return withRules(ruleset => {
    // Then nothing else is asked for.
    if (!subjects.some(({ family }) => haveRules(ruleset, family))) return undefined
    const bridge = interfaceNamed(first.bridge)
    const all = subjects.flatMap(subject => ways({ ...subject, bridge } as T & { bridge: Interface }))
    return findObstacle(all, {
      ruleset,
      own: ownOf(accepts),
      bridge,
      uplinks: uplinksBeside(bridge.name),
    })
  })
}

/** False where nobody has rules that could be in the way of anything, as on most hosts. */
export const othersHaveRules = (): boolean =>
  withRules(rules => ([4, 6] as const).some(family => haveRules(rules, family)))

const haveRules = (rules: Ruleset, family: Family): boolean =>
  HOOKS.some(hook => rules.baseChains(hook, family).length > 0)

const OUR_CHAIN = /^TSNET-/
const OUR_COMMENT = /^tsnet:/

function ownOf(accepts: Accepts | undefined): Own {
  const isOurs = ({ dialect, table, hook }: BaseChain): boolean =>
    accepts !== undefined &&
    dialect === (accepts.variant === 'nft' ? 'iptables' : 'legacy') &&
    table === 'filter' &&
    hook === 'forward'
  return {
    jump: (base, chain) => (!OUR_CHAIN.test(chain) ? undefined : isOurs(base) ? 'accept' : 'pass'),
    isOurs: ({ comment = '' }) => OUR_COMMENT.test(comment),
    accepts(base) {
      if (!isOurs(base) || (accepts?.onlyIfDropping && !base.drops)) return undefined
      return accepts?.isFirst ? 'first' : 'last'
    },
  }
}
