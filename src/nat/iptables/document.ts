/**
 * The iptables backend as text: what `iptables-restore --noflush` is fed.
 *
 *     raw     PREROUTING  ─▶ TSNET-RAW          who may not address a container, and never 127.0.0.0/8
 *     mangle  PREROUTING  ─▶ TSNET-GUARD        the same where answers have to pass
 *             PREROUTING  ─▶ TSNET-INVALID      what belongs to no connection and is for a published port
 *     filter  INPUT       ─▶ TSNET-INPUT        names are asked for
 *             FORWARD     ─▶ TSNET-FORWARD      accepted where the policy is to drop
 *     nat     PREROUTING  ─▶ TSNET-DNAT         published ports, for addresses of the host only
 *             OUTPUT      ─▶ TSNET-DNAT
 *             POSTROUTING ─▶ TSNET-POSTROUTING  masquerade
 *
 * The chains are shared, each rule in them is one attachment's and carries its comment; with the nft variant
 * the rules stand in parts of them (buckets.ts). The jumps stand at the end of the built-in chains, so what an
 * administrator put there before wins; but that of INPUT stands at the beginning, since many end in a rule that refuses
 * the rest, and what it accepts is one port for one container. A rule is written as iptables-save prints it: so the text
 * that adds it also finds and removes it.
 */

import type { Family } from '../../model/address/address.ts'
import { WAY_OUT_MARK } from '../../model/hosts/hosts.ts'
import type { Protocol } from '../../model/port-mapping.ts'
import { commentOf, type FamilyRules, type Published, type Rules } from '../rules.ts'

export type TableName = 'raw' | 'mangle' | 'filter' | 'nat'

/** One of our chains with what all attachments share in it. Rules begin with the name of their chain. */
export interface BaseChain {
  name: string
  /** In built-in chains. */
  jumps: string[]
  /** At its beginning. */
  rules: string[]
}

/** What an attachment needs in one table. */
export interface Table {
  name: TableName
  chains: BaseChain[]
  rules: string[]
  /** What becomes of the built-in chain FORWARD, in table filter. */
  policy?: Policy
}

export type Policy = 'ACCEPT' | 'DROP'

/** The tables, and FORWARD's policy in the same transaction. */
export const withPolicy = (tables: Table[], policy: Policy): Table[] =>
  tables.some(({ name }) => name === 'filter')
    ? tables.map(table => (table.name === 'filter' ? { ...table, policy } : table))
    : [...tables, { name: 'filter', chains: [], rules: [], policy }]

const policyLines = ({ policy }: Table): string[] => (policy === undefined ? [] : [`-P FORWARD ${policy}`])

/** Where published ports are. */
export const PORT_CHAIN = 'TSNET-DNAT'

/** Has a rule for all who publish ports, and perhaps none of any of them. */
export const LOOPBACK_GUARD = 'TSNET-RAW'

/** True for a chain that stays since another does: whoever has a port is guarded by what all share. */
export const isNeededBy = ({ name, rules }: BaseChain, kept: ReadonlySet<string>): boolean =>
  name === LOOPBACK_GUARD && rules.length > 0 && kept.has(PORT_CHAIN)

/** All our chains of a family, in the order in which they are filled: guards first, published ports last. */
export function baseChains(family: Family): { table: TableName; chain: BaseChain }[] {
  const chain = (table: TableName, name: string, jumps: string[], rules: string[] = []) => ({
    table,
    chain: {
      name,
      jumps: jumps.map(jump => `${jump} -j ${name}`),
      rules: rules.map(rule => `${name} ${rule}`),
    },
  })
  const toHost = '-m addrtype --dst-type LOCAL'
  return [
    chain('raw', LOOPBACK_GUARD, ['PREROUTING'], family === 4 ? ['-d 127.0.0.0/8 ! -i lo -j DROP'] : []),
    chain('mangle', 'TSNET-GUARD', ['PREROUTING']),
    chain('mangle', 'TSNET-INVALID', ['PREROUTING -m conntrack --ctstate INVALID']),
    // In this form both variants, of whatever version, keep it as a match by its name.
    chain(
      'filter',
      'TSNET-INPUT',
      NAME_PROTOCOLS.map(protocol => `INPUT -p ${protocol} -m multiport --dports 53`),
    ),
    chain('filter', 'TSNET-FORWARD', ['FORWARD']),
    chain('nat', 'TSNET-POSTROUTING', ['POSTROUTING']),
    chain(
      'nat',
      PORT_CHAIN,
      [`PREROUTING ${toHost}`, `OUTPUT ${toHost}`],
      family === 6 ? ['-s fe80::/10 -j RETURN', '-d ::1/128 -j RETURN', '-d fe80::/10 -j RETURN'] : [],
    ),
  ]
}

/** The tables an attachment needs in one family, in the order in which they are filled. */
export function tablesOf({ owner, bridge }: Rules, rules: FamilyRules): Table[] {
  const comment = `-m comment --comment "${commentOf(owner)}"`
  const lines: Record<string, string[]> = {
    [LOOPBACK_GUARD]: rawRules(rules, bridge, comment),
    'TSNET-GUARD': guardRules(rules, bridge, comment),
    'TSNET-INVALID': invalidRules(rules, comment),
    'TSNET-INPUT': inputRules(rules, bridge, comment),
    'TSNET-FORWARD': forwardRules(rules, bridge, comment),
    'TSNET-POSTROUTING': postroutingRules(rules, bridge, comment),
    [PORT_CHAIN]: rules.published.flatMap(port => dnatRules(rules, port, bridge, comment)),
  }
  // Where loopback addresses must not come from a wire, no rule of an attachment says so.
  const guardsLoopback = rules.family === 4 && rules.published.length > 0
  const needed = baseChains(rules.family).filter(
    ({ chain }) => (lines[chain.name] ?? []).length > 0 || (chain.name === LOOPBACK_GUARD && guardsLoopback),
  )
  return [...new Set(needed.map(({ table }) => table))].map(name => {
    const chains = needed.filter(({ table }) => table === name).map(({ chain }) => chain)
    const own = chains.flatMap(chain => (lines[chain.name] ?? []).map(rule => `${chain.name} ${rule}`))
    return { name, chains, rules: own }
  })
}

/** Protocols in which the end that does not know a packet's connection resets it. */
const CONNECTED: Protocol[] = ['tcp', 'sctp']

/** True for a rule of ours about what is sent to a published port. */
export const isPortRule = (rule: string): boolean =>
  /^TSNET-(DNAT|INVALID)(-[0-9a-f]{2})? .* --dport /.test(rule)

const host = (family: Family, ip: string): string => `${ip}/${family === 4 ? 32 : 128}`

function rawRules(rules: FamilyRules, bridge: string, comment: string): string[] {
  const { family, addresses, guard } = rules
  if (guard !== 'all') return []
  return addresses.flatMap(({ ip }) => [
    ...peerRules(rules, ip, comment),
    `-d ${host(family, ip)} ! -i ${bridge} ${comment} -j DROP`,
  ])
}

/** Who is in the network on another host, and comes by the way that leads there. */
const peerRules = ({ family, peers }: FamilyRules, ip: string, comment: string): string[] =>
  peers === undefined ? [] : [`-s ${peers} -d ${host(family, ip)} -m rpfilter ${comment} -j RETURN`]

function guardRules(rules: FamilyRules, bridge: string, comment: string): string[] {
  const { family, addresses, guard } = rules
  if (guard !== 'new') return []
  return addresses.flatMap(({ ip }) => [
    ...peerRules(rules, ip, comment),
    `-d ${host(family, ip)} ! -i ${bridge} -m conntrack ! --ctstate RELATED,ESTABLISHED ${comment} -j DROP`,
  ])
}

/** In the other direction such a packet keeps the container's address, and its receiver resets the connection. */
function invalidRules({ family, addresses, server, published }: FamilyRules, comment: string): string[] {
  const answers = server ? addresses.map(({ ip }) => `-s ${host(family, ip)}`) : []
  return [
    ...answers.flatMap(from => CONNECTED.map(protocol => `${from} -p ${protocol} ${comment} -j DROP`)),
    ...published.map(port => `${portMatch(family, port)} -m addrtype --dst-type LOCAL ${comment} -j DROP`),
  ]
}

const NAME_PROTOCOLS: readonly Protocol[] = ['udp', 'tcp']

function inputRules(
  { family, addresses, resolvers }: FamilyRules,
  bridge: string,
  comment: string,
): string[] {
  return addresses.flatMap(({ ip }) =>
    resolvers.flatMap(resolver =>
      NAME_PROTOCOLS.map(protocol => {
        const port = `-p ${protocol} -m ${protocol} --dport 53`
        return `-s ${host(family, ip)} -d ${host(family, resolver)} -i ${bridge} ${port} ${comment} -j ACCEPT`
      }),
    ),
  )
}

/** The command that puts a jump where it belongs. */
export const jumpLine = (jump: string): string => `${jump.startsWith('INPUT ') ? '-I' : '-A'} ${jump}`

const WAY_OUT = `0x${WAY_OUT_MARK.toString(16)}`

function forwardRules(rules: FamilyRules, bridge: string, comment: string): string[] {
  const { family, addresses, guard, guest, server, peers, transit } = rules
  const known = guard === 'none' && !guest ? '' : ' -m conntrack --ctstate RELATED,ESTABLISHED,DNAT'
  if (transit !== undefined) return [`-m mark --mark ${WAY_OUT}/${WAY_OUT} ${comment} -j ACCEPT`]
  return addresses.flatMap(({ ip }) => [
    ...(guest ? [] : [`-s ${host(family, ip)} -i ${bridge} ${comment} -j ACCEPT`]),
    ...(server
      ? [`-s ${host(family, ip)} -m conntrack --ctstate RELATED,ESTABLISHED ${comment} -j ACCEPT`]
      : []),
    `-d ${host(family, ip)} -o ${bridge}${known} ${comment} -j ACCEPT`,
    ...(peers === undefined || known === ''
      ? []
      : [`-s ${peers} -d ${host(family, ip)} -o ${bridge} ${comment} -j ACCEPT`]),
  ])
}

function postroutingRules(rules: FamilyRules, bridge: string, comment: string): string[] {
  const { family, addresses, server, siblings, masquerade, loopback, peers, leaveAs } = rules
  const leaves = leaveAs === undefined ? 'MASQUERADE' : `SNAT --to-source ${leaveAs}`
  const masqueraded = `-m conntrack --ctstate DNAT ${comment} -j MASQUERADE`
  return addresses.flatMap(({ ip, network }) => {
    const own = host(family, ip)
    const clients = server ? [network, ...siblings.map(sibling => host(family, sibling))] : []
    return [
      ...clients.map(client => `-s ${client} -d ${own} -o ${bridge} ${masqueraded}`),
      ...(loopback ? [`-s 127.0.0.0/8 -d ${own} -o ${bridge} ${masqueraded}`] : []),
      ...(masquerade
        ? [
            // What is led to a neighbour's published port gets the bridge's, by rules that may come later.
            `-s ${own} -d ${peers ?? network} -m conntrack ! --ctstate DNAT ${comment} -j RETURN`,
            `-s ${own} ! -d ${family === 4 ? '224.0.0.0/4' : 'ff00::/8'} ! -o ${bridge} ${comment} -j ${leaves}`,
          ]
        : []),
    ]
  })
}

/**
 * What is sent to a published port, if the address is one of the host.
 * @param from the interface it comes from; absent: any
 */
function portMatch(family: Family, { protocol, hostIp, hostPort, count }: Published, from?: string): string {
  const anyAddress = family === 4 ? ['! -d 127.0.0.0/8'] : []
  const address = hostIp === undefined ? anyAddress : [`-d ${host(family, hostIp)}`]
  const ports = count === 1 ? `${hostPort}` : `${hostPort}:${hostPort + count - 1}`
  const incoming = from === undefined ? [] : [`-i ${from}`]
  return [...address, ...incoming, `-p ${protocol} -m ${protocol} --dport ${ports}`].join(' ')
}

function dnatRules(rules: FamilyRules, port: Published, bridge: string, comment: string): string[] {
  const { family, bridgeServed } = rules
  const { hostPort, count, target, containerPort } = port
  // `a-b/base` keeps the distance from the first port, which plain `a-b` does not.
  const ranged = count === 1 ? '' : `-${containerPort + count - 1}/${hostPort}`
  const shifted = hostPort !== containerPort
  const ip = family === 6 && shifted ? `[${target}]` : target
  const to = `${ip}${shifted ? `:${containerPort}${ranged}` : ''}`
  return [
    ...(bridgeServed ? [`${portMatch(family, port, bridge)} ${comment} -j RETURN`] : []),
    `${portMatch(family, port)} ${comment} -j DNAT --to-destination ${to}`,
  ]
}

/** The file that is fed to iptables-restore. Tables without lines are left out. */
export const restoreFile = (tables: { name: TableName; lines: string[] }[]): string =>
  tables
    .filter(({ lines }) => lines.length > 0)
    .map(({ name, lines }) => `*${name}\n${lines.join('\n')}\nCOMMIT\n`)
    .join('')

/** Makes the chains and adds the rules: right where nothing of ours is there yet. */
export const freshFile = (tables: Table[]): string =>
  restoreFile(
    tables.map(table => ({
      name: table.name,
      lines: [
        ...policyLines(table),
        ...table.chains.map(chain => `-N ${chain.name}`),
        ...table.chains.flatMap(chain => [
          ...chain.jumps.map(jumpLine),
          ...chain.rules.map(rule => `-A ${rule}`),
        ]),
        ...table.rules.map(rule => `-A ${rule}`),
      ],
    })),
  )

/** Adds the rules where the chains are there: `-C` makes a table's part fail when one is not jumped to. */
export const steadyFile = (tables: Table[]): string =>
  restoreFile(
    tables.map(table => ({
      name: table.name,
      lines: [
        ...policyLines(table),
        ...table.chains.flatMap(chain => chain.jumps.map(jump => `-C ${jump}`)),
        ...table.rules.map(rule => `-A ${rule}`),
      ],
    })),
  )

/**
 * Adds the rules where the chains are known to be jumped to: nothing that stands there is read. A chain that
 * is not there is noticed, where a rule goes into it, or else by its jumps.
 */
export const additionFile = (tables: Table[]): string =>
  restoreFile(
    tables.map(table => ({
      name: table.name,
      lines: [
        ...policyLines(table),
        ...table.chains
          .filter(({ name }) => !table.rules.some(rule => isWithin(rule, name)))
          .flatMap(({ jumps }) => jumps.map(jump => `-C ${jump}`)),
        ...table.rules.map(rule => `-A ${rule}`),
      ],
    })),
  )

/** True for a rule of the chain, or of a bucket of it. */
const isWithin = (rule: string, chain: string): boolean =>
  /^[ -]/.test(rule.slice(chain.length)) && rule.startsWith(chain)

/** Removes the rules, published ports first. */
export const removalFile = (tables: Table[]): string =>
  restoreFile(
    tables.toReversed().map(table => ({
      name: table.name,
      lines: table.rules.map(rule => `-D ${rule}`),
    })),
  )
