/** Sockets opened in the namespace of the thread, to be driven from elsewhere: Node opens its own when we have left again. */

import { errno, errnoName, libc, must, SystemError } from '../ffi/ffi.ts'
import { domainOf, type Endpoint, sockaddr } from '../ffi/sockaddr.ts'
import { SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM } from '../ffi/socket.ts'

/**
 * A socket on its way to a peer: of TCP its first packet is sent.
 * @param prepare does what is to be done to it before
 * @throws SystemError
 */
export function connectedSocket(
  transport: 'tcp' | 'udp',
  { ip, port }: Endpoint,
  prepare: (fd: number) => void = () => {},
): number {
  const type = (transport === 'tcp' ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC
  const fd = must('socket', libc.socket(domainOf(ip), type, 0))
  try {
    prepare(fd)
    const address = sockaddr(ip, port)
    if (libc.connect(fd, address, address.length) < 0 && errnoName(errno()) !== 'EINPROGRESS')
      throw new SystemError('connect', errno())
    return fd
  } catch (thrown) {
    libc.close(fd)
    throw thrown
  }
}
