/** What rules can look at: the words of nft's language for it, and how it comes into a register. */

import { be16, u8, u32 } from '../../netlink/codecs.ts'
import type { ExpressionInput } from '../expression-tables.ts'
import { cmp, ct, fibDestinationType, fibWayBack, meta, nextHop, payload } from '../expressions.ts'

/** What has to be known of a packet before its bytes mean this; nft puts it into the rule unasked. */
export interface Context {
  link?: 'ether'
  network?: 'ip' | 'ip6' | 'arp'
  /** The number of a protocol. */
  transport?: number
}

export interface Field {
  /** As netfilter/set-types.ts names it. */
  type: string
  /** In bytes. */
  size: number
  load: (register: number) => ExpressionInput
  needs?: Context
  /** Where the type has no name: a value as bytes. */
  encode?: (text: string) => Uint8Array
  /** What is known of a packet in which it has this value. */
  tells?: (value: string) => Context
}

const TRANSPORTS: Record<string, number> = { tcp: 6, udp: 17, sctp: 132 }
const NETWORKS: Record<string, NonNullable<Context['network']>> = {
  ip: 'ip',
  ipv4: 'ip',
  ip6: 'ip6',
  ipv6: 'ip6',
  arp: 'arp',
}

const networkTold = (value: string): Context => {
  const network = NETWORKS[value]
  return network === undefined ? {} : { network }
}
const transportTold = (value: string): Context => {
  const transport = TRANSPORTS[value]
  return transport === undefined ? {} : { transport }
}

const bytes =
  (type: string, base: 'link' | 'network' | 'transport', needs: Context = {}) =>
  (offset: number, size: number, more: Pick<Field, 'tells'> = {}): Field => ({
    type,
    size,
    load: register => payload(base, offset, size, register),
    needs,
    ...more,
  })

const ports = (needs: Context): [source: Field, destination: Field] => {
  const port = bytes('inet_service', 'transport', needs)
  return [port(0, 2), port(2, 2)]
}

const ether: Context = { link: 'ether' }
const [tcpFrom, tcpTo] = ports({ transport: 6 })
const [udpFrom, udpTo] = ports({ transport: 17 })
const [sctpFrom, sctpTo] = ports({ transport: 132 })
const [anyFrom, anyTo] = ports({})
const inName: Field = { type: 'ifname', size: 16, load: register => meta('iifname', register) }
const outName: Field = { type: 'ifname', size: 16, load: register => meta('oifname', register) }

/** `exists`, `missing` */
function isThere(text: string): Uint8Array {
  if (text !== 'exists' && text !== 'missing') throw new RangeError(`${text} is neither exists nor missing`)
  return u32.encode(text === 'exists' ? 1 : 0)
}

/** By their words; the longest that fits is meant. */
export const fields: Record<string, Field> = {
  'ip saddr': bytes('ipv4_addr', 'network', { network: 'ip' })(12, 4),
  'ip daddr': bytes('ipv4_addr', 'network', { network: 'ip' })(16, 4),
  'ip6 saddr': bytes('ipv6_addr', 'network', { network: 'ip6' })(8, 16),
  'ip6 daddr': bytes('ipv6_addr', 'network', { network: 'ip6' })(24, 16),
  'tcp sport': tcpFrom,
  'tcp dport': tcpTo,
  'tcp flags': bytes('tcp_flag', 'transport', { transport: 6 })(13, 1),
  'udp sport': udpFrom,
  'udp dport': udpTo,
  'sctp sport': sctpFrom,
  'sctp dport': sctpTo,
  'th sport': anyFrom,
  'th dport': anyTo,
  'icmp type': bytes('icmp_type', 'transport', { network: 'ip', transport: 1 })(0, 1),
  'icmpv6 type': bytes('icmpv6_type', 'transport', { network: 'ip6', transport: 58 })(0, 1),
  iifname: inName,
  'meta iifname': inName,
  oifname: outName,
  'meta oifname': outName,
  'meta l4proto': {
    type: 'inet_proto',
    size: 1,
    load: register => meta('l4proto', register),
    tells: transportTold,
  },
  'meta nfproto': {
    type: 'nf_proto',
    size: 1,
    load: register => meta('nfproto', register),
    tells: networkTold,
  },
  'meta mark': { type: 'mark', size: 4, load: register => meta('mark', register) },
  mark: { type: 'mark', size: 4, load: register => meta('mark', register) },
  'ct state': { type: 'ct_state', size: 4, load: register => ct('state', register) },
  'ct status': { type: 'ct_status', size: 4, load: register => ct('status', register) },
  'ct direction': { type: 'ct_dir', size: 1, load: register => ct('direction', register) },
  'ct mark': { type: 'mark', size: 4, load: register => ct('mark', register) },
  'rt ip nexthop': {
    type: 'ipv4_addr',
    size: 4,
    load: register => nextHop('ip', register),
  },
  'rt ip6 nexthop': {
    type: 'ipv6_addr',
    size: 16,
    load: register => nextHop('ip6', register),
  },
  'fib saddr . iif oif': { type: 'raw', size: 4, load: fibWayBack, encode: isThere },
  'fib daddr type': { type: 'fib_addrtype', size: 4, load: fibDestinationType },
  'ether daddr': bytes('ether_addr', 'link', ether)(0, 6),
  'ether saddr': bytes('ether_addr', 'link', ether)(6, 6),
  'ether type': bytes('ether_type', 'link', ether)(12, 2, { tells: networkTold }),
  'arp htype': bytes('integer16', 'network', { network: 'arp' })(0, 2),
  'arp ptype': bytes('ether_type', 'network', { network: 'arp' })(2, 2),
  'arp saddr ether': bytes('ether_addr', 'network', { network: 'arp' })(8, 6),
  'arp saddr ip': bytes('ipv4_addr', 'network', { network: 'arp' })(14, 4),
}

/** `@th,64,128`: bits of the transport header, of which whole bytes are meant. */
export function rawField(word: string): Field | undefined {
  const [, offset, length] = /^@th,(\d+),(\d+)$/.exec(word) ?? []
  if (offset === undefined || length === undefined) return undefined
  const [at, size] = [Number(offset) / 8, Number(length) / 8]
  if (!Number.isInteger(at) || !Number.isInteger(size) || size < 1 || size > 16) return undefined
  return {
    type: 'raw',
    size,
    load: register => payload('transport', at, size, register),
    encode(text) {
      const bytes = Buffer.from(text.replace(/^0x/, '').padStart(2 * size, '0'), 'hex')
      if (!text.startsWith('0x') || bytes.length !== size)
        throw new RangeError(`${text} is no number of ${size} bytes`)
      return bytes
    },
  }
}

const ETHER_TYPES = { ip: 0x0800, ip6: 0x86dd, arp: 0x0806 }
const NFPROTO = { ip: 2, ip6: 10, arp: 3 }
const ARPHRD_ETHER = 1

/**
 * The expressions that make sure of what is needed and not known yet, in a table of this family.
 * @param known is told what they make sure of
 */
export function ensure(family: string, needs: Context, known: Context): ExpressionInput[] {
  const made: ExpressionInput[] = []
  if (needs.link !== undefined && known.link === undefined && ['netdev', 'inet'].includes(family)) {
    made.push(meta('iiftype'), cmp('eq', Uint8Array.of(ARPHRD_ETHER, 0)))
    known.link = needs.link
  }
  const { network, transport } = needs
  if (network !== undefined && known.network === undefined && family !== network) {
    if (family === 'inet') made.push(meta('nfproto'), cmp('eq', u8.encode(NFPROTO[network])))
    else made.push(meta('protocol'), cmp('eq', be16.encode(ETHER_TYPES[network])))
    known.network = network
  }
  if (transport !== undefined && known.transport === undefined) {
    made.push(meta('l4proto'), cmp('eq', u8.encode(transport)))
    known.transport = transport
  }
  return made
}
