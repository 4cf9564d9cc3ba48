/**
 * The netlink socket itself.
 *
 * It is connected to the kernel, so that the kernel refuses datagrams from anybody else: whoever holds
 * CAP_NET_ADMIN in the namespace, such as a container's root, could answer in the kernel's place.
 */

import { closeSync, fstatSync } from 'node:fs'
import { constants } from 'node:os'
import { Fd } from '../ffi/fd.ts'
import { aside, errno, libc, must, SystemError } from '../ffi/ffi.ts'
import {
  MSG_DONTWAIT,
  MSG_TRUNC,
  SO_RCVTIMEO,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_SOCKET,
  setSendBuffer,
} from '../ffi/socket.ts'
import * as k from './constants.ts'

/** A socket, or in tests a script, that carries datagrams to the kernel and back. */
export interface Transport extends Disposable {
  /** Of the last message that was sent on it, where it is not new. */
  sequence?: number
  /** Of a conversation that has ended: nothing of its answers is left in it. */
  isQuiet?: boolean
  /** @throws SystemError `EMSGSIZE`: more than the socket may take at once */
  send(datagram: Uint8Array): void
  /** As send, on another thread: for requests over which the kernel waits. Absent: there is no other thread. */
  sendAside?(datagram: Uint8Array): Promise<void>
  /** The inode of its network namespace. */
  namespace?(): number
  /** By which the kernel knows it. */
  port?(): number
  /**
   * The next datagram; valid until the next call.
   * @param wait when nothing is there: a while, or not at all
   * @throws SystemError `EAGAIN` when nothing is there, `ENOBUFS` when the kernel lost something
   */
  receive(wait: boolean): Uint8Array
  /** As receive without waiting; undefined when nothing is there, which is no error where silence is success. */
  poll(): Uint8Array | undefined
}

const { EAGAIN, EINTR, EMSGSIZE, ENOPROTOOPT } = constants.errno
const SIOCGSKNS = 0x894c // linux/sockios.h

/** How long `receive` waits. The kernel answers at once; this is for the case that it never does. */
export const RECEIVE_TIMEOUT_S = 10

/** Of a datagram in the socket's buffer; the kernel doubles what it is asked for. */
const SEND_OVERHEAD = 1024

/** The kernel builds answers of at most 32 KiB. */
const BUFFER = 64 * 1024

/** Buffers of sockets that are closed, for those that are opened: a container's are used for a moment. */
const spare: Uint8Array[] = []
const SPARE_AT_MOST = 4

/** A socket of a netlink protocol in the namespace this thread is in. @throws SystemError */
export function openSocket(protocol: number): Transport {
  const fd = new Fd(must('socket', libc.socket(k.AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)))
  try {
    // An option that the kernel does not know (strict checking came with 4.20) is done without: what is listed
    // is filtered here as well.
    for (const option of [k.NETLINK_EXT_ACK, k.NETLINK_CAP_ACK, k.NETLINK_GET_STRICT_CHK]) {
      const on = Uint8Array.of(1, 0, 0, 0)
      const result = libc.setsockopt(fd.number, k.SOL_NETLINK, option, on, on.length)
      if (result < 0 && errno() !== ENOPROTOOPT) must('setsockopt', result)
    }
    const timeout = new Uint8Array(new BigInt64Array([BigInt(RECEIVE_TIMEOUT_S), 0n]).buffer) // struct timeval
    must('setsockopt', libc.setsockopt(fd.number, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length))
    const kernel = Uint8Array.of(k.AF_NETLINK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) // struct sockaddr_nl, port 0
    must('connect', libc.connect(fd.number, kernel, kernel.length))
  } catch (thrown) {
    fd.close()
    throw thrown
  }
  const buffer = spare.pop() ?? new Uint8Array(BUFFER)
  const send = (datagram: Uint8Array): void => {
    for (let isWide = false; libc.send(fd.number, datagram, datagram.length, 0) < 0; ) {
      const number = errno()
      if (number === EINTR) continue
      if (number !== EMSGSIZE || isWide) throw new SystemError('send', number)
      isWide = true
      // The kernel adds what it keeps beside the datagram.
      setSendBuffer(fd.number, datagram.length + SEND_OVERHEAD)
    }
  }
  const read = (wait: boolean): Uint8Array | undefined => {
    for (;;) {
      const length = libc.recv(fd.number, buffer, BUFFER, MSG_TRUNC | (wait ? 0 : MSG_DONTWAIT))
      if (length > BUFFER) throw new SystemError('recv', EMSGSIZE)
      if (length >= 0) return buffer.subarray(0, length)
      const number = errno()
      if (number === EAGAIN) return undefined
      if (number !== EINTR) throw new SystemError('recv', number)
    }
  }
  return {
    send,
    namespace() {
      const namespace = must('ioctl', libc.ioctl(fd.number, SIOCGSKNS, 0))
      try {
        return fstatSync(namespace).ino
      } finally {
        closeSync(namespace)
      }
    },
    port() {
      const address = new Uint8Array(12) // struct sockaddr_nl
      must('getsockname', libc.getsockname(fd.number, address, Uint8Array.of(address.length, 0, 0, 0)))
      return new DataView(address.buffer).getUint32(4, true)
    },
    async sendAside(datagram) {
      const sent = await aside('send', fd.number, datagram, datagram.length, 0)
      // The kernel did not take it, and why is known to that thread alone.
      if (sent < 0) send(datagram)
    },
    receive(wait) {
      const datagram = read(wait)
      if (datagram === undefined) throw new SystemError('recv', EAGAIN)
      return datagram
    },
    poll: () => read(false),
    [Symbol.dispose]() {
      if (fd.isOpen && spare.length < SPARE_AT_MOST) spare.push(buffer)
      fd.close()
    },
  }
}
