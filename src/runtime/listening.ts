/**
 * Which TCP ports are listened on in a namespace.
 * Source: proc(5), /proc/net/tcp and tcp6, which show the namespace of the thread that opens them.
 */

import { endianness } from 'node:os'
import { inside, type Netns } from '../netns/netns.ts'
import { readText } from './files.ts'

export interface ListeningPort {
  port: number
  /** Only clients in the namespace itself reach it. */
  loopback: boolean
}

/** In ascending order, each port once. */
export function listListening(netns: Netns): ListeningPort[] {
  const tables = inside(netns, () =>
    ['tcp', 'tcp6'].map(name => readText(`/proc/thread-self/net/${name}`) ?? ''),
  )
  return parseListening(tables.join('\n'))
}

const LISTEN = '0A' // include/net/tcp_states.h

/** @param text of both tables */
export function parseListening(text: string): ListeningPort[] {
  const ports = new Map<number, boolean>()
  for (const [, address = '', port = '', state] of text.matchAll(
    /^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ ([0-9A-F]{2}) /gm,
  )) {
    if (state !== LISTEN) continue
    const number = Number.parseInt(port, 16)
    ports.set(number, (ports.get(number) ?? true) && isLoopbackWords(address))
  }
  return [...ports].sort(([a], [b]) => a - b).map(([port, loopback]) => ({ port, loopback }))
}

/** 127.0.0.0/8, ::ffff:127.0.0.0/104 or ::1, printed as words of 32 bits in the machine's order. */
function isLoopbackWords(words: string): boolean {
  const hex = words.replace(/.{8}/g, word => (endianness() === 'LE' ? reversed(word) : word))
  return /^(0{20}F{4})?7F.{6}$|^0{31}1$/.test(hex)
}

const reversed = (word: string): string => (word.match(/../g) ?? []).toReversed().join('')
