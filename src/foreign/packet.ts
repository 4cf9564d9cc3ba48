/**
 * A packet as the rules of one hook see it, as far as it is known.
 *
 * Numbers that the kernel keeps are in host byte order, as nf_tables holds them; headers are in the network's.
 *
 * Source: linux/netfilter/nf_conntrack_common.h, linux/in.h, linux/rtnetlink.h (RTN_*).
 */

import {
  bytesOf,
  type Cidr,
  type Family,
  type Ip,
  ipOf,
  lengthOf,
  networkOf,
} from '../model/address/address.ts'
import { type Protocol, protocolNumbers } from '../model/port-mapping.ts'
import { anything, type Bits, type Excluded, join, known, notThis, slice, somebody, word } from './bits.ts'
import type { Source } from './rule.ts'

/** One end of a connection. `anybody`: of all addresses one; `somebody`: of those that no rule names. */
export type End = Ip | 'anybody' | 'somebody'

/** An interface. Few rules go by its index, so it is asked for then; it has none while it is not there yet. */
export interface Interface {
  name: string
  index: () => number | undefined
}

export const LOOPBACK: Interface = { name: 'lo', index: () => 1 }

/** An interface, or any other than these. */
export type Port = Interface | { not: readonly Interface[] }

export interface Seen {
  family: Family
  protocol: Protocol
  source: End
  sourcePort?: number
  destination: End
  /** Networks and addresses that neither end is in, where it can be any. */
  not?: readonly Cidr[]
  destinationPort?: number
  input?: Port
  output?: Port
  /** Below the routed hooks: the bridge that it is on. */
  bridge?: Interface
  /** By an interface that is known to be one of Ethernet. */
  isEthernet?: true
  /** MAC addresses, where they are known; else somebody's. */
  from?: string
  to?: string
  /** What conntrack says of it; absent before it has seen it. */
  connection?: {
    state: 'new' | 'established'
    /** Its destination, or its source, is another than at first. */
    translated: 'destination' | 'source' | 'nothing'
    reply: boolean
    /** As the client sent it. */
    original: { destination: End; destinationPort?: number }
  }
  /** The first of its connection. */
  isFirst: boolean
  /** It is sent to an address of this host, as it stands. */
  toHost: boolean
  /** A process of this host sends it, and rules may ask which. */
  isLocal?: true
}

const ETHERTYPE = { 4: 0x0800, 6: 0x86dd } as const
/** linux/if_arp.h. */
const ARPHRD_ETHER = 1
/** NFPROTO_*. */
const PROTO = { 4: 2, 6: 10 } as const
const RTN_UNICAST = 1
const RTN_LOCAL = 2
/** NF_CT_STATE_BIT of linux/netfilter/nf_conntrack_common.h: IP_CT_ESTABLISHED, IP_CT_NEW. */
const STATES = { established: 1 << 1, new: 1 << 3 } as const
const IPS_SEEN_REPLY = 1 << 1
const IPS_CONFIRMED = 1 << 3
const IPS_SRC_NAT = 1 << 4
const IPS_DST_NAT = 1 << 5

export const IFNAMSIZ = 16
export const nameBytes = (name: string): Uint8Array => {
  const bytes = new Uint8Array(IFNAMSIZ)
  bytes.set(Buffer.from(name).subarray(0, IFNAMSIZ - 1))
  return bytes
}

const be16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff)
const portBits = (port: number | undefined): Bits => (port === undefined ? anything(2) : known(be16(port)))

function endBits(end: End, family: Family, not: readonly Cidr[] = []): Bits {
  const length = family === 4 ? 4 : 16
  if (end === 'somebody') return somebody(length)
  return end === 'anybody' ? anything(length, not.map(excludedNetwork)) : known(bytesOf(end))
}

function excludedNetwork(network: Cidr): Excluded {
  const length = lengthOf(network)
  const value = bytesOf(ipOf(networkOf(network)))
  const mask = value.map((_, i) => 0xff << Math.min(Math.max(8 * (i + 1) - length, 0), 8))
  return { at: 0, value, mask }
}

/** As the kernel holds it; empty where there is none. */
function nameBits(port: Port | undefined): Bits {
  if (port === undefined) return known(new Uint8Array(IFNAMSIZ))
  if (!('not' in port)) return known(nameBytes(port.name))
  return anything(
    IFNAMSIZ,
    port.not.map(({ name }) => notThis(nameBytes(name))),
  )
}

function indexBits(port: Port | undefined): Bits {
  if (port === undefined) return known(word(0))
  if ('not' in port) {
    const indices = port.not.map(({ index }) => index()).filter(index => index !== undefined)
    return anything(
      4,
      indices.map(index => notThis(word(index))),
    )
  }
  const index = port.index()
  // No rule names an interface by the index that it is going to have.
  return index === undefined ? somebody(4) : known(word(index))
}

const SYN = 0x02
const ACK = 0x10

const macBits = (mac: string | undefined): Bits =>
  mac === undefined
    ? somebody(6)
    : known(Uint8Array.from(mac.split(':'), octet => Number.parseInt(octet, 16)))

/** struct ethhdr. */
const linkHeader = ({ from, to, family }: Seen): Bits =>
  join([macBits(to), macBits(from), known(be16(ETHERTYPE[family]))])

/** What stands behind the ports; of TCP the flags are known. */
const restOf = ({ protocol, isFirst }: Seen): Bits =>
  protocol === 'tcp' ? join([anything(9), known(word(isFirst ? SYN : ACK, 1)), anything(6)]) : anything(16)

function networkHeader({ family, protocol }: Seen, from: Bits, to: Bits): Bits {
  const number = known(word(protocolNumbers[protocol], 1))
  return family === 4
    ? join([anything(9), number, anything(2), from, to])
    : join([anything(6), number, anything(1), from, to])
}

type Connection = NonNullable<Seen['connection']>

const statusOf = ({ state, translated }: Connection): number =>
  (translated === 'destination' ? IPS_DST_NAT : translated === 'source' ? IPS_SRC_NAT : 0) |
  (state === 'established' ? IPS_SEEN_REPLY | IPS_CONFIRMED : 0)

/** The headers `link`, `network` and `transport`, and what the kernel knows of a packet, by name. */
const values: Record<string, (seen: Seen) => Bits> = {
  link: linkHeader,
  network: seen => networkHeader(seen, source(seen), destination(seen)),
  // A client that is nobody in particular has a port that is.
  transport: seen => join([portBits(seen.sourcePort), portBits(seen.destinationPort), restOf(seen)]),
  source,
  destination,
  'meta iifname': ({ input }) => nameBits(input),
  'meta oifname': ({ output }) => nameBits(output),
  'meta iif': ({ input }) => indexBits(input),
  'meta oif': ({ output }) => indexBits(output),
  'meta ibrname': ({ input, bridge }) => nameBits(input && bridge),
  'meta obrname': ({ output, bridge }) => nameBits(output && bridge),
  'meta iiftype': ({ isEthernet }) => (isEthernet ? known(word(ARPHRD_ETHER, 2)) : anything(2)),
  'meta oiftype': ({ isEthernet }) => (isEthernet ? known(word(ARPHRD_ETHER, 2)) : anything(2)),
  'meta protocol': ({ family }) => known(be16(ETHERTYPE[family])),
  'meta nfproto': ({ family }) => known(word(PROTO[family], 1)),
  'meta l4proto': ({ protocol }) => known(word(protocolNumbers[protocol], 1)),
  'meta mark': () => known(word(0)),
  'meta priority': () => known(word(0)),
  'meta pkttype': () => known(word(0, 1)),
  'meta secpath': () => known(word(0, 1)),
  // There is a way back to whoever it is.
  'fib saddr oif': () => anything(4, [notThis(word(0))]),
  'fib saddr oifname': () => anything(IFNAMSIZ, [notThis(new Uint8Array(IFNAMSIZ))]),
  'fib saddr present': () => known(word(1, 1)),
  'fib saddr type': () => known(word(RTN_UNICAST)),
  'fib daddr type': ({ toHost }) => known(word(toHost ? RTN_LOCAL : RTN_UNICAST)),
}

/** What conntrack knows of it. */
const connectionValues: Record<string, (connection: Connection, seen: Seen) => Bits> = {
  'ct state': ({ state }) => known(word(STATES[state])),
  'ct status': connection => known(word(statusOf(connection))),
  'ct direction': ({ reply }) => known(word(reply ? 1 : 0, 1)),
  'ct mark': () => known(word(0)),
  'ct protocol': (_, { protocol }) => known(word(protocolNumbers[protocol], 1)),
  'ct l3proto': (_, { family }) => known(word(PROTO[family], 1)),
  'ct original daddr': ({ original }, { family, not }) => endBits(original.destination, family, not),
  'ct original proto-dst': ({ original }) => portBits(original.destinationPort),
}

function source({ source, family, not }: Seen): Bits {
  return endBits(source, family, not)
}

function destination({ destination, family, not }: Seen): Bits {
  return endBits(destination, family, not)
}

/** A packet whose values are made when a rule asks for them: most rules ask for the same few. */
export class Packet {
  readonly #seen: Seen
  readonly #made = new Map<string, Bits | undefined>()

  constructor(seen: Seen) {
    this.#seen = seen
  }

  /** A process of this host sends it. */
  get isLocal(): boolean {
    return this.#seen.isLocal === true
  }

  /** Undefined: it can be anything. */
  get(of: string): Bits | undefined {
    if (!this.#made.has(of)) this.#made.set(of, this.#make(of))
    return this.#made.get(of)
  }

  #make(of: string): Bits | undefined {
    const { connection } = this.#seen
    return values[of]?.(this.#seen) ?? (connection && connectionValues[of]?.(connection, this.#seen))
  }

  /** Somebody has written it. @returns false where it was not known before */
  forget(of: string): boolean {
    const wasKnown = this.get(of) !== undefined
    this.#made.set(of, undefined)
    return wasKnown
  }
}

export const packetOf = (seen: Seen): Packet => new Packet(seen)

/** What a packet has there; what is not known of it can be anything. */
export function read(packet: Packet, { of, offset, length }: Source): Bits {
  const value = packet.get(of)
  return value === undefined ? anything(length) : slice(value, offset, length)
}
