/**
 * Which sockets wait for others in a network namespace: the tables that the kernel prints.
 * Source: proc(5), /proc/net/tcp, tcp6, udp, udp6; /proc/net/sctp/eps (net/sctp/proc.c).
 */

import { endianness } from 'node:os'
import { type Ip, ipFromBytes, tryParseIp } from './address/address.ts'
import type { Protocol } from './port-mapping.ts'

/** Where a socket can be reached. */
export interface Waiting {
  /** `0.0.0.0` and `::` where it has no address; the latter may take IPv4 as well. */
  ip: Ip
  port: number
}

/** The tables of a protocol, below /proc/thread-self/net. */
export const tablesOf = (protocol: Protocol): string[] =>
  protocol === 'sctp' ? ['sctp/eps'] : [protocol, `${protocol}6`]

/** The sockets of a protocol that listen, or of UDP that are connected to nobody. @param text of its tables */
export const readWaiting = (protocol: Protocol, text: string): Waiting[] =>
  protocol === 'sctp' ? readEndpoints(text) : readSockets(text, protocol === 'tcp' ? LISTEN : UNCONNECTED)

// include/net/tcp_states.h
const LISTEN = '0A'
const UNCONNECTED = '07'

function readSockets(text: string, wanted: string): Waiting[] {
  const rows = text.matchAll(/^ *\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) \S+ ([0-9A-F]{2}) /gm)
  return [...rows].flatMap(([, address = '', port = '', state]) =>
    state === wanted ? [{ ip: ipOfWords(address), port: Number.parseInt(port, 16) }] : [],
  )
}

/** Words of 32 bits, in the machine's order; IPv4 that is mapped into IPv6 is IPv4. */
function ipOfWords(words: string): Ip {
  const hex = words.replace(/.{8}/g, word => (endianness() === 'LE' ? reversed(word) : word))
  const bytes = Uint8Array.from(Buffer.from(hex.replace(/^0{20}F{4}(?=.{8}$)/, ''), 'hex'))
  return ipFromBytes(bytes)
}

const reversed = (word: string): string => (word.match(/../g) ?? []).toReversed().join('')

/** ENDPT SOCK STY SST HBKT LPORT UID INODE LADDRS…, of which those in the state SST are wanted that listen. */
function readEndpoints(text: string): Waiting[] {
  return text.split('\n').flatMap(line => {
    const [, , , state, , port = '', , , ...addresses] = line.trim().split(/\s+/)
    if (Number(state) !== Number.parseInt(LISTEN, 16)) return []
    return addresses.flatMap(each => {
      const ip = tryParseIp(each.replace(/^\*/, ''))
      return ip === undefined || !isPort(port) ? [] : [{ ip, port: Number(port) }]
    })
  })
}

const isPort = (text: string): boolean => /^\d{1,5}$/.test(text) && Number(text) <= 65_535
