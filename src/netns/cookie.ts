/** The number that the kernel gives to a network namespace, and in one boot to no other (SO_NETNS_COOKIE, Linux 5.14). */

import { Fd } from '../ffi/fd.ts'
import { libc, must } from '../ffi/ffi.ts'
import { AF_INET } from '../ffi/sockaddr.ts'
import { SO_NETNS_COOKIE, SOCK_CLOEXEC, SOCK_DGRAM, SOL_SOCKET } from '../ffi/socket.ts'

/** Of the network namespace this thread is in. @throws SystemError; `ENOPROTOOPT` where the kernel has none */
export function cookieHere(): bigint {
  using socket = new Fd(must('socket', libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)))
  const [value, length] = [new Uint8Array(8), Uint8Array.of(8, 0, 0, 0)]
  must('SO_NETNS_COOKIE', libc.getsockopt(socket.number, SOL_SOCKET, SO_NETNS_COOKIE, value, length))
  return new DataView(value.buffer).getBigUint64(0, true)
}
