/**
 * Is a port of the host free, and who holds it if not.
 *
 * Asked by binding a socket for a moment: that is the very check that the kernel would make, for every
 * address, family and owner. Only when it fails is /proc searched for a name.
 */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { errno, errnoName, libc, SystemError } from '../ffi/ffi.ts'
import { AF_INET6, domainOf, hostSockaddr } from '../ffi/sockaddr.ts'
import {
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOL_SOCKET,
  setOption,
  socketKinds,
} from '../ffi/socket.ts'
import { bytesOf, type HostIp, type Ip } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { describeHostPorts, type PortMapping, type Protocol } from '../model/port-mapping.ts'

const everyAddress = ['0.0.0.0' as Ip, '::' as Ip]

/** What is no conflict. */
export interface ProbeOptions {
  /** A process whose command line names this container listens for it: the runtime's keeper of its ports. */
  containerId?: string
  /** The runtime that asks, which may listen for the container already. */
  runtime?: number
  /** An address that the host does not have may be one that it gets later. */
  anyAddress?: boolean
}

/**
 * Checks that nothing on this host listens on any of a mapping's host ports.
 * @throws TsnetError `conflict` naming the port and its holder; `invalid-config` for an address that is
 *   not one of this host
 */
export function probePorts(mapping: PortMapping, options: ProbeOptions = {}): void {
  for (const ip of mapping.hostIp === undefined ? everyAddress : [mapping.hostIp]) {
    for (let port = mapping.hostPort; port < mapping.hostPort + mapping.count; port++) {
      const failure = tryBind(mapping.protocol, ip, port)
      if (failure === undefined) continue
      if (failure === 'unsupported') break // a family or protocol the kernel lacks is held by nobody
      if (failure === 'EADDRNOTAVAIL' && options.anyAddress) break
      const holder = failure === 'EADDRINUSE' ? holderOf(mapping.protocol, port) : undefined
      if (holder !== undefined && isForContainer(holder, options)) continue
      throw bindError(failure, mapping, ip, port, holder)
    }
  }
}

function tryBind(protocol: Protocol, ip: HostIp, port: number): string | undefined {
  const [type, number] = socketKinds[protocol]
  const fd = libc.socket(domainOf(ip), type | SOCK_CLOEXEC, number)
  if (fd < 0) {
    const code = errnoName(errno())
    if (['EAFNOSUPPORT', 'EPROTONOSUPPORT', 'ESOCKTNOSUPPORT'].includes(code)) return 'unsupported'
    throw new SystemError('socket', errno())
  }
  try {
    if (domainOf(ip) === AF_INET6) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)
    // Lets a TCP port in TIME_WAIT pass, never one that is listened on. Two UDP sockets could share one.
    if (protocol !== 'udp') setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)
    const address = hostSockaddr(ip, port)
    return libc.bind(fd, address, address.length) === 0 ? undefined : errnoName(errno())
  } finally {
    libc.close(fd)
  }
}

function bindError(
  code: string,
  mapping: PortMapping,
  ip: HostIp,
  port: number,
  holder: Holder | undefined,
): TsnetError {
  const asked = mapping.hostIp === undefined ? {} : { hostIp: mapping.hostIp }
  const what = describeHostPorts({ ...mapping, ...asked, hostPort: port, count: 1 })
  if (code === 'EADDRNOTAVAIL') {
    return new TsnetError('invalid-config', `hostIP ${ip} of port ${what} is not an address of this host`)
  }
  if (code !== 'EADDRINUSE') return new TsnetError('kernel', `port ${what} cannot be bound: ${code}`)
  const by = holder === undefined ? '' : ` by ${holder.name} (pid ${holder.pid})`
  return new TsnetError(
    'conflict',
    `port ${what} is already in use${by}; choose another host port or stop it`,
  )
}

export interface Holder {
  pid: string
  name: string
}

/**
 * Undefined where no process is seen (another namespace's, or SCTP).
 * @param ips only sockets that are bound to one of these; absent: any
 */
export function holderOf(protocol: Protocol, port: number, ips?: readonly Ip[]): Holder | undefined {
  const tables = [protocol, `${protocol}6`]
  const found = tables.flatMap(table =>
    ips === undefined ? socketInodes(table, port) : ips.flatMap(ip => socketInodes(table, port, ip)),
  )
  const inodes = new Set(found)
  if (inodes.size === 0) return undefined
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    if (openFiles(pid).some(file => inodes.has(file))) {
      return { pid, name: readFileSync(`/proc/${pid}/comm`, 'utf8').trim() }
    }
  }
  return undefined
}

/** The runtime, or a process that has the container's id as a word of its command line. */
function isForContainer({ pid }: Holder, { runtime, containerId }: ProbeOptions): boolean {
  if (Number(pid) === runtime) return true
  if (containerId === undefined) return false
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(containerId)
  } catch {
    return false // it has ended
  }
}

const TCP_LISTEN = '0A'

/**
 * What /proc/PID/fd shows for the sockets bound to a port, such as `socket:[4711]`.
 * @param table `tcp`, `udp6` …
 * @param ip only those bound to this very address
 */
export function socketInodes(table: string, port: number, ip?: Ip): string[] {
  let text: string
  try {
    text = readFileSync(`/proc/thread-self/net/${table}`, 'utf8')
  } catch {
    return []
  }
  const suffix = `${ip === undefined ? '' : wordsOf(ip)}:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return text.split('\n').flatMap(line => {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
    const bound = local.endsWith(suffix) && (!table.startsWith('tcp') || state === TCP_LISTEN)
    return bound ? [`socket:[${inode}]`] : []
  })
}

/** An address as /proc/net has it: words of four bytes in the machine's order, in hex. */
function wordsOf(ip: Ip): string {
  const words = new Uint32Array(Uint8Array.from(bytesOf(ip)).buffer)
  return [...words].map(word => word.toString(16).toUpperCase().padStart(8, '0')).join('')
}

/** Where a process's descriptors lead; empty when it is gone. */
function openFiles(pid: string): string[] {
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
