/** The socket of a placeholder, as docker-proxy's would be, down to the words for what went wrong. */

import { isBroadcast } from '../ffi/broadcast.ts'
import { errno, errnoName, libc } from '../ffi/ffi.ts'
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
import { BROADCAST_PROBLEM, lacksZone, manysProblem, needsZone } from '../model/address/host.ts'
import { TsnetError } from '../model/errors.ts'
import type { ProxyCall } from '../model/proxy-call.ts'
import { describeEndpoint } from './arguments.ts'

const BACKLOG = 4096
/**
 * Binds the port, of one family, and listens.
 * @returns the descriptor
 * @throws TsnetError `invalid-config` for an address of many, a link-local address without its interface, or with one
 * that is not
 *   there; `conflict` for a port in use, else `kernel`:
 *   `listen tcp4 127.0.0.1:80: bind: address already in use`
 */
export function listen({ protocol, hostIp, hostPort }: ProxyCall): number {
  if (needsZone(hostIp)) {
    const where = describeEndpoint(protocol, hostIp, hostPort)
    throw new TsnetError('invalid-config', `listen ${where}: ${hostIp} ${lacksZone(hostIp)}`)
  }
  const problem = manysProblem(hostIp) ?? (isBroadcast(hostIp) ? BROADCAST_PROBLEM : undefined)
  if (problem !== undefined) {
    const where = describeEndpoint(protocol, hostIp, hostPort)
    throw new TsnetError('invalid-config', `listen ${where}: ${hostIp} ${problem}`)
  }
  const failed = (what: string): TsnetError => {
    const number = errno()
    const code = errnoName(number) === 'EADDRINUSE' ? 'conflict' : 'kernel'
    const where = describeEndpoint(protocol, hostIp, hostPort)
    return new TsnetError(code, `listen ${where}: ${what}: ${libc.strerror(number).toLowerCase()}`)
  }
  const [type, number] = socketKinds[protocol]
  const domain = domainOf(hostIp)
  const fd = libc.socket(domain, type | SOCK_CLOEXEC, number)
  if (fd < 0) throw failed('socket')
  if (domain === AF_INET6) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)
  // Lets a port in TIME_WAIT pass; two UDP sockets could share one.
  if (protocol !== 'udp') setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)
  const address = hostSockaddr(hostIp, hostPort)
  if (libc.bind(fd, address, address.length) < 0) throw closing(fd, failed('bind'))
  if (protocol !== 'udp' && libc.listen(fd, BACKLOG) < 0) throw closing(fd, failed('listen'))
  return fd
}

function closing(fd: number, thrown: TsnetError): TsnetError {
  libc.close(fd)
  return thrown
}
