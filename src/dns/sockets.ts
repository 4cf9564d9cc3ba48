/**
 * The sockets of a network's gateway address, port 53.
 *
 *     bound to the bridge   who is on the network asks by it, and nobody else: what comes to this address by another
 *                           interface finds no socket, whatever the firewall lets through
 *     bound to lo           the host itself
 *
 * Both for UDP and TCP, in the network namespace of the calling thread.
 */

import { constants } from 'node:os'
import { errno, errnoName, libc, must } from '../ffi/ffi.ts'
import { AF_INET6, domainOf, sockaddr } from '../ffi/sockaddr.ts'
import {
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  optionOf,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  setOption,
  setReceiveBuffer,
  socketKinds,
} from '../ffi/socket.ts'
import type { Ip } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'

/** One of them. */
export interface OpenDoor {
  carrier: 'udp' | 'tcp'
  isHost: boolean
  descriptor: number
}

export const DNS_PORT = 53

const SO_BINDTODEVICE = 25
const SO_BINDTOIFINDEX = 62
const IP_FREEBIND = 15
const IPV6_FREEBIND = 78
const BACKLOG = 256
const UDP_BUFFER_BYTES = 1 << 20
const { EADDRINUSE } = constants.errno

/**
 * Opens all of them, or none.
 * @param device of the network, which has the address, or will have
 * @throws TsnetError `conflict`: somebody else has the port there; `kernel`, also where there is no such interface
 */
export function openDoors(address: Ip, device: string): OpenDoor[] {
  const doors: OpenDoor[] = []
  try {
    for (const carrier of ['udp', 'tcp'] as const)
      for (const isHost of [false, true])
        doors.push({ carrier, isHost, descriptor: open(address, carrier, isHost ? 'lo' : device) })
    return doors
  } catch (thrown) {
    closeDoors(doors)
    throw thrown
  }
}

export function closeDoors(doors: readonly OpenDoor[]): void {
  for (const { descriptor } of doors) libc.close(descriptor)
}

/** Whether they are bound to the interface that has this name now. */
export function isOn(doors: readonly OpenDoor[], device: string): boolean {
  const index = libc.if_nametoindex(device)
  const bound = doors.filter(({ isHost }) => !isHost)
  return bound.every(({ descriptor }) => optionOf(descriptor, SOL_SOCKET, SO_BINDTOIFINDEX) === index)
}

function open(address: Ip, carrier: 'udp' | 'tcp', device: string): number {
  const domain = domainOf(address)
  const [type, protocol] = socketKinds[carrier]
  const fd = must('socket', libc.socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol))
  const fail = (what: string): never => {
    const number = errno()
    libc.close(fd)
    throw failure(`${carrier} port ${DNS_PORT} of ${address}`, what, number)
  }
  const name = Buffer.from(`${device}\0`)
  if (libc.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, name.length) < 0) fail(`on ${device}`)
  // An address of IPv6 is no address yet while the kernel looks for another who has it.
  if (domain === AF_INET6) {
    setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)
    setOption(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1)
  } else setOption(fd, IPPROTO_IP, IP_FREEBIND, 1)
  if (carrier === 'tcp') setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)
  else setReceiveBuffer(fd, UDP_BUFFER_BYTES)
  const to = sockaddr(address, DNS_PORT)
  if (libc.bind(fd, to, to.length) < 0) fail('')
  if (carrier === 'tcp' && libc.listen(fd, BACKLOG) < 0) fail('')
  return fd
}

function failure(what: string, where: string, number: number): TsnetError {
  if (number === EADDRINUSE) return new TsnetError('conflict', `${what} is in use`)
  return new TsnetError(
    'kernel',
    `${what} cannot be opened ${where}`.trimEnd().concat(`: ${errnoName(number)}`),
  )
}
