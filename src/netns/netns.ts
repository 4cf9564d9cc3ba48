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
 * device and inode are its identity, and only the descriptor is used from then on: whoever swaps the path
 * afterwards changes nothing.
 */

import { closeSync, fstatSync, openSync, statSync } from 'node:fs'
import { libc, must } from '../ffi/ffi.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import type { NamespaceId } from '../model/network.ts'

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

  constructor(path: string, fd: number) {
    const { dev, ino } = fstatSync(fd)
    this.path = path
    this.id = { dev, ino }
    this.#fd = fd
  }

  /** For `IFLA_NET_NS_FD` and `setns`. */
  get fd(): number {
    return this.#fd
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
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
        ? `network namespace ${JSON.stringify(path)} not found`
        : `cannot open network namespace ${JSON.stringify(path)}: ${messageOf(cause)}`,
      { cause },
    )
  }
  if (!isNetworkNamespace(fd)) {
    closeSync(fd)
    throw new TsnetError('invalid-netns', `${JSON.stringify(path)} is not a network namespace`)
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

/** The inode of the namespace this thread is in; nothing is opened. */
export const inodeHere = (): number => statSync('/proc/thread-self/ns/net').ino

/** The namespace this thread is in. */
export const currentNetns = (): Netns => openNetns('/proc/thread-self/ns/net')

export const sameNamespace = (a: NamespaceId, b: NamespaceId): boolean => a.dev === b.dev && a.ino === b.ino

/**
 * Runs a synchronous function in the namespace and comes back, whatever it does. Costs about 2 µs.
 * Equivalent to: ip netns exec NS …
 */
export function inside<T>(netns: Netns, work: () => Sync<T>): Sync<T> {
  const home = openSync('/proc/thread-self/ns/net', 'r')
  try {
    must('setns', libc.setns(netns.fd, CLONE_NEWNET))
    try {
      return work()
    } finally {
      must('setns', libc.setns(home, CLONE_NEWNET))
    }
  } finally {
    closeSync(home)
  }
}
