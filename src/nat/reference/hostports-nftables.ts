/**
 * Ports of the host that lead to a container, as the reference plugin portmap has them in nftables: tables
 * `ip cni_hostport` and `ip6 cni_hostport`, one rule a port, the container's id as its comment.
 *
 *     prerouting, output  to an address of this host ─▶ hostports_all ─▶ hostip_hostports, hostports ─▶ dnat
 *     masquerading        from the container itself, its subnet or 127.0.0.1 to it: masquerade
 *     guard               to 127.0.0.0/8, but not over lo: dropped
 *     invalid             what belongs to no connection ─▶ hostports_invalid: from the container, or to a port: dropped
 *
 * The last two are ours, see hostports-iptables.ts. So are conditions at the rules of the container they belong to:
 * the reference has them at those that all containers share. The reference's DEL takes the rules of a
 * container id whatever the network; ours takes those that lead to the addresses it knows of.
 */

import {
  bytesOf,
  type Cidr,
  type Family,
  familyOf,
  ipOf,
  isUnspecified,
  networkOf,
} from '../../model/address/address.ts'
import type { HostPort, HostPortIntent } from '../../model/chained.ts'
import { TsnetError } from '../../model/errors.ts'
import { transactionOf } from '../../netfilter/commands.ts'
import { consistently, generation } from '../../netfilter/generations.ts'
import { compileRule, isKnown } from '../../netfilter/language/language.ts'
import { hasTable, type ListedRule, listRules, targetOf } from '../../netfilter/list.ts'
import { netfilterHere } from '../../netfilter/netfilter.ts'
import { denied, isBusy, isMissing, isOutdated } from '../../netfilter/refusal.ts'
import { isMadeOf } from '../../netfilter/same-rule.ts'
import { type TableRef, Transaction, tableText } from '../../netfilter/transaction.ts'
import type { Netlink } from '../../netlink/netlink.ts'
import { findCommand, run, wordsOf } from '../commands.ts'
import { header as ip } from '../kernel-chains.ts'
import { portsOf } from './hostports-iptables.ts'

const INVALID = 'hostports_invalid'
/** Chains of the reference in which containers have rules. */
const PORT_CHAINS = ['hostports', 'hostip_hostports', 'masquerading']

const refOf = (family: Family): TableRef => ({ family: ip(family), name: 'cni_hostport' })
const tableOf = (family: Family): string => tableText(refOf(family))

/** The table with what all containers share; changes nothing where it is there already. */
function baseCommands(family: Family, snat: boolean): string[] {
  const table = tableOf(family)
  const chain = (name: string, hook: string, ...rules: string[]): string[] => [
    `add chain ${table} ${name}${hook === '' ? '' : ` { type ${hook} ; }`}`,
    `flush chain ${table} ${name}`,
    ...rules.map(rule => `add rule ${table} ${name} ${rule}`),
  ]
  return [
    `add table ${table} { comment "CNI portmap plugin" ; }`,
    `add chain ${table} hostip_hostports`,
    `add chain ${table} hostports`,
    ...chain('hostports_all', '', 'jump hostip_hostports', 'jump hostports'),
    ...chain('prerouting', 'nat hook prerouting priority -100', 'fib daddr type local jump hostports_all'),
    ...chain('output', 'nat hook output priority -100', 'fib daddr type local jump hostports_all'),
    ...(snat ? [`add chain ${table} masquerading { type nat hook postrouting priority 100 ; }`] : []),
    `add chain ${table} ${INVALID}`,
    ...chain('invalid', 'filter hook prerouting priority -150', `ct state invalid jump ${INVALID}`),
    ...(family === 4
      ? chain('guard', 'filter hook prerouting priority -300', 'iifname != "lo" ip daddr 127.0.0.0/8 drop')
      : []),
  ]
}

interface PortRule {
  chain: string
  rule: string
  /** The reference plugin does without it. */
  extra?: boolean
}

/** The container's rules, each with its chain. */
function rulesOf(intent: HostPortIntent, address: Cidr): PortRule[] {
  const family = familyOf(address)
  const [header, own] = [ip(family), ipOf(address)]
  const comment = `comment "${intent.containerId}"`
  const conditions = intent.conditions[family].map(word => `${word} `).join('')
  const target = ({ containerPort }: HostPort) => `${family === 6 ? `[${own}]` : own}:${containerPort}`
  const at = (port: HostPort) =>
    `${isAny(port) ? '' : `${header} daddr ${port.hostIp} `}${port.protocol} dport ${port.hostPort}`
  const neighbours = `${header} saddr ${networkOf(address)} ${header} daddr ${own} ct status dnat masquerade ${comment}`
  return [
    // Ports of one address stand first, or those of any would be found before them.
    ...portsOf(intent, family)
      .toSorted((a, b) => Number(isAny(a)) - Number(isAny(b)))
      .map(port => ({
        chain: 'hostports',
        rule: `${conditions}${at(port)} dnat to ${target(port)} ${comment}`,
      })),
    {
      chain: INVALID,
      rule: `${header} saddr ${own} meta l4proto { tcp, sctp } drop ${comment}`,
      extra: true,
    },
    // The address says whose rule it is among those of one container.
    ...portsOf(intent, family).map(port => ({
      chain: INVALID,
      rule: `${conditions}${header} saddr != ${own} fib daddr type local ${at(port)} drop ${comment}`,
      extra: true,
    })),
    // With masqAll too, or CHECK of the reference 1.9 misses them.
    ...(intent.snat ? [own, ...(family === 4 ? ['127.0.0.1'] : [])] : []).map(source => ({
      chain: 'masquerading',
      rule: `${header} saddr ${source} ${header} daddr ${own} masquerade ${comment}`,
    })),
    // The reference 1.9 leaves out these two: it does not know masqAll, and neighbours get answers past the host.
    ...(intent.snat
      ? [
          {
            chain: 'masquerading',
            rule: intent.masqAll ? `${header} daddr ${own} masquerade ${comment}` : neighbours,
            extra: true,
          },
        ]
      : []),
  ]
}

const isAny = ({ hostIp }: HostPort): boolean => hostIp === undefined || isUnspecified(hostIp)

const commandsOf = (intent: HostPortIntent, address: Cidr): string[] => [
  ...baseCommands(familyOf(address), intent.snat),
  ...rulesOf(intent, address).map(
    ({ chain, rule }) => `add rule ${tableOf(familyOf(address))} ${chain} ${rule}`,
  ),
]

/** The document, as nft -f takes it. */
export const describePortsNft = (intent: HostPortIntent): string =>
  `${intent.addresses.flatMap(address => commandsOf(intent, address)).join('\n')}\n`

/** Adds all rules or none. @throws TsnetError `missing`, `invalid-config`, `kernel` */
export async function installPortsNft(intent: HostPortIntent): Promise<void> {
  const commands = intent.addresses.flatMap(address => commandsOf(intent, address))
  const isOurs = intent.addresses.every(address =>
    rulesOf(intent, address).every(({ rule }) => isKnown(ip(familyOf(address)), rule)),
  )
  if (!isOurs) return installByCommand(intent, commands)
  const denial = transactionOf(commands).commit(netfilterHere())
  if (denial !== undefined) throw denied(`ports of container ${intent.containerId}`, denial)
}

/** Conditions are words of nft's language; where they are none that we know, nft itself has to read them. */
async function installByCommand(
  { containerId, conditions }: HostPortIntent,
  commands: string[],
): Promise<void> {
  const words = [...conditions[4], ...conditions[6]].map(word => JSON.stringify(word)).join(', ')
  const nft = findCommand('nft')
  if (nft === undefined) {
    throw new TsnetError(
      'missing',
      `conditions ${words} of container ${containerId}: only nft knows these words`,
      {
        details: 'install nftables, or use conditions of addresses, interfaces, marks and ports',
      },
    )
  }
  const done = await run(nft, ['-f', '-'], { stdin: `${commands.join('\n')}\n` })
  if (done.code === 0) return
  throw new TsnetError(
    'kernel',
    `nft, ports of container ${containerId} with conditions ${words}: ${wordsOf(done)}`,
  )
}

/**
 * Removes a container's rules.
 * @param addresses those that the rules lead to; absent: whichever
 * @throws TsnetError `kernel`
 */
export async function withdrawPortsNft(containerId: string, addresses?: readonly Cidr[]): Promise<void> {
  const isOwn = (rule: ListedRule) =>
    rule.comment === containerId &&
    (addresses === undefined || addresses.some(address => names(rule, bytesOf(ipOf(address)))))
  for (const family of [4, 6] as const) {
    const tx = new Transaction()
    for (const { table, chain, handle } of listPorts(family, [...PORT_CHAINS, INVALID]).filter(isOwn)) {
      tx.deleteRule(table, chain, handle)
    }
    const denial = tx.commit(netfilterHere())
    if (denial !== undefined && !isMissing(denial)) throw denied(`removing ports of ${containerId}`, denial)
  }
}

/** True for a rule that compares something with these bytes, or leads there. */
const names = ({ expressions }: ListedRule, bytes: Uint8Array): boolean =>
  expressions.some(({ cmp, immediate }) => {
    const { value } = cmp?.data ?? immediate?.data ?? {}
    return value !== undefined && Buffer.compare(value, bytes) === 0
  })

/** True when a container has rules, whoever made them. */
export const hasPortsNft = (): boolean => listPorts(4).length > 0 || listPorts(6).length > 0

/** How often a table is looked at again when others change rules at the same time. */
const ATTEMPTS = 10

/** Deletes the tables where no container has rules. */
export function removeUnusedNft(): void {
  const nl = netfilterHere()
  for (const family of [4, 6] as const) {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const then = generation(nl)
      if (!hasTable(nl, refOf(family)) || listPorts(family).length > 0) break
      // Refused where somebody has changed anything since: it may have been here.
      const denial = new Transaction().deleteTable(refOf(family)).commit(nl, then)
      if (denial === undefined || isMissing(denial) || isBusy(denial)) break
      if (!isOutdated(denial)) throw denied(`deleting table ${tableOf(family)}`, denial)
    }
  }
}

const listPorts = (family: Family, chains = PORT_CHAINS): ListedRule[] =>
  listRules(netfilterHere(), { table: refOf(family) }).filter(({ chain }) => chains.includes(chain))

/**
 * What the tables lack of an intent, in words.
 * @param ours this plugin made them: nothing may be missing that the reference does without
 */
export async function verifyPortsNft(intent: HostPortIntent, ours: boolean): Promise<string[]> {
  const nl = netfilterHere()
  return consistently(nl, () => intent.addresses.flatMap(address => missingPorts(nl, intent, address, ours)))
}

function missingPorts(nl: Netlink, intent: HostPortIntent, address: Cidr, ours: boolean): string[] {
  const table = refOf(familyOf(address))
  const there = listRules(nl, { table })
  const has = (chain: string, rule: string, isEnd = false): boolean =>
    there.some(
      found => found.chain === chain && isMadeOf(nl, found, compileRule(table.family, rule), { isEnd }),
    )
  const masqueradesAll = !ours && forAll(intent, address).some(rule => has('masquerading', rule))
  const wanted = rulesOf(intent, address).filter(
    ({ chain, extra }) => ours || !(extra || (masqueradesAll && chain === 'masquerading')),
  )
  // The reference has conditions elsewhere, and in words that only nft knows.
  const isWhole = (rule: string) =>
    intent.conditions[familyOf(address)].length === 0 || (ours && isKnown(table.family, rule))
  const missing = wanted.filter(({ chain, rule }) =>
    isWhole(rule) || !rule.includes(' dport ') ? !has(chain, rule) : !has(chain, fromPort(rule), true),
  )
  const problems = missing.map(({ chain, rule }) => `nftables: ${tableText(table)} ${chain} lacks ${rule}`)
  if (ours && !has('invalid', `ct state invalid jump ${INVALID}`)) {
    problems.push(`nftables: nothing leads to ${INVALID} of ${tableText(table)}`)
  }
  if (!there.some(leadsToPorts)) problems.push(`nftables: nothing leads to the ports of ${tableText(table)}`)
  return problems
}

/** Before it stand conditions that the reference has for all containers together; up to 1.8 its chain is another. */
const leadsToPorts = (rule: ListedRule): boolean =>
  ['hostports_all', 'hostports'].includes(targetOf(rule) ?? '') &&
  rule.expressions.some(({ fib }) => fib?.result === 'type')

/** Rules that masquerade what comes to an address from wherever, as later versions of the reference may have them. */
function forAll({ containerId }: HostPortIntent, address: Cidr): string[] {
  const header = ip(familyOf(address))
  const rule = `${header} daddr ${ipOf(address)} masquerade comment "${containerId}"`
  return [rule, `${header} saddr ${familyOf(address) === 4 ? '0.0.0.0' : '::'}/0 ${rule}`]
}

/** What follows the conditions. */
const fromPort = (rule: string): string => rule.slice(rule.search(/\S+ dport /))
