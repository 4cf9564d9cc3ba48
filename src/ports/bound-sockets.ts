/** Sockets that are bound to ports of this network namespace, and whose they are, as /proc shows it. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { bytesOf, type Ip } from '../model/address/address.ts'

const TCP_LISTEN = '0A'

/** What /proc/PID/fd shows for the sockets of a port, such as `socket:[4711]`. @param ip only those bound to this very address */
export type BoundSockets = (port: number, ip?: Ip) => string[]

/**
 * Of TCP those that listen. Read once, however many ports are asked for.
 * @param table `tcp`, `udp6` …
 */
export function boundSockets(table: string): BoundSockets {
  const byPort = new Map<string, { address: string; socket: string }[]>()
  for (const line of tableText(table).split('\n').slice(1)) {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
    if (table.startsWith('tcp') && state !== TCP_LISTEN) continue
    const [address = '', port = ''] = local.split(':')
    const bound = byPort.get(port) ?? []
    byPort.set(port, bound)
    bound.push({ address, socket: `socket:[${inode}]` })
  }
  return (port, ip) => {
    const bound = byPort.get(port.toString(16).toUpperCase().padStart(4, '0')) ?? []
    const wanted = ip && wordsOf(ip)
    return bound.filter(({ address }) => (wanted ?? address) === address).map(({ socket }) => socket)
  }
}

function tableText(table: string): string {
  try {
    return readFileSync(`/proc/thread-self/net/${table}`, 'utf8')
  } catch {
    return '' // a protocol that the kernel lacks
  }
}

/** An address as /proc/net has it: words of four bytes in the machine's order, in hex. */
function wordsOf(ip: Ip): string {
  const words = new Uint32Array(Uint8Array.from(bytesOf(ip)).buffer)
  return [...words].map(word => word.toString(16).toUpperCase().padStart(8, '0')).join('')
}

/** A process's descriptors, and where they lead; none when it is gone. */
export function descriptorsOf(pid: number): { fd: number; file: string }[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap(fd => {
      try {
        return [{ fd: Number(fd), file: readlinkSync(`/proc/${pid}/fd/${fd}`) }]
      } catch {
        return []
      }
    })
  } catch {
    return []
  }
}
