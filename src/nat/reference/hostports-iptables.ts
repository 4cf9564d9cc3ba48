/**
 * Ports of the host that lead to a container, as the reference plugin portmap has them in iptables:
 *
 *     nat  PREROUTING, OUTPUT  to an address of this host      ─▶ CNI-HOSTPORT-DNAT
 *          CNI-HOSTPORT-DNAT   up to 15 ports a rule           ─▶ CNI-DN-…, one chain a container
 *          CNI-DN-…            from the subnet or 127.0.0.1    ─▶ CNI-HOSTPORT-SETMARK
 *                              the port                        ─▶ DNAT
 *          POSTROUTING         first of all                    ─▶ CNI-HOSTPORT-MASQ: what is marked, masquerade
 *     mangle PREROUTING        belongs to no connection        ─▶ TSNET-HOSTPORT ─▶ TSNET-DN-…, the container's chain
 *          TSNET-DN-…          from the container, or the port ─▶ dropped
 *     raw  PREROUTING          to 127.0.0.0/8, but not over lo ─▶ dropped
 *
 * The last three are ours. What connection tracking calls invalid, such as a segment outside the window,
 * passes no address translation, and the host or a client that gets it resets a connection that lives. And
 * the plugin lets packets with loopback addresses over the bridge, and without it
 * whoever is on a wire could address the loopback of the host; and a port of 127.0.0.1 anyone's, since its
 * address is changed before anybody looks where it came from.
 */

import {
  type Cidr,
  type Family,
  familyOf,
  ipOf,
  isUnspecified,
  lengthOf,
  networkOf,
} from '../../model/address/address.ts'
import { chainNameOf, type HostPort, type HostPortIntent } from '../../model/chained.ts'
import type { TableName } from '../iptables/document.ts'
import { chainOf, type Sheet, type TableListing, targetOf } from './reference.ts'

const DNAT = 'CNI-HOSTPORT-DNAT'
const SETMARK = 'CNI-HOSTPORT-SETMARK'
const MASQ = 'CNI-HOSTPORT-MASQ'
const INVALID = 'TSNET-HOSTPORT'

/** The chains that all containers share in table nat. */
const SHARED_CHAINS = [DNAT, SETMARK, MASQ]

/** The tables in which a container has a chain. */
export const PORT_TABLES = ['mangle', 'nat'] as const satisfies TableName[]

const LOOPBACK_GUARD = 'PREROUTING -d 127.0.0.0/8 ! -i lo -m comment --comment "tsnet:loopback" -j DROP'

/** xt_multiport takes no more. */
const PORTS_MAX = 15

/** What iptables keeps of a comment, linux/netfilter/xt_comment.h. */
const COMMENT_MAX = 255

/** The chain of a container. */
export const portChainOf = (network: string, containerId: string): string =>
  chainNameOf('CNI-DN-', network, containerId)

/** The chain of a container in table mangle, which the reference does not have. */
const invalidChainOf = (network: string, containerId: string): string =>
  chainNameOf('TSNET-DN-', network, containerId)

/** Chains of a container that this plugin and older ones of the reference have made. */
export const portChainsOf = (network: string, containerId: string): string[] => [
  portChainOf(network, containerId),
  invalidChainOf(network, containerId),
  chainNameOf('CNI-SN-', network, containerId),
]

/** True when a table has the chain of a container. */
export const isPortChain = (chain: string): boolean =>
  /^(CNI-DN-[0-9a-f]{21}|TSNET-DN-[0-9a-f]{19})$/.test(chain)

/** The container that a rule of CNI-HOSTPORT-DNAT leads to, by the rule's comment. */
export function containerIn(
  rule: string,
): { network: string; containerId: string; chain: string } | undefined {
  const found = /"dnat name: \\"([A-Za-z0-9_.-]+)\\" id: \\"([A-Za-z0-9_.-]+)\\"".* -j (CNI-DN-\S+)/.exec(
    rule,
  )
  if (found === null) return undefined
  const [, network = '', containerId = '', chain = ''] = found
  return { network, containerId, chain }
}

/** The ports that can lead to an address of this family. */
export const portsOf = ({ ports }: HostPortIntent, family: Family): HostPort[] =>
  ports.filter(({ hostIp }) => hostIp === undefined || familyOf(hostIp) === family)

/** What is wanted of the tables of one family. */
export function portSheets(intent: HostPortIntent, address: Cidr): Sheet[] {
  const { network, containerId, snat, mark } = intent
  const family = familyOf(address)
  const own = portChainOf(network, containerId)
  const marks = snat && 'bit' in mark
  const nat: Sheet = {
    table: 'nat',
    chains: marks ? SHARED_CHAINS : [DNAT],
    shared: [
      ...(marks ? markRules(mark.bit) : []),
      ...['PREROUTING', 'OUTPUT'].map(chain => ({
        rule: `${chain} -m addrtype --dst-type LOCAL -j ${DNAT}`,
      })),
    ],
    own: [own],
    rules: [
      ...portsOf(intent, family).flatMap(port =>
        portRules(intent, address, port).map(rule => `${own} ${rule}`),
      ),
      ...entryRules(intent, family).map(rule => `${DNAT} ${rule} -j ${own}`),
    ],
  }
  const sheets = [invalidSheet(intent, address), nat]
  return family === 4 ? [guardSheet, ...sheets] : sheets
}

/** What belongs to no connection is dropped: in the one direction and in the other. */
function invalidSheet(intent: HostPortIntent, address: Cidr): Sheet {
  const family = familyOf(address)
  const own = invalidChainOf(intent.network, intent.containerId)
  const extra = conditionsOf(intent, family)
  const container = `${ipOf(address)}/${family === 4 ? 32 : 128}`
  return {
    table: 'mangle',
    chains: [INVALID],
    shared: [{ rule: `PREROUTING -m conntrack --ctstate INVALID -j ${INVALID}` }],
    own: [own],
    rules: [
      ...['tcp', 'sctp'].map(protocol => `${own} -s ${container} -p ${protocol} -j DROP`),
      ...portsOf(intent, family).map(
        port => `${own} ${portMatch(port, family)} -m addrtype --dst-type LOCAL${extra} -j DROP`,
      ),
      `${INVALID} -j ${own}`,
    ],
  }
}

export const guardSheet: Sheet = {
  table: 'raw',
  chains: [],
  shared: [{ rule: LOOPBACK_GUARD, first: true }],
  own: [],
  rules: [],
}

function markRules(bit: number) {
  const value = `0x${(2 ** bit).toString(16)}`
  return [
    {
      rule: `${SETMARK} -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark ${value}/${value}`,
    },
    { rule: `${MASQ} -m mark --mark ${value}/${value} -j MASQUERADE` },
    // Before the masquerade of bridges, which would let the connection through as it is.
    {
      rule: `POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j ${MASQ}`,
      first: true,
    },
  ]
}

/** Who is led to the container's chain: the ports of each protocol, whatever the address. */
function entryRules(intent: HostPortIntent, family: Family): string[] {
  const { network, containerId, ports } = intent
  const text = `dnat name: "${network}" id: "${containerId}"`
  const comment = text.length <= COMMENT_MAX ? text : `${text.slice(0, COMMENT_MAX - 2)}..`
  const extra = conditionsOf(intent, family)
  return [...new Set(ports.map(({ protocol }) => protocol))].toSorted().flatMap(protocol => {
    const numbers = ports.filter(port => port.protocol === protocol).map(({ hostPort }) => hostPort)
    return inGroups(numbers, PORTS_MAX).map(
      group =>
        `-p ${protocol} -m comment --comment ${quoted(comment)} -m multiport --dports ${group.join(',')}${extra}`,
    )
  })
}

const conditionsOf = ({ conditions }: HostPortIntent, family: Family): string =>
  conditions[family].map(word => ` ${quoted(word)}`).join('')

/** What is sent to a port. */
function portMatch({ protocol, hostIp, hostPort }: HostPort, family: Family): string {
  const to = hostIp === undefined || isUnspecified(hostIp) ? '' : `-d ${hostIp}/${family === 4 ? 32 : 128} `
  return `${to}-p ${protocol} -m ${protocol} --dport ${hostPort}`
}

function portRules({ snat, masqAll, mark }: HostPortIntent, address: Cidr, port: HostPort): string[] {
  const family = familyOf(address)
  const match = portMatch(port, family)
  const ip = ipOf(address)
  const target = `${family === 6 ? `[${ip}]` : ip}:${port.containerPort}`
  const network = networkOf(address)
  const from = masqAll ? [''] : [lengthOf(network) === 0 ? '' : `-s ${network} `]
  if (family === 4 && !masqAll) from.push('-s 127.0.0.1/32 ')
  const chain = 'bit' in mark ? SETMARK : mark.chain
  return [
    ...(snat ? from.map(source => `${source}${match} -j ${chain}`) : []),
    `${match} -j DNAT --to-destination ${target}`,
  ]
}

/** A word of the configuration as iptables-restore reads it; the front door has refused control characters. */
const quoted = (word: string): string =>
  /^[A-Za-z0-9_.:/,!-]+$/.test(word) ? word : `"${word.replace(/["\\]/g, '\\$&')}"`

function inGroups<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size))
}

/** What takes the shared chains away, where no container has a port any more; refused where one has. */
export const sharedRemoval = ({ rules, chains }: TableListing): string[] => {
  const gone = [...SHARED_CHAINS, INVALID].filter(chain => chains.has(chain))
  return [
    ...rules
      .filter(rule => !gone.includes(chainOf(rule)) && gone.includes(targetOf(rule)))
      .map(rule => `-D ${rule}`),
    // The reference fills and never empties those two, which hold nothing of a container.
    ...gone.flatMap(chain => [...([SETMARK, MASQ].includes(chain) ? [`-F ${chain}`] : []), `-X ${chain}`]),
  ]
}
