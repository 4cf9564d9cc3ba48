/**
 * What the kernel tells everybody: links, addresses and settings that change (rtnetlink), rules (nfnetlink).
 *
 * A socket that asks nothing, in groups of a protocol. The kernel writes the port of the socket that asked for a
 * change into what it tells of it; what one conversation of ours did is dropped by the kernel itself, by a program of
 * some instructions, before it would wake us, and so is most of what links tell of themselves.
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
import {
  AF_BRIDGE,
  AF_NETLINK,
  IFF_UP,
  NETLINK_ADD_MEMBERSHIP,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_DELNEIGH,
  RTM_DELQDISC,
  RTM_DELROUTE,
  RTM_DELRULE,
  RTM_DELTFILTER,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWNETCONF,
  RTM_NEWQDISC,
  SOL_NETLINK,
} from './constants.ts'
import { eachMessage, type Message } from './message.ts'

const { EAGAIN, EINTR, ENOBUFS } = constants.errno
const BUFFER = 64 * 1024
/** Room for what comes while this thread is busy. */
const ROOM = 1024 * 1024

export interface ListenerOptions {
  protocol: number
  groups: readonly number[]
  /** What the kernel lets through. */
  filter: readonly FilterStep[]
}

export class Listener implements Disposable {
  readonly #fd: Fd
  readonly #buffer = new Uint8Array(BUFFER)

  /** Hears from now on. @throws SystemError */
  constructor({ protocol, groups, filter }: ListenerOptions) {
    this.#fd = new Fd(must('socket', libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)))
    try {
      setReceiveBuffer(this.#fd.number, ROOM)
      attach(this.#fd.number, filter)
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

  /** Lets through something else from now on. */
  refilter(filter: readonly FilterStep[]): void {
    attach(this.#fd.number, filter)
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

/** An instruction of linux/filter.h: what it does, how many it skips where its test holds and where not, a number. */
export type FilterStep = readonly [code: number, ifTrue: number, ifFalse: number, value: number]

/** BPF_LD | BPF_ABS of four, two and one bytes; BPF_JMP | BPF_K with BPF_JEQ and BPF_JSET; BPF_RET | BPF_K. */
const [LOAD, LOAD_2, LOAD_1, IF_EQUAL, IF_SET, RETURN] = [0x20, 0x28, 0x30, 0x15, 0x45, 0x06]
const [ALL, NONE] = [0xffffffff, 0]
/** Of nlmsg_len, nlmsg_type and nlmsg_pid in struct nlmsghdr; of family, flags and change in struct ifinfomsg behind it. */
const [LENGTH_AT, TYPE_AT, PORT_AT, FAMILY_AT, FLAGS_AT, CHANGE_AT] = [0, 4, 12, 16, 24, 28]
/** Of the interface in struct ifinfomsg and struct ndmsg; of who made a route in struct rtmsg. */
const [INDEX_AT, PROTOCOL_AT] = [20, 21]
/** What a link that is new says has changed. */
const EVERYTHING = 0xffffffff
/** Of a message that tells one setting of a link. */
const ONE_SETTING = 36

/** All that is told. */
export const EVERYTHING_TOLD: readonly FilterStep[] = [[RETURN, 0, 0, ALL]]

/** A datagram tells of one request, so its first message says whose it was. */
export const withoutPort = (port: number): FilterStep[] => [
  [LOAD, 0, 0, PORT_AT],
  [IF_EQUAL, 0, 1, swapped(port)],
  [RETURN, 0, 0, NONE],
  [RETURN, 0, 0, ALL],
]

/** Of what rtnetlink tells, what may mean that something is gone: while links are made, it tells much else. */
export const LOSSES: readonly FilterStep[] = [
  [LOAD_2, 0, 0, TYPE_AT],
  [IF_EQUAL, 14, 0, swapped(RTM_DELLINK) >>> 16],
  [IF_EQUAL, 13, 0, swapped(RTM_DELADDR) >>> 16],
  [IF_EQUAL, 12, 0, swapped(RTM_DELQDISC) >>> 16],
  [IF_EQUAL, 11, 0, swapped(RTM_NEWQDISC) >>> 16],
  [IF_EQUAL, 10, 0, swapped(RTM_DELTFILTER) >>> 16],
  [IF_EQUAL, 7, 0, swapped(RTM_NEWNETCONF) >>> 16],
  [IF_EQUAL, 0, 9, swapped(RTM_NEWLINK) >>> 16],
  // Of links those that went down. (Ports of bridges say the same of themselves with another family.)
  [LOAD, 0, 0, CHANGE_AT],
  [IF_EQUAL, 7, 0, EVERYTHING],
  [LOAD_1, 0, 0, CHANGE_AT],
  [IF_SET, 0, 5, IFF_UP],
  [LOAD_1, 0, 0, FLAGS_AT],
  [IF_SET, 3, 2, IFF_UP],
  [LOAD, 0, 0, LENGTH_AT],
  [IF_EQUAL, 0, 1, swapped(ONE_SETTING)],
  [RETURN, 0, 0, ALL],
  [RETURN, 0, 0, NONE],
]

/** Of what rtnetlink tells, settings of ports of bridges. */
export const PORTS: readonly FilterStep[] = [
  [LOAD_2, 0, 0, TYPE_AT],
  [IF_EQUAL, 0, 3, swapped(RTM_NEWLINK) >>> 16],
  [LOAD_1, 0, 0, FAMILY_AT],
  [IF_EQUAL, 0, 1, AF_BRIDGE],
  [RETURN, 0, 0, ALL],
  [RETURN, 0, 0, NONE],
]

/**
 * Of what rtnetlink tells: routes of a protocol and rules that go, addresses that come or go, and what happens to some links
 * and to neighbours on them.
 */
export function lossesOf(protocol: number, links: readonly number[]): FilterStep[] {
  const [route, link, none, pass] = [9, 11, 12 + links.length, 13 + links.length]
  const to = (step: number, at: number): number => step - at - 1
  return [
    [LOAD_2, 0, 0, TYPE_AT],
    [IF_EQUAL, to(route, 1), 0, swapped(RTM_DELROUTE) >>> 16],
    [IF_EQUAL, to(pass, 2), 0, swapped(RTM_DELRULE) >>> 16],
    [IF_EQUAL, to(pass, 3), 0, swapped(RTM_NEWADDR) >>> 16],
    [IF_EQUAL, to(pass, 4), 0, swapped(RTM_DELADDR) >>> 16],
    [IF_EQUAL, to(link, 5), 0, swapped(RTM_NEWLINK) >>> 16],
    [IF_EQUAL, to(link, 6), 0, swapped(RTM_DELLINK) >>> 16],
    [IF_EQUAL, to(link, 7), 0, swapped(RTM_DELNEIGH) >>> 16],
    [RETURN, 0, 0, NONE],
    [LOAD_1, 0, 0, PROTOCOL_AT],
    [IF_EQUAL, to(pass, 10), to(none, 10), protocol],
    [LOAD, 0, 0, INDEX_AT],
    ...links.map((index, i): FilterStep => [IF_EQUAL, to(pass, 12 + i), 0, swapped(index)]),
    [RETURN, 0, 0, NONE],
    [RETURN, 0, 0, ALL],
  ]
}

function attach(fd: number, program: readonly FilterStep[]): void {
  const code = new Uint8Array(Math.max(64, 8 * program.length)) // struct sock_filter[]
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

/** A number as it is loaded: what the kernel wrote in the order of this machine is taken for that of networks. */
function swapped(value: number): number {
  const view = new DataView(new ArrayBuffer(4))
  view.setUint32(0, value, true)
  return view.getUint32(0, false)
}
