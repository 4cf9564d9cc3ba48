/**
 * What is let through for containers, as the reference plugin firewall has it in iptables:
 *
 *     filter  FORWARD                first of all ─▶ CNI-ISOLATION-STAGE-1, where a bridge is closed
 *                                    then         ─▶ CNI-FORWARD
 *             CNI-FORWARD            first of all ─▶ CNI-ADMIN, which an administrator fills
 *                                    answers to a container, and all that comes from one: accepted
 *             CNI-ISOLATION-STAGE-1  from a closed bridge to another interface ─▶ CNI-ISOLATION-STAGE-2
 *                                    from an isolated bridge to itself: dropped
 *             CNI-ISOLATION-STAGE-2  to a closed bridge: dropped
 *
 * What is new and comes in is accepted by the policy of FORWARD alone, as in the reference.
 */

import {
  contains,
  type Family,
  familyOf,
  type Ip,
  ipOf,
  networkOf,
  tryParseIp,
} from '../../model/address/address.ts'
import type { FirewallBackend, FirewallIntent, IngressPolicy } from '../../model/chained.ts'
import { chainOf, type SharedRule, type Sheet, type TableListing, targetOf, wordingsOf } from './reference.ts'

export const FORWARD = 'CNI-FORWARD'
const STAGES = ['CNI-ISOLATION-STAGE-1', 'CNI-ISOLATION-STAGE-2'] as const
const [STAGE_1, STAGE_2] = STAGES

const comment = (text: string): string => `-m comment --comment "${text}"`

type Policies = IngressPolicy | 'same-bridge|isolated'

/** A rule with the policy that the reference names in its comment, and with others that it may name. */
function policyRule(write: (comment: string) => string, policies: [Policies, ...Policies[]]): SharedRule {
  const [rule = '', ...also] = policies.map(policy =>
    write(comment(`CNI firewall plugin rules (ingressPolicy: ${policy})`)),
  )
  return { rule, also, first: true }
}

/** Of what bridges of both policies share, from 1.7 on; before, it knew but one policy. */
const BOTH: [Policies, ...Policies[]] = ['same-bridge|isolated', 'same-bridge']

const TO_FORWARD = `FORWARD ${comment('CNI firewall plugin rules')} -j ${FORWARD}`
const TO_STAGES = policyRule(text => `FORWARD ${text} -j ${STAGE_1}`, BOTH)
const JUMPS = [TO_FORWARD, ...wordingsOf(TO_STAGES)]
const ADMIN = comment('CNI firewall plugin admin overrides')

type Asked = { backend: FirewallBackend; intent: FirewallIntent }

/** What is wanted of the table of one family; undefined where it is nothing. */
export function firewallSheet({ backend, intent }: Asked, family: Family): Sheet | undefined {
  const accepts = backend === 'iptables'
  const closed = intent.ingressPolicy !== 'open' && intent.bridge !== undefined
  const addresses = intent.addresses.filter(address => familyOf(address) === family)
  if (addresses.length === 0 || !(accepts || closed)) return undefined
  return {
    table: 'filter',
    chains: [...(accepts ? [FORWARD, intent.adminChain] : []), ...(closed ? STAGES : [])],
    shared: [
      ...(accepts
        ? [
            { rule: TO_FORWARD, first: true },
            { rule: `${FORWARD} ${ADMIN} -j ${intent.adminChain}`, first: true },
          ]
        : []),
      ...(closed ? stageRules(intent) : []),
    ],
    own: [],
    rules: accepts ? addresses.flatMap(address => acceptRules(ipOf(address), family)) : [],
  }
}

const acceptRules = (ip: Ip, family: Family): string[] => {
  const host = `${ip}/${family === 4 ? 32 : 128}`
  return [
    `${FORWARD} -d ${host} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    `${FORWARD} -s ${host} -j ACCEPT`,
  ]
}

const stageRules = (intent: FirewallIntent): SharedRule[] => [
  TO_STAGES,
  ...bridgeRules(intent),
  ...STAGES.map(stage => ({ ...policyRule(text => `${stage} ${text} -j RETURN`, BOTH), first: false })),
]

/** The rules of one bridge. */
export function bridgeRules({ bridge, ingressPolicy }: FirewallIntent): SharedRule[] {
  if (bridge === undefined || ingressPolicy === 'open') return []
  const isolated = ingressPolicy === 'isolated'
  return [
    policyRule(
      text => `${STAGE_1} -i ${bridge} ! -o ${bridge} ${text} -j ${STAGE_2}`,
      isolated ? ['isolated', 'same-bridge'] : ['same-bridge', 'isolated'],
    ),
    ...(isolated
      ? [policyRule(text => `${STAGE_1} -i ${bridge} -o ${bridge} ${text} -j DROP`, ['isolated'])]
      : []),
    policyRule(text => `${STAGE_2} -o ${bridge} ${text} -j DROP`, BOTH),
  ]
}

/** Isolation has to stay before what accepts, whichever of them is added later. */
export function keepStagesFirst(sheet: Sheet, there: TableListing): Sheet {
  const adds = sheet.shared.some(({ rule }) => rule === TO_FORWARD) && !there.has(TO_FORWARD)
  const moved = wordingsOf(TO_STAGES).filter(there.has)
  if (!adds || moved.length === 0) return sheet
  const others = sheet.shared.filter(each => each !== TO_STAGES)
  return { ...sheet, shared: [...others, TO_STAGES], moved }
}

/** The addresses that are let through, whoever did that. */
export const allLetThrough = (there: TableListing): Ip[] =>
  there.rules.flatMap(rule => {
    const text = ACCEPTED.exec(rule)?.[1]
    return (text === undefined ? undefined : tryParseIp(text)) ?? []
  })

/** Half of a container's rules may be gone. */
const ACCEPTED =
  /^CNI-FORWARD -[sd] (\S+)\/(?:32|128) (?:-m conntrack --ctstate RELATED,ESTABLISHED )?-j ACCEPT$/

/** The addresses in the subnets of these that are still let through, whoever did that. */
export const letThrough = (there: TableListing, { addresses }: FirewallIntent): Ip[] =>
  allLetThrough(there).filter(ip => addresses.some(address => isIn(networkOf(address), ip)))

/** What lets addresses through no more. */
export const acceptRemoval = (there: TableListing, family: Family, gone: readonly Ip[]): string[] =>
  there.rules
    .filter(rule => gone.some(ip => acceptRules(ip, family).includes(rule)))
    .map(rule => `-D ${rule}`)

const isIn = (network: ReturnType<typeof networkOf>, ip: Ip): boolean =>
  familyOf(network) === familyOf(ip) && contains(network, ip)

/**
 * What opens a bridge again, and takes the stages away where no bridge is closed.
 * @param gone rules of the bridge
 */
export function stageRemoval(there: TableListing, gone: readonly string[]): string[] {
  const found = gone.filter(there.has)
  const left = there.rules.filter(
    rule =>
      STAGES.some(stage => stage === chainOf(rule)) && !found.includes(rule) && targetOf(rule) !== 'RETURN',
  )
  const away = left.length === 0 ? chainsAway([...STAGES], there) : []
  return away.length > 0 ? away : found.map(rule => `-D ${rule}`)
}

/** What takes CNI-FORWARD and empty chains of administrators away, where it lets nothing through any more. */
export function forwardRemoval(there: TableListing): string[] {
  if (!there.chains.has(FORWARD)) return []
  const jumps = there.rules.filter(rule => rule.startsWith(`${FORWARD} ${ADMIN} -j `))
  if (there.rules.some(rule => chainOf(rule) === FORWARD && !jumps.includes(rule))) return []
  const unused = jumps.filter(jump => {
    const uses = there.rules.filter(rule => [chainOf(rule), targetOf(rule)].includes(targetOf(jump)))
    return uses.length === 1
  })
  const away = unused.length === jumps.length ? chainsAway([FORWARD], there) : []
  return [
    // A rule that is deleted from a chain which is then emptied is not deleted, says iptables-nft.
    ...(away.length > 0 ? away : unused.map(jump => `-D ${jump}`)),
    ...unused.map(jump => `-X ${targetOf(jump)}`),
  ]
}

/** Deletes chains and what leads to them; nothing where somebody else leads there too. */
function chainsAway(chains: string[], there: TableListing): string[] {
  const leading = there.rules.filter(
    rule => chains.includes(targetOf(rule)) && !chains.includes(chainOf(rule)),
  )
  if (leading.some(rule => !JUMPS.includes(rule))) return []
  const present = chains.filter(chain => there.chains.has(chain))
  return [
    ...leading.map(rule => `-D ${rule}`),
    ...present.map(chain => `-F ${chain}`),
    ...present.map(chain => `-X ${chain}`),
  ]
}
