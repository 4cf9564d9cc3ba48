/**
 * Which ports are listened on in a namespace.
 * Source: proc(5), /proc/net/{tcp,tcp6,udp,udp6,sctp/eps}, which show the namespace of the thread that opens
 * them.
 */

import { endianness } from 'node:os'
import type { Protocol } from '../model/port-mapping.ts'
import { inside, type Netns } from '../netns/netns.ts'
import { readText } from './files.ts'

export interface ListeningPort {
  port: number
  /** Only clients in the namespace itself reach it. */
  loopback: boolean
}

/** Ports by protocol, in ascending order, each once; absent where the kernel has no table of it. */
export type Listening = Partial<Record<Protocol, ListeningPort[]>>

/** The TCP ports. */
export const listListening = (netns: Netns): ListeningPort[] => allListening(netns, ['tcp']).tcp ?? []

/** Of all protocols. */
export function allListening(netns: Netns, protocols: Protocol[] = ['tcp', 'udp', 'sctp']): Listening {
  const texts = inside(netns, () => protocols.map(protocol => tables[protocol].map(readTable)))
  const known = protocols.flatMap((protocol, i) => {
    const there = texts[i]?.filter(text => text !== undefined) ?? []
    return there.length === 0 ? [] : [[protocol, parse[protocol](there.join('\n'))] as const]
  })
  return Object.fromEntries(known)
}

const readTable = (name: string) => readText(`/proc/thread-self/net/${name}`)

const tables: Record<Protocol, string[]> = { tcp: ['tcp', 'tcp6'], udp: ['udp', 'udp6'], sctp: ['sctp/eps'] }

// include/net/tcp_states.h; a UDP socket that is connected is a client's, and others show as closed.
const LISTEN = '0A'
const CLOSE = '07'

const parse: Record<Protocol, (text: string) => ListeningPort[]> = {
  tcp: text => parseListening(text),
  udp: text => parseListening(text, CLOSE),
  sctp: parseEndpoints,
}

/** @param text of both tables of TCP, or of UDP with another state */
export function parseListening(text: string, wanted = LISTEN): ListeningPort[] {
  const rows = text.matchAll(/^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ ([0-9A-F]{2}) /gm)
  return eachOnce(
    [...rows].flatMap(([, address = '', port = '', state]) =>
      state === wanted ? [{ port: Number.parseInt(port, 16), loopback: isLoopbackWords(address) }] : [],
    ),
  )
}

/** @param text of SCTP's table: ENDPT SOCK STY SST HBKT LPORT UID INODE LADDRS */
export function parseEndpoints(text: string): ListeningPort[] {
  const rows = text.matchAll(/^\s*\S+\s+\S+\s+\d+\s+(\d+)\s+\d+\s+(\d+)\s+\d+\s+\d+\s*(.*)$/gm)
  return eachOnce(
    [...rows].flatMap(([, state, port, addresses = '']) => {
      const all = addresses.trim().split(/\s+/)
      const loopback = all.every(address => /^127\.|^(0*:)+0*1$/.test(address))
      return Number(state) === Number.parseInt(LISTEN, 16) ? [{ port: Number(port), loopback }] : []
    }),
  )
}

function eachOnce(all: ListeningPort[]): ListeningPort[] {
  const ports = new Map<number, boolean>()
  for (const { port, loopback } of all) ports.set(port, (ports.get(port) ?? true) && loopback)
  return [...ports].sort(([a], [b]) => a - b).map(([port, loopback]) => ({ port, loopback }))
}

/** 127.0.0.0/8, ::ffff:127.0.0.0/104 or ::1, printed as words of 32 bits in the machine's order. */
function isLoopbackWords(words: string): boolean {
  const hex = words.replace(/.{8}/g, word => (endianness() === 'LE' ? reversed(word) : word))
  return /^(0{20}F{4})?7F.{6}$|^0{31}1$/.test(hex)
}

const reversed = (word: string): string => (word.match(/../g) ?? []).toReversed().join('')
