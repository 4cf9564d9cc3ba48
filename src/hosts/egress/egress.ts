/**
 * Ways out: what leaves a network does so by a host of choice.
 *
 *     container ─▶ bridge ─mark─▶ ip rule: near? main. Else the network's table ─▶ carrier ─▶ the host of choice ─▶ world
 *                                                 │ it is away                                 under its address
 *                                                 └─▶ unreachable, or (otherwise: own) main
 *
 * Only what a container begins is marked; answers to who asked from outside go back as the question came, and what the host
 * has a route for (its own subnets, other networks) stays here. A packet keeps the container's address until the host of
 * choice gives it another, so that one can tell who it is. The table of routes is never without its last resort, and rules
 * are not taken away before others stand: what may not leave by its own host does not for a moment.
 *
 * It follows the membership: the first of the named hosts that is there. Connections do not survive a change of the way, since
 * they would be known under another address; they are forgotten, and begin anew.
 *
 * The kernel compares a packet's way back by the same rules (rp_filter 1), with its mark only where the device says so:
 * ours does. Limit: with `routes` and strict rp_filter the underlay has to be the interface of the default route.
 */

import { type Cidr, contains, familyOf } from '../../model/address/address.ts'
import { hasCode } from '../../model/errors.ts'
import { type HostsOptions, type LeavingOptions, prefixesOf } from '../../model/hosts/hosts.ts'
import { forgetListed, isTracking } from '../../nat/conntrack.ts'
import { header } from '../../nat/kernel-chains.ts'
import { localAddresses } from '../../nat/served-ports.ts'
import { netfilterHere } from '../../netfilter/netfilter.ts'
import type { LinkRef } from '../../netlink/link/link.ts'
import { type Netlink, openNetlink, type Request } from '../../netlink/netlink.ts'
import { type KernelRoute, listRoutes, type NewRoute, routeRequest } from '../../netlink/route.ts'
import { listPolicyRules, type PolicyRule, policyRuleRequest } from '../../netlink/rule.ts'
import { writeSysctl } from '../../netns/sysctl.ts'
import { deviceName, type Place, PROTOCOL } from '../carrier/plan.ts'
import { readHeld } from '../kept.ts'
import type { Member } from '../members.ts'
import {
  chooseExit,
  type Exit,
  isSelf,
  routesFor,
  routeTableOf,
  rulesFor,
  self,
  tableName,
  textsFor,
} from './plan.ts'
import { ensureTable, hasTable, removeTable } from './table.ts'

export { isSelf } from './plan.ts'

const memberOf = (exit: Exit): Member | undefined => (exit.kind === 'host' ? exit.member : undefined)

export class Egress {
  readonly #place: Place
  readonly #leaving: LeavingOptions
  readonly #log: (line: string) => void
  #exit: Exit = { kind: 'nobody' }
  #said: string | undefined

  constructor(place: Place, leaving: LeavingOptions, log: (line: string) => void) {
    this.#place = place
    this.#leaving = leaving
    this.#log = log
  }

  /** By whom the network leaves now. */
  get exit(): Exit {
    return this.#exit
  }

  /** Makes all of it what it is to be, wherever it stands. @param link of the carrier @throws what the kernel says */
  look(members: readonly Member[], drained: ReadonlySet<string>, link: LinkRef | undefined): void {
    this.#exit = chooseExit(this.#leaving.hosts, self(), members, drained)
    this.#say()
    apply(this.#place, this.#leaving, this.#exit, link)
    if (link !== undefined)
      writeSysctl(`net/ipv4/conf/${deviceName(this.#place.network)}/src_valid_mark`, '1')
  }

  /** As look, where it is another host than before by whom the network leaves: no look at the kernel otherwise. */
  follow(members: readonly Member[], drained: ReadonlySet<string>, link: LinkRef | undefined): void {
    const next = chooseExit(this.#leaving.hosts, self(), members, drained)
    if (memberOf(next) !== memberOf(this.#exit) || next.kind !== this.#exit.kind)
      this.look(members, drained, link)
  }

  #say(): void {
    const { network } = this.#place
    const who =
      this.#exit.kind === 'host'
        ? `by host ${this.#exit.member.name}`
        : this.#exit.kind === 'self'
          ? 'by this host'
          : this.#leaving.otherwise === 'own'
            ? 'by its own hosts: of those of "egress" none is there'
            : 'by no host: of those of "egress" none is there'
    if (who !== this.#said) this.#log(`network ${network} leaves ${who}`)
    this.#said = who
  }
}

/** The last resort before all else, so that nothing leaves by this host meanwhile. */
function apply(place: Place, leaving: LeavingOptions, exit: Exit, link: LinkRef | undefined): void {
  const { network, layout, number } = place
  const prefixes = prefixesOf(layout.pools, number)
  const isAway = exit.kind !== 'self'
  using nl = openNetlink()
  const isChanged = makeRoutes(nl, network, isAway ? routesFor(place, exit, leaving.otherwise, link) : [])
  makeRules(nl, network, isAway ? rulesFor(network, prefixes) : [])
  ensureTable(network, textsFor(place, leaving, exit, leaving.hosts.some(isSelf)))
  const subnets = layout.pools.map(({ subnet }) => subnet)
  if (isChanged) forgetOutgoing(prefixes, subnets)
}

/** Takes everything back that is there of a network. */
export function removeEgress(network: string): void {
  using nl = openNetlink()
  makeRules(nl, network, [])
  makeRoutes(nl, network, [])
  removeTable(network)
}

/**
 * For who attaches a container before any daemon has made this, after a boot: what may not leave by its own host does not.
 * @throws what the kernel says
 */
export function ensureGround(network: string, hosts: HostsOptions, leaving: LeavingOptions): void {
  const held = readHeld(network)
  const [first] = leaving.hosts
  if (held === undefined || first === undefined || leaving.otherwise === 'own' || isSelf(first)) return
  const { pools, carrier, port } = hosts
  if (egressFaults(network, prefixesOf(pools, held.number)).length === 0) return
  const place = { network, layout: { pools, carrier, port }, number: held.number, mac: '' }
  apply(place, leaving, { kind: 'nobody' }, undefined)
}

/** What is lacking where a network does not leave by its own host, in words. @param prefixes of this host */
export function egressFaults(network: string, prefixes: readonly Cidr[]): string[] {
  using nl = openNetlink()
  const there = ([4, 6] as const).flatMap(family => listPolicyRules(nl, family, PROTOCOL)).map(ruleText)
  const lost = rulesFor(network, prefixes).filter(rule => !there.includes(ruleText(rule)))
  return [
    ...lost.map(
      rule => `there is no \`${ruleText(rule)}\`, by which network ${network} leaves by another host`,
    ),
    ...(hasTable(network) ? [] : [`table inet ${tableName(network)} of network ${network} is not there`]),
  ]
}

/** What is gone already is as good. */
function remove(nl: Netlink, request: Request): void {
  try {
    nl.change(request)
  } catch (thrown) {
    if (!hasCode(thrown, 'ENOENT', 'ESRCH')) throw thrown
  }
}

/** As `ip rule add` takes it. */
const ruleText = (rule: PolicyRule): string => {
  const { equivalent } = policyRuleRequest('add', rule)
  return typeof equivalent === 'string' ? equivalent : equivalent()
}

/** Those of one network: of a rule that looks into the table of all only the prefix tells. */
function makeRules(nl: Netlink, network: string, wanted: readonly PolicyRule[]): void {
  const all = ([4, 6] as const).flatMap(family => listPolicyRules(nl, family, PROTOCOL))
  const own = [...all.filter(({ table }) => table === routeTableOf(network)), ...wanted]
  const sources = new Set(own.map(({ source }) => source))
  const there = all.filter(({ source }) => sources.has(source))
  const [known, kept] = [new Set(there.map(ruleText)), new Set(wanted.map(ruleText))]
  for (const rule of wanted) if (!known.has(ruleText(rule))) nl.change(policyRuleRequest('add', rule))
  for (const rule of there) if (!kept.has(ruleText(rule))) remove(nl, policyRuleRequest('delete', rule))
}

/** @returns whether there was another way */
function makeRoutes(nl: Netlink, network: string, wanted: readonly NewRoute[]): boolean {
  const table = routeTableOf(network)
  const there = listRoutes(nl, { table }).filter(({ protocol }) => protocol === PROTOCOL)
  const isThere = (route: NewRoute): boolean =>
    there.some(
      each =>
        isSamePlace(each, route) &&
        each.gateway === route.gateway &&
        // Over a gateway on a wire the kernel finds the interface by itself.
        (route.link === undefined || each.index === route.link.index),
    )
  const put = wanted.filter(route => !isThere(route)).toReversed()
  const gone = there.filter(each => !wanted.some(route => isSamePlace(each, route)))
  for (const route of put) nl.change(routeRequest('replace', route))
  for (const { destination, priority = 0 } of gone)
    remove(nl, routeRequest('delete', { destination, table, priority, protocol: PROTOCOL }))
  return put.length + gone.length > 0
}

type Keyed = Pick<KernelRoute, 'destination' | 'priority'>
const isSamePlace = (a: Keyed, b: Keyed): boolean =>
  a.destination === b.destination && a.priority === b.priority

/** Of containers with who is outside of the network. */
function forgetOutgoing(prefixes: readonly Cidr[], subnets: readonly Cidr[]): void {
  if (!isTracking()) return
  for (const prefix of prefixes) {
    const family = familyOf(prefix)
    const local = localAddresses(family)
    const wanted = { header: { family: header(family), version: 1 }, attributes: {} } as const
    forgetListed(netfilterHere(), wanted, ({ original: { source, destination } }) => {
      if (source === undefined || destination === undefined || local.has(destination)) return false
      return (
        contains(prefix, source) &&
        !subnets.some(subnet => familyOf(subnet) === family && contains(subnet, destination))
      )
    })
  }
}
