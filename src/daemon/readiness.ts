/**
 * What a service manager wants to hear and to hand over.
 * Source: sd_notify(3) (a datagram to NOTIFY_SOCKET), sd_listen_fds(3) (LISTEN_PID, LISTEN_FDS; from 3 on).
 */

import { libc, must } from '../ffi/ffi.ts'
import { SOCK_CLOEXEC, SOCK_DGRAM } from '../ffi/socket.ts'

const AF_UNIX = 1
const FIRST_FD = 3

/** Tells the service manager, where there is one: `READY=1`, `STOPPING=1`, `MAINPID=…`. */
export function notify(state: string, path = process.env.NOTIFY_SOCKET): void {
  if (path === undefined || path === '') return
  const address = Buffer.concat([Buffer.of(AF_UNIX, 0), Buffer.from(path.replace(/^@/, '\0'))])
  const fd = must('socket', libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0))
  try {
    if (path.startsWith('/'))
      must('connect', libc.connect(fd, Buffer.concat([address, Buffer.of(0)]), address.length + 1))
    else must('connect', libc.connect(fd, address, address.length))
    const message = Buffer.from(state)
    must('send', libc.send(fd, message, message.length, 0))
  } finally {
    libc.close(fd)
  }
}

/** The listening socket that a service manager opened for us, if it did. */
export function activatedSocket(environment: NodeJS.ProcessEnv = process.env): number | undefined {
  const { LISTEN_PID, LISTEN_FDS } = environment
  return Number(LISTEN_PID) === process.pid && Number(LISTEN_FDS) >= 1 ? FIRST_FD : undefined
}
