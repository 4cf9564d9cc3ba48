/**
 * Which ports are listened on in a namespace. Of TCP the kernel is asked over netlink, since to print its table it looks
 * through the connections of the whole machine, in some ten milliseconds. Of others, and where it lists no sockets, the
 * tables of /proc/thread-self/net tell it, which show the namespace of the thread that opens them
 * (model/socket-table.ts).
 */

import { familyOf, type Ip, isLoopback, isUnspecified } from '../model/address/address.ts'
import { hasCode } from '../model/errors.ts'
import type { Protocol } from '../model/port-mapping.ts'
import { readWaiting, tablesOf, type Waiting } from '../model/socket-table.ts'
import { NETLINK_SOCK_DIAG } from '../netlink/constants.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { tcpListeners } from '../netlink/sock-diag.ts'
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
  const waiting = inside(netns, () => protocols.map(protocol => [protocol, waitingHere(protocol)] as const))
  const known = waiting.flatMap(([protocol, sockets]) =>
    sockets === undefined ? [] : [[protocol, portsOf(sockets)] as const],
  )
  return Object.fromEntries(known)
}

/** Whether somebody in this thread's namespace waits for clients there; undefined where the kernel has no such protocol. */
export const isListenedOn = (protocol: Protocol, ip: Ip, port: number): boolean | undefined =>
  waitingHere(protocol)?.some(
    each => each.port === port && (each.ip === ip || isUnspecified(each.ip)) && takes(each.ip, ip),
  )

/** A socket on `::` takes IPv4 as well, as a rule. */
const takes = (bound: Ip, ip: Ip): boolean => bound === '::' || familyOf(bound) === familyOf(ip)

/** Undefined where the kernel has no such protocol. */
const waitingHere = (protocol: Protocol): Waiting[] | undefined =>
  (protocol === 'tcp' ? askTcp() : undefined) ?? readTables(protocol)

/** Undefined where the kernel does not list sockets. */
function askTcp(): Waiting[] | undefined {
  try {
    using nl = openNetlink(undefined, NETLINK_SOCK_DIAG)
    return tcpListeners(nl)
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT', 'EPROTONOSUPPORT', 'EPERM', 'EACCES', 'EOPNOTSUPP')) return undefined
    throw thrown
  }
}

function readTables(protocol: Protocol): Waiting[] | undefined {
  const texts = tablesOf(protocol).flatMap(name => readText(`/proc/thread-self/net/${name}`) ?? [])
  return texts.length === 0 ? undefined : readWaiting(protocol, texts.join('\n'))
}

/** @param text of all tables of the protocol */
export const parseListening = (text: string, protocol: Protocol = 'tcp'): ListeningPort[] =>
  portsOf(readWaiting(protocol, text))

function portsOf(sockets: readonly Waiting[]): ListeningPort[] {
  const ports = new Map<number, boolean>()
  for (const { ip, port } of sockets) ports.set(port, (ports.get(port) ?? true) && isLoopback(ip))
  return [...ports].sort(([a], [b]) => a - b).map(([port, loopback]) => ({ port, loopback }))
}
