/** What the kernel told of a packet, as the steps that people think in, and where it ended. */

import type { Endpoint } from '../../ffi/sockaddr.ts'
import { describeListed, hasLegacyRules } from '../../foreign/foreign.ts'
import { type Family, familyOf, ipFromBytes } from '../../model/address/address.ts'
import { type ListedRule, listChains, listRules } from '../../netfilter/list.ts'
import { netfilterHere } from '../../netfilter/netfilter.ts'
import type { TraceEvent } from '../../netfilter/trace.ts'
import type { TableFamily } from '../../netfilter/values.ts'
import { findLink } from '../../netlink/link/link.ts'
import { openNetlink } from '../../netlink/netlink.ts'
import type { Holder } from '../../ports/probe.ts'
import type { Outcome } from './packet.ts'
import { isWatcher } from './watch.ts'

export interface Step {
  /** `prerouting`, `forward` … */
  hook: string
  /**
   * Came to the hook, left it, or met a rule or a policy there; `redirect`, before all hooks: its sender was connected
   * elsewhere than it asked for.
   */
  kind: 'enters' | 'leaves' | 'rule' | 'policy' | 'redirect'
  /** The rule and where it stands, or the packet as it came or left. */
  what: string
  /** Of a rule or a policy. */
  verdict?: string
}

export interface End {
  /** Whether it came to somebody, as far as this host sees it. */
  reached: boolean
  /** A sentence: where it stopped, or who answered. */
  what: string
}

/** That a program of the kernel has led a connection of this host to the container, as it was made (redirect/). */
export function redirectIn(events: readonly TraceEvent[], asked: Endpoint): Step[] {
  // What is sent by this host comes to no other hook first; there no rule has translated it yet.
  const first = events.find(({ network }) => network !== undefined)
  const ends = first?.chain.startsWith('output') === true ? endsOf(first) : undefined
  if (ends === undefined || (ends.to.ip === asked.ip && ends.to.port === asked.port)) return []
  return [
    {
      hook: 'connect',
      kind: 'redirect',
      what: `the kernel's program connects who asks for ${endText(asked)} straight to ${endText(ends.to)}: neither the proxy nor rules of lo are on the way (tsnet ports says "redirect")`,
    },
  ]
}

/**
 * The way of the first packet: whose hooks come again is the next one, such as a client's reset.
 * @throws NetlinkError
 */
export function stepsOf(events: readonly TraceEvent[], family: Family): Step[] {
  const steps = allSteps(events, family)
  const again = steps.findIndex(
    ({ hook, kind }, index) =>
      kind === 'enters' && steps.slice(0, index).some(each => each.kind === 'enters' && each.hook === hook),
  )
  return again < 0 ? steps : steps.slice(0, again)
}

function allSteps(events: readonly TraceEvent[], family: Family): Step[] {
  const hooks = hooksByChain()
  const rules = new Map<string, ListedRule[]>()
  // Of a chain that is jumped to: where its base chain stands.
  let hook = ''
  // What a packet looks like is told once for each base chain, with whatever comes first there.
  let seen: TraceEvent | undefined
  return events.flatMap((event): Step[] => {
    const { table, chain, type, verdict, handle, network } = event
    hook = hooks.get(keyOf(event)) ?? hook
    if (network !== undefined) seen = event
    if (isWatcher(event)) {
      if (type !== 'policy') return []
      return [{ hook, kind: chain.endsWith('-first') ? 'enters' : 'leaves', what: packetIn(seen ?? event) }]
    }
    if (type === 'policy') {
      return [{ hook, kind: 'policy', what: `${event.family} ${table}, chain ${chain}: the policy`, verdict }]
    }
    // Without a handle it is the end of the chain, which is told as a rule.
    if (type === 'return' || handle === undefined) return []
    return [{ hook, kind: 'rule', what: ruleIn(event, family, rules), verdict: verdictOf(event) }]
  })
}

const keyOf = ({ family, table, chain }: Pick<TraceEvent, 'family' | 'table' | 'chain'>): string =>
  `${family} ${table} ${chain}`

function hooksByChain(): Map<string, string> {
  const chains = listChains(netfilterHere())
  return new Map(
    chains.flatMap(({ table, name, hook }) =>
      hook?.at === undefined
        ? []
        : [[keyOf({ family: table.family, table: table.name, chain: name }), hook.at]],
    ),
  )
}

const verdictOf = ({ verdict, to }: TraceEvent): string => (to === undefined ? verdict : `${verdict} ${to}`)

/** One that has gone meanwhile is known by its handle alone. */
function ruleIn(event: TraceEvent, family: Family, known: Map<string, ListedRule[]>): string {
  const key = keyOf(event)
  const { table, chain } = event
  const rules =
    known.get(key) ??
    listRules(netfilterHere(), { table: { family: event.family as TableFamily, name: table }, chain })
  known.set(key, rules)
  const index = rules.findIndex(({ handle }) => handle === event.handle)
  const rule = rules[index]
  return rule === undefined
    ? `nft table ${event.family} ${table}, chain ${chain}, handle ${event.handle}`
    : describeListed(rule, index + 1, family)
}

/** `192.168.50.2:50000 → 10.10.0.2:80, lan0 → br-front`. */
function packetIn(event: TraceEvent): string {
  const { input, output } = event
  const ends = endsOf(event)
  using nl = openNetlink()
  const name = (index: number | undefined) =>
    index === undefined || index === 0 ? undefined : (findLink(nl, { index })?.name ?? `if${index}`)
  const [from, to] = [name(input), name(output)]
  const way =
    from !== undefined && to !== undefined
      ? `${from} → ${to}`
      : from !== undefined
        ? `by ${from}`
        : to !== undefined
          ? `over ${to}`
          : undefined
  const said = ends && `${endText(ends.from)} → ${endText(ends.to)}`
  return [said, way].filter(Boolean).join(', ')
}

/** struct iphdr, struct ipv6hdr, as the first four bits say; ports stand first in either transport header. */
function endsOf({
  network,
  transport,
}: Pick<TraceEvent, 'network' | 'transport'>): { from: Endpoint; to: Endpoint } | undefined {
  if (network === undefined) return undefined
  const [at, size] = (network[0] ?? 0) >> 4 === 4 ? [12, 4] : [8, 16]
  if (network.length < at + 2 * size) return undefined
  const end = (start: number, offset: number): Endpoint => ({
    ip: ipFromBytes(network.subarray(start, start + size)),
    port: ((transport?.[offset] ?? 0) << 8) | (transport?.[offset + 1] ?? 0),
  })
  return { from: end(at, 0), to: end(at + size, 2) }
}

const endText = ({ ip, port }: Endpoint): string =>
  `${familyOf(ip) === 6 ? `[${ip}]` : ip}${port === 0 ? '' : `:${port}`}`

interface Known {
  outcome: Outcome
  family: Family
  /** Who listens on the port of the host. */
  listener?: Holder
}

/** Where hooks lead to when nothing stops a packet. */
const AFTER: Record<string, string> = {
  prerouting:
    'the kernel passed it on to nobody: no route, forwarding is off, or reverse path filtering (net.ipv4.conf.*.rp_filter) took it for forged',
  output: 'it left this host by no interface: there is no route',
}

export function endOf(steps: readonly Step[], { outcome, family, listener }: Known): End {
  const dropped = steps.find(({ verdict }) => verdict === 'drop')
  if (dropped !== undefined)
    return { reached: false, what: `it was dropped in ${dropped.hook} by ${dropped.what}` }
  const last = steps.findLast(({ kind }) => kind === 'enters' || kind === 'leaves')
  if (outcome === 'answered') return { reached: true, what: 'somebody answered' }
  if (last === undefined) {
    return {
      reached: false,
      what: 'no hook of nf_tables saw it: it never left its sender, or was led elsewhere before (tsnet ports says "redirect")',
    }
  }
  if (outcome === 'refused')
    return {
      reached: true,
      what: steps.some(({ hook }) => hook === 'forward')
        ? 'it came to the container, which refused it: nobody listens there'
        : 'it came to this host, which refused it: nobody listens, or a rule rejects it',
    }
  if (last.kind === 'enters') {
    const legacy = hasLegacyRules(family)
      ? 'legacy iptables has rules, which tell nothing: iptables-legacy-save'
      : 'a rule rejected it, or a program that is no rule dropped it'
    return { reached: false, what: `it came into ${last.hook} and did not leave it: ${legacy}` }
  }
  if (last.hook === 'postrouting')
    return {
      reached: false,
      what: `it left the host's rules (${last.what}), and nobody answered: look into where it went, with tsnet doctor`,
    }
  if (last.hook === 'input')
    return {
      reached: true,
      what:
        listener === undefined
          ? 'it came to this host, where nobody was seen to listen'
          : `it came to ${listener.name} (pid ${listener.pid}), which has not answered yet`,
    }
  return { reached: false, what: `after ${last.hook} ${AFTER[last.hook] ?? 'it was not seen again'}` }
}
