/**
 * Ports of the host that lead to a container, as the reference plugin portmap has them in iptables:
 *
 *     nat  PREROUTING, OUTPUT  to an address of this host      ─▶ CNI-HOSTPORT-DNAT
 *          CNI-HOSTPORT-DNAT   up to 15 ports a rule           ─▶ CNI-DN-…, one chain a container
 *          CNI-DN-…            from the subnet or 127.0.0.1    ─▶ CNI-HOSTPORT-SETMARK
 *                              the port                        ─▶ DNAT
 *          POSTROUTING         first of all                    ─▶ CNI-HOSTPORT-MASQ: what is marked, masquerade
 *     raw  PREROUTING          to 127.0.0.0/8, but not over lo ─▶ dropped
 *
 * The last line is ours: the plugin lets packets with loopback addresses over the bridge, and without it
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
} from '../model/address.ts'
import { chainNameOf, type HostPort, type HostPortIntent } from '../model/chained.ts'
import { chainOf, type Sheet, type TableListing, targetOf } from './sheet.ts'

const DNAT = 'CNI-HOSTPORT-DNAT'
const SETMARK = 'CNI-HOSTPORT-SETMARK'
const MASQ = 'CNI-HOSTPORT-MASQ'

/** The chains that all containers share. */
export const SHARED_CHAINS = [DNAT, SETMARK, MASQ]

const LOOPBACK_GUARD = 'PREROUTING -d 127.0.0.0/8 ! -i lo -m comment --comment "tsnet:loopback" -j DROP'

/** xt_multiport takes no more. */
const PORTS_MAX = 15

/** What iptables keeps of a comment, linux/netfilter/xt_comment.h. */
const COMMENT_MAX = 255

/** The chain of a container. */
export const portChainOf = (network: string, containerId: string): string =>
  chainNameOf('CNI-DN-', network, containerId)

/** Chains of a container that this plugin and older ones of the reference have made. */
export const portChainsOf = (network: string, containerId: string): string[] => [
  portChainOf(network, containerId),
  chainNameOf('CNI-SN-', network, containerId),
]

/** True when a table has the chain of a container. */
export const isPortChain = (chain: string): boolean => /^CNI-DN-[0-9a-f]{21}$/.test(chain)

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
  return family === 4 ? [guardSheet, nat] : [nat]
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
  const { network, containerId, ports, conditions } = intent
  const text = `dnat name: "${network}" id: "${containerId}"`
  const comment = text.length <= COMMENT_MAX ? text : `${text.slice(0, COMMENT_MAX - 2)}..`
  const extra = conditions[family].map(word => ` ${quoted(word)}`).join('')
  return [...new Set(ports.map(({ protocol }) => protocol))].toSorted().flatMap(protocol => {
    const numbers = ports.filter(port => port.protocol === protocol).map(({ hostPort }) => hostPort)
    return inGroups(numbers, PORTS_MAX).map(
      group =>
        `-p ${protocol} -m comment --comment ${quoted(comment)} -m multiport --dports ${group.join(',')}${extra}`,
    )
  })
}

function portRules({ snat, masqAll, mark }: HostPortIntent, address: Cidr, port: HostPort): string[] {
  const { protocol, hostIp, hostPort, containerPort } = port
  const family = familyOf(address)
  const bits = family === 4 ? 32 : 128
  const to = hostIp === undefined || isUnspecified(hostIp) ? '' : `-d ${hostIp}/${bits} `
  const match = `${to}-p ${protocol} -m ${protocol} --dport ${hostPort}`
  const ip = ipOf(address)
  const target = `${family === 6 ? `[${ip}]` : ip}:${containerPort}`
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
  const gone = SHARED_CHAINS.filter(chain => chains.has(chain))
  return [
    ...rules
      .filter(rule => !gone.includes(chainOf(rule)) && gone.includes(targetOf(rule)))
      .map(rule => `-D ${rule}`),
    // Those two hold nobody's rules but ours.
    ...gone.flatMap(chain => [...(chain === DNAT ? [] : [`-F ${chain}`]), `-X ${chain}`]),
  ]
}
