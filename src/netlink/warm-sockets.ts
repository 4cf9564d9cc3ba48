/**
 * Sockets of conversations that are over, kept for those that begin: that spares six system calls for each.
 *
 * In the namespace of the process itself they are kept where somebody asks for it, since only a process that does
 * call after call has any use of them. In another one they are kept as long as it is open, and closed with it: a
 * socket keeps its namespace alive.
 */

import { isAtHome, type Netns, netnsHere } from '../netns/netns.ts'
import { openSocket, type Transport } from './socket.ts'

/** More conversations than this seldom go on at once. */
const KEPT_AT_MOST = 16

/** By namespace and protocol. */
const kept = new WeakMap<Netns, Map<number, Transport[]>>()

/** From now on, sockets of the namespace that this thread is in are kept. */
export function keepSockets(): void {
  keepIn(netnsHere())
}

function keepIn(netns: Netns): Map<number, Transport[]> {
  const sockets = kept.get(netns) ?? new Map<number, Transport[]>()
  kept.set(netns, sockets)
  netns.onClose = () => {
    kept.delete(netns)
    for (const socket of [...sockets.values()].flat()) socket[Symbol.dispose]()
  }
  return sockets
}

/** A socket of the namespace this thread is in, new or used; disposed of, it may be kept. @throws SystemError */
export function takeSocket(protocol: number): Transport {
  const netns = netnsHere()
  const sockets = kept.get(netns) ?? (isAtHome() ? undefined : keepIn(netns))
  if (sockets === undefined) return openSocket(protocol)
  const idle = sockets.get(protocol) ?? []
  sockets.set(protocol, idle)
  const socket = idle.pop() ?? openSocket(protocol)
  const taken: Transport = {
    ...socket,
    [Symbol.dispose]() {
      socket.sequence = taken.sequence ?? 0
      const isOpen = kept.get(netns) === sockets
      // Where something is left unread, who knows what else is to come.
      if (isOpen && idle.length < KEPT_AT_MOST && taken.isQuiet) idle.push(socket)
      else socket[Symbol.dispose]()
      taken[Symbol.dispose] = () => {}
    },
  }
  return taken
}
