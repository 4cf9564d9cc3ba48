/**
 * Is a port of the host free, and who holds it if not.
 *
 * Asked by binding a socket for a moment: that is the very check that the kernel would make, for every
 * address, family and owner. Only when it fails is /proc looked at: for who it is.
 */

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
import type { HostIp, Ip } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { describeHostPorts, type PortMapping, type Protocol } from '../model/port-mapping.ts'
import { commandLine, listProcesses, processName } from '../netns/processes.ts'
import { type BoundSockets, boundSockets, descriptorsOf } from './bound-sockets.ts'

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
 * Checks that nothing on this host listens on any of the host ports of mappings.
 * @throws TsnetError `conflict` naming the port and its holder; `invalid-config` for an address that is
 *   not one of this host
 */
export function probePorts(mappings: readonly PortMapping[], options: ProbeOptions = {}): void {
  const isOwn = ownSockets(options)
  for (const mapping of mappings) probeMapping(mapping, options, isOwn)
}

function probeMapping(mapping: PortMapping, options: ProbeOptions, isOwn: IsOwn): void {
  for (const ip of mapping.hostIp === undefined ? everyAddress : [mapping.hostIp]) {
    for (let port = mapping.hostPort; port < mapping.hostPort + mapping.count; port++) {
      const failure = tryBind(mapping.protocol, ip, port)
      if (failure === undefined) continue
      if (failure === 'unsupported') break // a family or protocol the kernel lacks is held by nobody
      if (failure === 'EADDRNOTAVAIL' && options.anyAddress) break
      if (failure === 'EADDRINUSE' && isOwn(mapping.protocol, port)) continue
      const holder = failure === 'EADDRINUSE' ? holderOf(mapping.protocol, port) : undefined
      throw bindError(failure, mapping, ip, port, holder)
    }
  }
}

/** Whether who listens on a port does so for the container. */
type IsOwn = (protocol: Protocol, port: number) => boolean

/** podman listens on thousands of ports at once: /proc is looked at for the first of them, and not again. */
function ownSockets(options: ProbeOptions): IsOwn {
  const tables = new Map<string, BoundSockets>()
  const bound = (table: string, port: number): string[] => {
    const sockets = tables.get(table) ?? boundSockets(table)
    tables.set(table, sockets)
    return sockets(port)
  }
  let own: Set<string> | undefined
  return (protocol, port) => {
    const sockets = tablesOf(protocol).flatMap(table => bound(table, port))
    own ??= new Set(listProcesses().flatMap(pid => (isForContainer(pid, options) ? openFiles(pid) : [])))
    const all = own
    return sockets.length > 0 && sockets.every(socket => all.has(socket))
  }
}

const tablesOf = (protocol: Protocol): string[] => [protocol, `${protocol}6`]

/** The runtime, or a process that has the container's id as a word of its command line. */
const isForContainer = (pid: number, { runtime, containerId }: ProbeOptions): boolean =>
  pid === runtime || (containerId !== undefined && commandLine(pid).includes(containerId))

const openFiles = (pid: number): string[] => descriptorsOf(pid).map(({ file }) => file)

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
  const found = tablesOf(protocol)
    .map(boundSockets)
    .flatMap(bound => (ips === undefined ? bound(port) : ips.flatMap(ip => bound(port, ip))))
  const sockets = new Set(found)
  if (sockets.size === 0) return undefined
  const pid = listProcesses().find(each => openFiles(each).some(file => sockets.has(file)))
  const name = pid === undefined ? undefined : processName(pid)
  return name === undefined ? undefined : { pid: `${pid}`, name }
}
