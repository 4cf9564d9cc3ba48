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
  for (const line of textOf(`/proc/thread-self/net/${table}`).split('\n').slice(1)) {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
    if (table.startsWith('tcp') && state !== TCP_LISTEN) continue
    const [address = '', port = ''] = local.split(':')
    byPort.set(port, [...(byPort.get(port) ?? []), { address, socket: `socket:[${inode}]` }])
  }
  return (port, ip) => {
    const bound = byPort.get(port.toString(16).toUpperCase().padStart(4, '0')) ?? []
    return bound.filter(({ address }) => ip === undefined || address === wordsOf(ip)).map(each => each.socket)
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // a protocol that the kernel lacks, or a process that has ended
  }
}

/** An address as /proc/net has it: words of four bytes in the machine's order, in hex. */
function wordsOf(ip: Ip): string {
  const words = new Uint32Array(Uint8Array.from(bytesOf(ip)).buffer)
  return [...words].map(word => word.toString(16).toUpperCase().padStart(8, '0')).join('')
}

export const processIds = (): string[] => readdirSync('/proc').filter(name => /^\d+$/.test(name))

/** Its words; none when it is gone. */
export const commandLineOf = (pid: string): string[] => textOf(`/proc/${pid}/cmdline`).split('\0')

/** Where a process's descriptors lead; empty when it is gone. */
export function openFiles(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap(fd => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
      } catch {
        return []
      }
    })
  } catch {
    return []
  }
}
