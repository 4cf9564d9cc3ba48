/** Who is at the other end of a unix socket; source: unix(7), SO_PEERCRED. */

import type { Socket } from 'node:net'
import { libc, must } from './ffi.ts'
import { SOL_SOCKET } from './socket.ts'

const SO_PEERCRED = 17

const POLLHUP = 0x10

/** The process that connected; 0 for one of another pid namespace. @throws SystemError */
export const peerPid = (socket: Socket): number => peerOf(socket).pid

/** As peerPid, with the user it was then. */
export function peerOf(socket: Socket): { pid: number; uid: number } {
  const credentials = new Int32Array(3) // pid, uid, gid
  const length = new Uint8Array(Int32Array.of(credentials.byteLength).buffer)
  const bytes = new Uint8Array(credentials.buffer)
  must('getsockopt', libc.getsockopt(descriptorOf(socket), SOL_SOCKET, SO_PEERCRED, bytes, length))
  const [pid = 0, uid = -1] = credentials
  return { pid, uid }
}

/** False once the other end is closed, whatever is still to be read. */
export function isPeerThere(socket: Socket): boolean {
  const poll = Int16Array.of(0, 0, 0, 0) // struct pollfd
  new Int32Array(poll.buffer)[0] = descriptorOf(socket)
  libc.poll(new Uint8Array(poll.buffer), 1, 0)
  return ((poll[3] ?? 0) & POLLHUP) === 0
}

/** Node shows it to nobody, but keeps it where it always has been; -1 once it is closed. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { _handle?: { fd?: number } | null }
  return handle?.fd ?? -1
}
