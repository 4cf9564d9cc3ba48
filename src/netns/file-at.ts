/**
 * Which file is at a path, for whoever looks at thousands: Node's own look makes four dates of each, which takes longer than
 * the kernel does.
 */

import { constants } from 'node:os'
import { errno, libc, SystemError } from '../ffi/ffi.ts'

export interface FileAt {
  /** Of its file system, as stat(2) has it. */
  dev: number
  ino: number
  /** When it was last changed, milliseconds since 1970. */
  ctimeMs: number
}

const { ENOENT, ENOTDIR } = constants.errno
const AT_FDCWD = -100
/** STATX_INO and STATX_CTIME: the device is always told. */
const WANTED = 0x100 | 0x80

/** struct statx, linux/stat.h: where it has what is wanted. */
const LENGTH = 256
const INO = 32
const CTIME = 96
const CTIME_NANOSECONDS = 104
const MAJOR = 136
const MINOR = 140

const buffer = new Uint8Array(LENGTH)
const fields = new DataView(buffer.buffer)
const isLittle = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/**
 * Links are followed.
 * @returns undefined where there is none
 * @throws SystemError where it cannot be looked at
 */
export function fileAt(path: string): FileAt | undefined {
  if (libc.statx(AT_FDCWD, path, 0, WANTED, buffer) < 0) {
    const number = errno()
    if (number === ENOENT || number === ENOTDIR) return undefined
    throw new SystemError(`statx ${JSON.stringify(path)}`, number)
  }
  return {
    dev: deviceOf(fields.getUint32(MAJOR, isLittle), fields.getUint32(MINOR, isLittle)),
    ino: Number(fields.getBigUint64(INO, isLittle)),
    ctimeMs:
      Number(fields.getBigInt64(CTIME, isLittle)) * 1_000 +
      fields.getUint32(CTIME_NANOSECONDS, isLittle) / 1_000_000,
  }
}

/** makedev(3), which spreads both numbers over each other; larger than 32 bits. */
const deviceOf = (major: number, minor: number): number =>
  Math.floor(major / 0x1000) * 2 ** 44 +
  Math.floor(minor / 0x100) * 2 ** 20 +
  (major % 0x1000) * 0x100 +
  (minor % 0x100)
