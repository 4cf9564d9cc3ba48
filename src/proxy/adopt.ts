/**
 * Sockets that somebody else has opened: a predecessor, systemd, dockerd. They are looked at before they
 * are used, and get what our own would have had.
 */

import { errno, errnoName, libc } from '../ffi/ffi.ts'
import { type Endpoint, readSockaddr } from '../ffi/sockaddr.ts'
import { optionOf, SO_ACCEPTCONN, SO_TYPE, SOL_SOCKET, socketKinds } from '../ffi/socket.ts'
import { TsnetError } from '../model/errors.ts'
import { type Listeners, prepareSocket } from './listener.ts'
import { describePorts, type Publication } from './publication.ts'

const F_GETFL = 3
const F_SETFL = 4
const O_NONBLOCK = 0x800
const SOCKADDR_BYTES = 28

/**
 * Takes over the sockets of a publication: for each worker, address by address and port by port. Where there
 * is but one socket for UDP, it can be one worker's alone: replies go by whoever saw the client first.
 * @throws TsnetError `invalid-config` where they do not fit; they stay the caller's then
 */
export function adoptListeners(
  publication: Publication,
  sockets: readonly (readonly number[])[],
  workers: number,
): Listeners {
  const needed = publication.count * (publication.hostIps?.length ?? 1)
  const idle = publication.protocol === 'udp' ? sockets.filter(each => each.length === 0).length : 0
  const fitting = sockets.filter(each => each.length === needed).length
  if (sockets.length !== workers || fitting === 0 || fitting + idle !== workers) {
    throw misfit(publication, `${needed} sockets are needed for each of ${workers} workers`)
  }
  const hostPort = publication.hostPort || nameOf(publication, sockets.flat()[0] ?? -1).port
  for (const each of sockets) {
    for (const [index, fd] of each.entries()) adopt(publication, fd, hostPort + (index % publication.count))
  }
  return { hostPort, sockets: sockets.map(each => [...each]) }
}

function adopt(publication: Publication, fd: number, port: number): void {
  const { protocol } = publication
  const name = nameOf(publication, fd)
  if (name.port !== port) throw misfit(publication, `descriptor ${fd} is bound to port ${name.port}`)
  const [type] = socketKinds[protocol]
  if (optionOf(fd, SOL_SOCKET, SO_TYPE) !== type) {
    throw misfit(publication, `descriptor ${fd} is a socket of another protocol`)
  }
  if (protocol !== 'udp' && optionOf(fd, SOL_SOCKET, SO_ACCEPTCONN) !== 1) {
    throw misfit(publication, `descriptor ${fd} does not listen`)
  }
  libc.fcntl(fd, F_SETFL, libc.fcntl(fd, F_GETFL, 0) | O_NONBLOCK)
  prepareSocket(fd, publication, name.ip)
}

function nameOf(publication: Publication, fd: number): Endpoint {
  const address = new Uint8Array(SOCKADDR_BYTES)
  const length = new Uint8Array(new Int32Array([SOCKADDR_BYTES]).buffer)
  if (libc.getsockname(fd, address, length) < 0) {
    throw misfit(publication, `descriptor ${fd} is no socket (${errnoName(errno())})`)
  }
  return readSockaddr(address)
}

const misfit = (publication: Publication, problem: string): TsnetError =>
  new TsnetError('invalid-config', `sockets for ${describePorts(publication)}: ${problem}`)
