/** Who is at the other end of a unix socket; source: unix(7), SO_PEERCRED. */

import type { Socket } from 'node:net'
import { libc, must } from './ffi.ts'
import { SOL_SOCKET } from './socket.ts'

const SO_PEERCRED = 17

/** The process that connected; 0 for one of another pid namespace. @throws SystemError */
export function peerPid(socket: Socket): number {
  const credentials = new Int32Array(3) // pid, uid, gid
  const length = new Uint8Array(Int32Array.of(credentials.byteLength).buffer)
  const bytes = new Uint8Array(credentials.buffer)
  must('getsockopt', libc.getsockopt(descriptorOf(socket), SOL_SOCKET, SO_PEERCRED, bytes, length))
  return credentials[0] ?? 0
}

/** Node shows it to nobody, but keeps it where it always has been; -1 once it is closed. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { _handle?: { fd?: number } | null }
  return handle?.fd ?? -1
}
