/**
 * Ports of the host that lead to a container, as the reference plugin portmap has them in nftables: tables
 * `ip cni_hostport` and `ip6 cni_hostport`, one rule a port, the container's id as its comment.
 *
 *     prerouting, output  to an address of this host ─▶ hostports_all ─▶ hostip_hostports, hostports ─▶ dnat
 *     masquerading        from the container itself, its subnet or 127.0.0.1 to it: masquerade
 *     guard               to 127.0.0.0/8, but not over lo: dropped
 *     invalid             what belongs to no connection ─▶ hostports_invalid: from the container, or to a port: dropped
 *
 * The last two are ours, see hostport-rules.ts. So are conditions at the rules of the container they belong to:
 * the reference has them at those that all containers share. The reference's DEL takes the rules of a
 * container id whatever the network; ours takes those that lead to the addresses it knows of.
 */

import { type Cidr, type Family, familyOf, ipOf, isUnspecified, networkOf } from '../model/address.ts'
import type { HostPort, HostPortIntent } from '../model/chained.ts'
import { portsOf } from './hostport-rules.ts'
import { type ListedRule, listedRules } from './nft-listing.ts'
import { isBusy, isMissing, nftError, runNft } from './nft-run.ts'

const INVALID = 'hostports_invalid'
/** Chains of the reference in which containers have rules. */
const PORT_CHAINS = ['hostports', 'hostip_hostports', 'masquerading']

const ip = (family: Family): string => (family === 4 ? 'ip' : 'ip6')
const tableOf = (family: Family): string => `${ip(family)} cni_hostport`

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

/** Adds all rules or none. @throws TsnetError `missing`, `kernel` */
export async function installPortsNft(intent: HostPortIntent): Promise<void> {
  const result = await runNft(intent.addresses.flatMap(address => commandsOf(intent, address)))
  if (!result.ok) throw nftError(`ports of container ${intent.containerId}`, result)
}

/**
 * Removes a container's rules.
 * @param addresses those that the rules lead to; absent: whichever
 * @returns true when no container's rules are left in IPv4
 * @throws TsnetError `kernel`
 */
export async function withdrawPortsNft(containerId: string, addresses?: readonly Cidr[]): Promise<void> {
  const isOwn = ({ comment, words }: ListedRule) =>
    comment === containerId &&
    (addresses === undefined || addresses.some(address => words.includes(`"${ipOf(address)}"`)))
  for (const family of [4, 6] as const) {
    const table = tableOf(family)
    const found = (await listPorts(family, [...PORT_CHAINS, INVALID])).filter(isOwn)
    if (found.length === 0) continue
    const result = await runNft(
      found.map(({ chain, handle }) => `delete rule ${table} ${chain} handle ${handle}`),
    )
    if (!result.ok && !isMissing(result)) throw nftError(`removing ports of ${containerId}`, result)
  }
}

/** Containers with rules, whoever made them. */
export async function hasPortsNft(): Promise<boolean> {
  return (await listPorts(4)).length > 0 || (await listPorts(6)).length > 0
}

/** Deletes the tables where no container has rules. */
export async function removeUnusedNft(): Promise<void> {
  for (const family of [4, 6] as const) {
    const table = tableOf(family)
    if ((await listPorts(family)).length > 0) continue
    const result = await runNft([`delete table ${table}`])
    if (!result.ok && !isMissing(result) && !isBusy(result)) throw nftError(`deleting table ${table}`, result)
  }
}

async function listPorts(family: Family, chains = PORT_CHAINS): Promise<ListedRule[]> {
  const listing = await runNft([`list table ${tableOf(family)}`], { json: true })
  if (isMissing(listing)) return []
  if (!listing.ok) throw nftError(`listing table ${tableOf(family)}`, listing)
  return listedRules(listing).filter(({ chain }) => chains.includes(chain))
}

/**
 * What the tables lack of an intent, in words.
 * @param ours this plugin made them: nothing may be missing that the reference does without
 */
export async function verifyPortsNft(intent: HostPortIntent, ours: boolean): Promise<string[]> {
  const problems: string[] = []
  for (const address of intent.addresses) {
    const table = tableOf(familyOf(address))
    const listing = await runNft([`list table ${table}`])
    if (!listing.ok && !isMissing(listing)) throw nftError(`listing table ${table}`, listing)
    const printed = listing.output.split('\n').map(line => line.trim())
    const there = new Set(printed)
    const masqueradesAll = !ours && printed.some(line => isForAll(line, intent, address))
    const wanted = rulesOf(intent, address).filter(
      ({ chain, extra }) => ours || !(extra || (masqueradesAll && chain === 'masquerading')),
    )
    // Conditions are printed in nft's own words.
    const own = intent.conditions[familyOf(address)].length === 0
    const missing = wanted.filter(({ rule }) =>
      own || !rule.includes(' dport ') ? !there.has(rule) : !printed.some(line => sameTarget(line, rule)),
    )
    problems.push(...missing.map(({ chain, rule }) => `nftables: ${table} ${chain} lacks ${rule}`))
    if (ours && !there.has(`ct state invalid jump ${INVALID}`)) {
      problems.push(`nftables: nothing leads to ${INVALID} of ${table}`)
    }
    if (!printed.some(line => LEADS_TO_PORTS.test(line))) {
      problems.push(`nftables: nothing leads to the ports of ${table}`)
    }
  }
  return problems
}

/** Before it stand conditions that the reference has for all containers together; up to 1.8 its chain is another. */
const LEADS_TO_PORTS = /(^| )fib daddr type local jump hostports(_all)?$/

/** A rule that masquerades what comes to an address from wherever, as later versions of the reference may have it. */
const isForAll = (line: string, { containerId }: HostPortIntent, address: Cidr): boolean => {
  const header = ip(familyOf(address))
  const anywhere = `${header} saddr ${familyOf(address) === 4 ? '0.0.0.0' : '::'}/0 `
  const plain = line.startsWith(anywhere) ? line.slice(anywhere.length) : line
  return plain === `${header} daddr ${ipOf(address)} masquerade comment "${containerId}"`
}

/** From the port on. */
const sameTarget = (line: string, rule: string): boolean =>
  line.endsWith(rule.slice(rule.search(/\S+ dport /)))
