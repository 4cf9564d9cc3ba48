/**
 * A network namespace is a synchronous scope.
 *
 *     const web = openNetns('/run/netns/web')
 *     const socket = inside(web, () => openSomething())   // the socket stays in web
 *     socket.use()                                        // from outside
 *
 * `setns(2)` moves the calling thread and no other, so nothing may be awaited inside: another task of the
 * event loop would run in the wrong namespace. The type `Sync` makes an async callback a compile error.
 * What was opened inside stays bound to that namespace. `/proc/sys/net` follows the thread, `/sys/class/net`
 * does not (it shows the namespace of its mount); so links are asked for over netlink only. That it is so is
 * shown in test/netns/assumptions: setns-is-per-thread, a-socket-stays-in-its-namespace,
 * proc-sys-net-follows-the-thread.
 *
 * A path is looked up once. The descriptor is checked to be a network namespace (nsfs, CLONE_NEWNET), its
 * device and inode are its identity while it is open, and only the descriptor is used from then on: whoever swaps
 * the path afterwards changes nothing. What is written down holds nothing open, so it has the kernel's cookie too.
 */

import { closeSync, fstatSync, openSync } from 'node:fs'
import { exit } from '../ffi/exit.ts'
import { errno, libc, must, SystemError } from '../ffi/ffi.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import { shownPath } from '../model/json/shown.ts'
import type { NamespaceId } from '../model/network.ts'
import { cookieHere } from './cookie.ts'

/** A value that is not a promise. */
export type Sync<T> = T extends PromiseLike<unknown> ? never : T

const CLONE_NEWNET = 0x40000000
const NSFS_MAGIC = 0x6e736673 // linux/magic.h
const NS_GET_NSTYPE = 0xb703 // linux/nsfs.h

/** An open network namespace. */
export class Netns implements Disposable {
  readonly path: string
  readonly id: NamespaceId
  readonly #fd: number
  readonly #lender: Netns | undefined
  #identity: NamespaceId | undefined
  /** Called when it is closed: what is kept in it goes with it. */
  onClose: () => void = () => {}

  /** @param lender who closes the descriptor, instead of this */
  constructor(path: string, fd: number, lender?: Netns) {
    this.path = path
    this.id = lender?.id ?? idOf(fd)
    this.#fd = fd
    this.#lender = lender
  }

  /** What to write down of it, so that it is known again; five system calls, once. */
  get identity(): NamespaceId {
    this.#identity ??= { ...this.id, ...cookieOf(this) }
    return this.#identity
  }

  /** For `IFLA_NET_NS_FD` and `setns`. */
  get fd(): number {
    return this.#fd
  }

  [Symbol.dispose](): void {
    if (this.#lender !== undefined) return
    try {
      this.onClose()
    } finally {
      closeSync(this.#fd)
    }
  }
}

function idOf(fd: number): NamespaceId {
  const { dev, ino } = fstatSync(fd)
  return { dev, ino }
}

/** Nothing where the kernel has no such thing, or does not let us in: then the rest has to do. */
function cookieOf(netns: Netns): Pick<NamespaceId, 'cookie'> {
  try {
    return { cookie: String(inside(netns, cookieHere)) }
  } catch (thrown) {
    if (hasCode(thrown, 'ENOPROTOOPT', 'EPERM')) return {}
    throw thrown
  }
}

/**
 * Opens the namespace at a path.
 * @throws TsnetError `invalid-netns`: no such file, or not a network namespace; `io` where the kernel is short
 *   of something, which says nothing about the namespace
 */
export function openNetns(path: string): Netns {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (cause) {
    const gone = hasCode(cause, 'ENOENT', 'ENOTDIR')
    throw new TsnetError(
      hasCode(cause, 'EMFILE', 'ENFILE', 'ENOMEM') ? 'io' : 'invalid-netns',
      gone
        ? `network namespace ${shownPath(path)} not found`
        : `cannot open network namespace ${shownPath(path)}: ${messageOf(cause)}`,
      { cause },
    )
  }
  if (!isNetworkNamespace(fd)) {
    closeSync(fd)
    throw new TsnetError('invalid-netns', `${shownPath(path)} is not a network namespace`)
  }
  return new Netns(path, fd)
}

/**
 * As openNetns, but undefined where there is no namespace any more (no file, a plain file, another kind).
 * @throws TsnetError `io`
 */
export function tryOpenNetns(path: string): Netns | undefined {
  try {
    return openNetns(path)
  } catch (thrown) {
    if (hasCode(thrown, 'invalid-netns')) return undefined
    throw thrown
  }
}

function isNetworkNamespace(fd: number): boolean {
  const statfs = new Uint8Array(120) // struct statfs; f_type is its first word
  must('fstatfs', libc.fstatfs(fd, statfs))
  const type = new DataView(statfs.buffer).getUint32(0, true)
  return type === NSFS_MAGIC && libc.ioctl(fd, NS_GET_NSTYPE, 0) === CLONE_NEWNET
}

const OWN = '/proc/thread-self/ns/net'

/** The one this thread began in, opened when it is first needed, for as long as there is the thread. */
let home: Netns | undefined
/** The one this thread is in, while it is not at home: nothing but `inside` takes it elsewhere. */
let abroad: Netns | undefined

/** The namespace this thread is in, as whoever entered it holds it; not to be closed. */
export function netnsHere(): Netns {
  if (abroad !== undefined) return abroad
  home ??= openNetns(OWN)
  return home
}

/** True while this thread is where it began. */
export const isAtHome = (): boolean => abroad === undefined

/** The inode of the namespace this thread is in. */
export const inodeHere = (): number => netnsHere().id.ino

/** The namespace this thread is in. That of the thread itself is lent: it stays open, whoever closes what he got. */
export const currentNetns = (): Netns => {
  if (abroad !== undefined) return openNetns(OWN)
  const own = netnsHere()
  return new Netns(OWN, own.fd, own)
}

/** By cookie, too, where both have one. */
export const sameNamespace = (a: NamespaceId, b: NamespaceId): boolean =>
  a.dev === b.dev &&
  a.ino === b.ino &&
  (a.cookie === undefined || b.cookie === undefined || a.cookie === b.cookie)

/** True when an open namespace is the one that was written down. */
export const isRecorded = (netns: Netns, recorded: NamespaceId): boolean =>
  sameNamespace(netns.id, recorded) &&
  (recorded.cookie === undefined || sameNamespace(netns.identity, recorded))

/**
 * Runs a synchronous function in the namespace and comes back, whatever it does. Costs about 2 µs.
 * Equivalent to: ip netns exec NS …
 */
export function inside<T>(netns: Netns, work: () => Sync<T>): Sync<T> {
  const before = netnsHere()
  must('setns', libc.setns(netns.fd, CLONE_NEWNET))
  abroad = netns
  try {
    return work()
  } finally {
    comeBack(before)
    abroad = before === home ? undefined : before
  }
}

/** How often it is tried to come back: memory that lacked may be there again. */
const ATTEMPTS = 100

/**
 * A thread that cannot come back would take things down, or set them, in the wrong namespace: then nothing is done any
 * more. What was begun is written down, and whoever comes next sees to it.
 */
function comeBack(before: Netns): void {
  for (let attempt = 1; libc.setns(before.fd, CLONE_NEWNET) < 0; attempt++) {
    if (attempt < ATTEMPTS) continue
    const why = new SystemError('setns', errno()).message
    process.stderr.write(
      `tsnet: there is no way back into the namespace of this process (${why}); it ends here\n`,
    )
    exit.now(1)
  }
}
