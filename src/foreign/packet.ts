/**
 * A packet as the rules of one hook see it, as far as it is known.
 *
 * Numbers that the kernel keeps are in host byte order, as nf_tables holds them; headers are in the network's.
 *
 * Source: linux/netfilter/nf_conntrack_common.h, linux/in.h, linux/rtnetlink.h (RTN_*).
 */

import { bytesOf, type Cidr, type Family, type Ip, ipOf, lengthOf, networkOf } from '../model/address.ts'
import { type Protocol, protocolNumbers } from '../model/port-mapping.ts'
import { anything, type Bits, type Excluded, join, known, notThis, slice, somebody, word } from './bits.ts'
import type { Source } from './rule.ts'

/** A packet's values: the headers `network` and `transport`, and what the kernel knows, by name. */
export type Packet = ReadonlyMap<string, Bits>

/** One end of a connection. `anybody`: of all addresses one; `somebody`: of those that no rule names. */
export type End = Ip | 'anybody' | 'somebody'

/** An interface; its index is absent while it is not there yet. */
export interface Interface {
  name: string
  index?: number
}

export const LOOPBACK: Interface = { name: 'lo', index: 1 }

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
}

const ETHERTYPE = { 4: 0x0800, 6: 0x86dd } as const
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

/** Its name and index, as the kernel holds them; of none there is neither. */
function interfaceBits(port: Port | undefined): { name: Bits; index: Bits } {
  if (port === undefined) return { name: known(new Uint8Array(IFNAMSIZ)), index: known(word(0)) }
  if ('not' in port) {
    const indices = port.not.flatMap(({ index }) => (index === undefined ? [] : [notThis(word(index))]))
    return {
      name: anything(
        IFNAMSIZ,
        port.not.map(({ name }) => notThis(nameBytes(name))),
      ),
      index: anything(4, indices),
    }
  }
  // No rule names an interface by the index that it is going to have.
  const index = port.index === undefined ? somebody(4) : known(word(port.index))
  return { name: known(nameBytes(port.name)), index }
}

export function packetOf(seen: Seen): Packet {
  const { family, protocol, source, destination, connection, toHost } = seen
  const number = protocolNumbers[protocol]
  const from = endBits(source, family, seen.not)
  const to = endBits(destination, family, seen.not)
  const [input, output] = [interfaceBits(seen.input), interfaceBits(seen.output)]
  const values: Record<string, Bits> = {
    network: networkHeader(family, number, from, to),
    // A client that is nobody in particular has a port that is.
    transport: join([portBits(seen.sourcePort), portBits(seen.destinationPort), restOf(seen)]),
    source: from,
    destination: to,
    'meta iifname': input.name,
    'meta oifname': output.name,
    'meta iif': input.index,
    'meta oif': output.index,
    'meta protocol': known(be16(ETHERTYPE[family])),
    'meta nfproto': known(word(PROTO[family], 1)),
    'meta l4proto': known(word(number, 1)),
    'meta mark': known(word(0)),
    'meta priority': known(word(0)),
    'meta pkttype': known(word(0, 1)),
    'meta secpath': known(word(0, 1)),
    // There is a way back to whoever it is.
    'fib saddr oif': anything(4, [notThis(word(0))]),
    'fib saddr oifname': anything(IFNAMSIZ, [notThis(new Uint8Array(IFNAMSIZ))]),
    'fib saddr present': known(word(1, 1)),
    'fib saddr type': known(word(RTN_UNICAST)),
    'fib daddr type': known(word(toHost ? RTN_LOCAL : RTN_UNICAST)),
  }
  if (connection !== undefined) {
    const { state, translated, reply, original } = connection
    const status =
      (translated === 'destination' ? IPS_DST_NAT : translated === 'source' ? IPS_SRC_NAT : 0) |
      (state === 'established' ? IPS_SEEN_REPLY | IPS_CONFIRMED : 0)
    Object.assign(values, {
      'ct state': known(word(STATES[state])),
      'ct status': known(word(status)),
      'ct direction': known(word(reply ? 1 : 0, 1)),
      'ct mark': known(word(0)),
      'ct protocol': known(word(number, 1)),
      'ct l3proto': known(word(PROTO[family], 1)),
      'ct original daddr': endBits(original.destination, family, seen.not),
      'ct original proto-dst': portBits(original.destinationPort),
    })
  }
  return new Map(Object.entries(values))
}

const SYN = 0x02
const ACK = 0x10

/** What stands behind the ports; of TCP the flags are known. */
const restOf = ({ protocol, isFirst }: Seen): Bits =>
  protocol === 'tcp' ? join([anything(9), known(word(isFirst ? SYN : ACK, 1)), anything(6)]) : anything(16)

function networkHeader(family: Family, protocol: number, source: Bits, destination: Bits): Bits {
  return family === 4
    ? join([anything(9), known(word(protocol, 1)), anything(2), source, destination])
    : join([anything(6), known(word(protocol, 1)), anything(1), source, destination])
}

/** What a packet has there; what is not known of it can be anything. */
export function read(packet: Packet, { of, offset, length }: Source): Bits {
  const value = packet.get(of)
  return value === undefined ? anything(length) : slice(value, offset, length)
}
