/**
 * What the kernel tells everybody: links, addresses and settings that change (rtnetlink), rules (nfnetlink).
 *
 * A socket that asks nothing, in groups of a protocol. The kernel writes the port of the socket that asked for a
 * change into what it tells of it; what one conversation of ours did is dropped by the kernel itself, by a program of
 * four instructions, before it would wake us.
 *
 * Source: linux/rtnetlink.h (RTNLGRP_*), linux/netfilter/nfnetlink.h (NFNLGRP_*), linux/filter.h.
 */

import { constants } from 'node:os'
import { Fd } from '../ffi/fd.ts'
import { addressOf, errno, libc, must, SystemError } from '../ffi/ffi.ts'
import {
  MSG_DONTWAIT,
  MSG_TRUNC,
  SO_ATTACH_FILTER,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_SOCKET,
  setReceiveBuffer,
} from '../ffi/socket.ts'
import { AF_NETLINK, NETLINK_ADD_MEMBERSHIP, SOL_NETLINK } from './constants.ts'
import { eachMessage, type Message } from './message.ts'

const { EAGAIN, EINTR, ENOBUFS } = constants.errno
const BUFFER = 64 * 1024
/** Room for what comes while this thread is busy. */
const ROOM = 1024 * 1024

export interface ListenerOptions {
  protocol: number
  groups: readonly number[]
  /** Port of a conversation of ours, see Netlink.port. */
  ignoring?: number
}

export class Listener implements Disposable {
  readonly #fd: Fd
  readonly #buffer = new Uint8Array(BUFFER)

  /** Hears from now on. @throws SystemError */
  constructor({ protocol, groups, ignoring }: ListenerOptions) {
    this.#fd = new Fd(must('socket', libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)))
    try {
      setReceiveBuffer(this.#fd.number, ROOM)
      if (ignoring !== undefined) ignore(this.#fd.number, ignoring)
      // Who has no port yet is passed over.
      const anywhere = Uint8Array.of(AF_NETLINK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) // struct sockaddr_nl
      must('bind', libc.bind(this.#fd.number, anywhere, anywhere.length))
      for (const group of groups) {
        const value = new Uint8Array(new Uint32Array([group]).buffer)
        must(
          'setsockopt',
          libc.setsockopt(this.#fd.number, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, value, value.length),
        )
      }
    } catch (thrown) {
      this.#fd.close()
      throw thrown
    }
  }

  /** To wait for. */
  get number(): number {
    return this.#fd.number
  }

  /**
   * Hands over all that has come; a message is valid until `hear` returns.
   * @returns false where some were lost
   */
  drain(hear: (message: Message) => void): boolean {
    let isWhole = true
    for (;;) {
      const length = libc.recv(this.#fd.number, this.#buffer, BUFFER, MSG_DONTWAIT | MSG_TRUNC)
      if (length > BUFFER) isWhole = false
      else if (length >= 0) for (const message of eachMessage(this.#buffer.subarray(0, length))) hear(message)
      else {
        const number = errno()
        if (number === EAGAIN) return isWhole
        if (number === ENOBUFS) isWhole = false
        else if (number !== EINTR) throw new SystemError('recv', number)
      }
    }
  }

  [Symbol.dispose](): void {
    this.#fd.close()
  }
}

/** BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JEQ | BPF_K, BPF_RET | BPF_K. */
const [LOAD, JUMP_IF_EQUAL, RETURN] = [0x20, 0x15, 0x06]
/** Of nlmsg_pid in struct nlmsghdr. */
const PORT_AT = 12
const ALL = 0xffffffff

/** A datagram tells of one request, so its first message says whose it was. */
function ignore(fd: number, port: number): void {
  const program: readonly (readonly [code: number, ifTrue: number, ifFalse: number, value: number])[] = [
    // Loaded as of network byte order.
    [LOAD, 0, 0, PORT_AT],
    [JUMP_IF_EQUAL, 0, 1, swapped(port)],
    [RETURN, 0, 0, 0],
    [RETURN, 0, 0, ALL],
  ]
  const code = new Uint8Array(64) // struct sock_filter[]
  const codeView = new DataView(code.buffer)
  for (const [i, [operation, ifTrue, ifFalse, value]] of program.entries()) {
    codeView.setUint16(i * 8, operation, true)
    codeView.setUint8(i * 8 + 2, ifTrue)
    codeView.setUint8(i * 8 + 3, ifFalse)
    codeView.setUint32(i * 8 + 4, value, true)
  }
  const head = new Uint8Array(16) // struct sock_fprog
  const view = new DataView(head.buffer)
  view.setUint16(0, program.length, true)
  view.setBigUint64(8, BigInt(addressOf(code)), true)
  must('setsockopt', libc.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, head, head.length))
}

function swapped(value: number): number {
  const view = new DataView(new ArrayBuffer(4))
  view.setUint32(0, value, true)
  return view.getUint32(0, false)
}
