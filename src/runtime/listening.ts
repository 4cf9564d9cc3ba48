/**
 * Which ports are listened on in a namespace: the tables of /proc/thread-self/net show that of the thread that
 * opens them (model/socket-table.ts).
 */

import { isLoopback } from '../model/address/address.ts'
import type { Protocol } from '../model/port-mapping.ts'
import { readWaiting, tablesOf } from '../model/socket-table.ts'
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
  const texts = inside(netns, () => protocols.map(protocol => tablesOf(protocol).map(readTable)))
  const known = protocols.flatMap((protocol, i) => {
    const there = texts[i]?.filter(text => text !== undefined) ?? []
    return there.length === 0 ? [] : [[protocol, parseListening(there.join('\n'), protocol)] as const]
  })
  return Object.fromEntries(known)
}

const readTable = (name: string) => readText(`/proc/thread-self/net/${name}`)

/** @param text of all tables of the protocol */
export function parseListening(text: string, protocol: Protocol = 'tcp'): ListeningPort[] {
  const ports = new Map<number, boolean>()
  for (const { ip, port } of readWaiting(protocol, text)) {
    ports.set(port, (ports.get(port) ?? true) && isLoopback(ip))
  }
  return [...ports].sort(([a], [b]) => a - b).map(([port, loopback]) => ({ port, loopback }))
}
