/**
 * Sockets of conversations that are over, kept for those that begin: a process that does call after call
 * spares itself six system calls for each. Only those of the namespace in which keeping began are kept,
 * since a socket keeps its namespace alive.
 */

import { inodeHere } from '../netns/netns.ts'
import { openSocket, type Transport } from './socket.ts'

/** More conversations than this seldom go on at once. */
const KEPT_AT_MOST = 16

let home: number | undefined
/** By protocol. */
const kept = new Map<number, Transport[]>()

/** From now on, sockets of the namespace that this thread is in are kept. */
export function keepSockets(): void {
  home = inodeHere()
}

/** A socket of the namespace this thread is in, new or used; disposed of, it may be kept. @throws SystemError */
export function takeSocket(protocol: number): Transport {
  if (home === undefined || home !== inodeHere()) return openSocket(protocol)
  const idle = kept.get(protocol) ?? []
  kept.set(protocol, idle)
  const socket = idle.pop() ?? openSocket(protocol)
  const taken: Transport = {
    ...socket,
    [Symbol.dispose]() {
      socket.sequence = taken.sequence ?? 0
      if (idle.length < KEPT_AT_MOST && isDrained(socket)) idle.push(socket)
      else socket[Symbol.dispose]()
      taken[Symbol.dispose] = () => {}
    },
  }
  return taken
}

/** False where a conversation that failed left something unread: who knows what else is to come. */
function isDrained(socket: Transport): boolean {
  try {
    return socket.poll() === undefined
  } catch {
    return false
  }
}
