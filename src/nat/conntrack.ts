/**
 * Connections that the kernel remembers, forgotten when what they lead to changes.
 *
 * What was established once passes every rule. So when a container goes, whoever spoke with it must not
 * speak with the next that gets its address; and when a UDP port is published, a client that asked before
 * must not be kept away from it by the memory of then.
 *
 *     flush    the kernel forgets all that match (Linux 6.10 and later)
 *     dump     else it lists what matches (5.8 and later; before, everything), and each is forgotten by
 *              its tuple
 *
 * Source: linux/netfilter/nfnetlink_conntrack.h.
 */

import { type Family, familyOf, type Ip } from '../model/address/address.ts'
import { hasCode } from '../model/errors.ts'
import { type PortMapping, type Protocol, protocolNumbers } from '../model/port-mapping.ts'
import { IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_GET } from '../netfilter/constants.ts'
import { netfilterHere } from '../netfilter/netfilter.ts'
import { nfgenmsg } from '../netfilter/values.ts'
import { attributes, nested, payload } from '../netlink/attributes.ts'
import { be16, be32, binary, ip, u8, u32 } from '../netlink/codecs.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { readSysctl } from '../netns/sysctl.ts'
import { header } from './kernel-chains.ts'
import { isServed, localAddresses, servedPorts, type Tuple } from './served-ports.ts'

/** How many walks through the table (half a millisecond each) cost as much as listing it. */
const WALKS_MAX = 24

const tuple = attributes({
  ip: [
    1,
    nested(attributes({ source4: [1, ip], destination4: [2, ip], source6: [3, ip], destination6: [4, ip] })),
  ],
  protocol: [2, nested(attributes({ number: [1, u8], sourcePort: [2, be16], destinationPort: [3, be16] }))],
})

/** What to compare with the tuples of a request, net/netfilter/nf_internals.h. */
const IP_SOURCE = 1 << 0
const IP_DESTINATION = 1 << 1
const PROTOCOL = 1 << 3
const DESTINATION_PORT = 1 << 5

/** Requests that describe what to match. */
export const selection = payload(
  nfgenmsg,
  attributes({
    original: [1, nested(tuple)],
    reply: [2, nested(tuple)],
    status: [3, be32],
    filter: [25, nested(attributes({ original: [1, u32], reply: [2, u32] }))],
    statusMask: [26, be32],
  }),
)

/** Entries, their tuples as they are: all that is needed to name them again. */
const entry = payload(
  nfgenmsg,
  attributes({
    original: [1, binary],
    reply: [2, binary],
    status: [3, be32],
    id: [12, binary],
    zone: [18, binary],
  }),
)

/** Deletion of one entry. Its tuple is nested attributes that were not taken apart. */
const NLA_F_NESTED = 0x8000
const naming = payload(
  nfgenmsg,
  attributes({ original: [NLA_F_NESTED | 1, binary], id: [12, binary], zone: [18, binary] }),
)

export type Selection = Parameters<typeof selection.encode>[0]

/**
 * Forgets every connection from or to these addresses, and UDP flows to these host ports.
 * Does nothing where the kernel has no connection tracking.
 * @throws NetlinkError
 */
export function flushConntrack(addresses: Ip[], mappings: PortMapping[]): void {
  // A TCP connection that goes on has to keep its way: only datagrams may find another.
  const datagrams = mappings.filter(({ protocol }) => protocol === 'udp')
  if (addresses.length > 0 || datagrams.length > 0) forget(addresses, datagrams)
}

/**
 * Forgets every flow to these host ports, of all protocols: what rules have begun would go on without them.
 * The next packet of such a connection finds nobody, and its client is reset.
 * @throws NetlinkError
 */
export const endFlows = (mappings: PortMapping[]): void => forget([], mappings)

function forget(addresses: Ip[], mappings: PortMapping[]): void {
  if (!isTracking()) return
  forgetConnections(netfilterHere(), addresses, mappings, localAddresses)
}

/** False where nothing is tracked. To list nothing takes as long as to list: all buckets are looked into. */
export const isTracking = (): boolean => Number(readSysctl('net/netfilter/nf_conntrack_count') ?? 0) > 0

/** Forgets connections of addresses and flows to host ports, of a kernel whose host has `local` addresses. */
export function forgetConnections(
  nl: Netlink,
  addresses: Ip[],
  mappings: PortMapping[],
  local: (family: Family) => Set<Ip>,
): void {
  for (const address of addresses) flushAddress(nl, address)
  if (mappings.length === 0) return
  // A port is published to the container's families; without an address to go by, to both.
  const families = ([4, 6] as const).filter(family => addresses.some(address => familyOf(address) === family))
  for (const family of families.length > 0 ? families : ([4, 6] as const)) {
    for (const protocol of ['tcp', 'udp', 'sctp'] as const) {
      const ports = mappings.filter(mapping => mapping.protocol === protocol)
      if (ports.length > 0) flushPorts(nl, family, protocol, ports, local(family))
    }
  }
}

/** What the container began carries its address in the original direction, what came to it in the reply. */
function flushAddress(nl: Netlink, address: Ip): void {
  const family = familyOf(address)
  const source = family === 4 ? { source4: address } : { source6: address }
  for (const direction of ['original', 'reply'] as const) {
    const wanted: Selection = {
      header: { family: header(family), version: 1 },
      attributes: { [direction]: { ip: source }, filter: { original: 0, reply: 0, [direction]: IP_SOURCE } },
    }
    const option = direction === 'original' ? '--orig-src' : '--reply-src'
    if (!tryFlush(nl, wanted, `conntrack -D ${option} ${address}`)) {
      forgetListed(nl, wanted, tuples => tuples[direction].source === address)
    }
  }
}

/**
 * What was sent to this host at a published port. A container's own questions to port 53 of others go on.
 * To walk through the table for each address and port is cheaper than to list it, up to a point.
 */
function flushPorts(
  nl: Netlink,
  family: Family,
  protocol: Protocol,
  mappings: PortMapping[],
  local: Set<Ip>,
): void {
  const number = protocolNumbers[protocol]
  const served = servedPorts(family, mappings, local)
  const walks = served.reduce((sum, { addresses, count }) => sum + addresses.size * count, 0)
  if (walks <= WALKS_MAX) {
    const one = served.flatMap(({ addresses, hostPort, count }) =>
      [...addresses].flatMap(address =>
        Array.from({ length: count }, (_, i) => ({ address, port: hostPort + i })),
      ),
    )
    const flushed = one.every(({ address, port }) =>
      tryFlush(
        nl,
        flowsTo(number, family, address, port),
        `conntrack -D -p ${protocol} -d ${address} --dport ${port}`,
      ),
    )
    if (flushed) return
  }
  forgetListed(nl, flowsTo(number, family), ({ original }) => isServed(served, original))
}

/** Selects what was sent to a host port. */
export const flowsTo = (protocol: number, family: Family, address?: Ip, port?: number): Selection => ({
  header: { family: header(family), version: 1 },
  attributes: {
    original: {
      ip: family === 4 ? { destination4: address } : { destination6: address },
      protocol: { number: protocol, destinationPort: port },
    },
    filter: {
      original:
        PROTOCOL | (address === undefined ? 0 : IP_DESTINATION) | (port === undefined ? 0 : DESTINATION_PORT),
      reply: 0,
    },
  },
})

/** IPS_SEEN_REPLY, IPS_SRC_NAT and IPS_DST_NAT of linux/netfilter/nf_conntrack_common.h. */
export const bits = {
  answered: 1 << 1,
  sourceChanged: 1 << 4,
  destinationChanged: 1 << 5,
  /** Either of the two. */
  translated: (1 << 4) | (1 << 5),
} as const

/** What a connection is begun and answered with, and how far it has come. */
export interface Tracked {
  original: Tuple
  reply: Tuple
  /** Some of `bits`, and others. */
  status: number
}

/** @param matches chooses again, for kernels that know no filters */
export function forgetListed(nl: Netlink, wanted: Selection, matches: (tracked: Tracked) => boolean): void {
  for (const { name, ...tracked } of listTracked(nl, wanted))
    if (matches(tracked)) forgetTracked(nl, { name })
}

/** Forgets one of listTracked. */
export function forgetTracked(nl: Netlink, { name }: { name: Uint8Array }): void {
  try {
    nl.change({ equivalent: 'conntrack -D', type: IPCTNL_MSG_CT_DELETE, payload: [name] })
  } catch (thrown) {
    if (!hasCode(thrown, 'ENOENT')) throw thrown // it has ended by itself
  }
}

/** Each with what names it in a request. Equivalent to: conntrack -L */
export function listTracked(nl: Netlink, wanted: Selection): (Tracked & { name: Uint8Array })[] {
  const messages = nl.dump({
    equivalent: 'conntrack -L',
    type: IPCTNL_MSG_CT_GET,
    payload: [selection.encode(wanted)],
  })
  return messages.flatMap(message => {
    const { header, attributes } = entry.decode(message.payload)
    const { original, reply, status = 0, id, zone } = attributes
    const isIp = header.family === 'ip' || header.family === 'ip6'
    if (!isIp || original === undefined || reply === undefined) return []
    const name = naming.encode({ header: { family: header.family }, attributes: { original, id, zone } })
    return [{ original: readTuple(original), reply: readTuple(reply), status, name }]
  })
}

/** False where the kernel cannot choose: older ones take the tuple for that of one entry, and find it short. */
function tryFlush(nl: Netlink, wanted: Selection, equivalent: string): boolean {
  try {
    nl.change({ equivalent, type: IPCTNL_MSG_CT_DELETE, payload: [selection.encode(wanted)] })
    return true
  } catch (thrown) {
    if (hasCode(thrown, 'EINVAL', 'EOPNOTSUPP', 'ENOENT')) return false
    throw thrown
  }
}

export function readTuple(bytes: Uint8Array): Tuple {
  const { ip, protocol } = tuple.decode(bytes)
  return {
    source: ip?.source4 ?? ip?.source6,
    destination: ip?.destination4 ?? ip?.destination6,
    protocol: protocol?.number,
    sourcePort: protocol?.sourcePort,
    destinationPort: protocol?.destinationPort,
  }
}
