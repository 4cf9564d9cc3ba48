/**
 * Kernel settings under /proc/sys/net of the thread's network namespace.
 *
 * Only names made of our own constants and of checked parts come here. The file is opened without
 * following a link at its end and must lie on procfs: in a container's mount namespace something else
 * could be mounted over it.
 */

import { closeSync, constants, existsSync, openSync, readSync, writeSync } from 'node:fs'
import { libc, must } from '../ffi/ffi.ts'
import { hasCode } from '../model/errors.ts'
import { tellChange } from '../model/surroundings.ts'

const PROC_SUPER_MAGIC = 0x9fa0 // linux/magic.h

/**
 * Reads a setting, such as `net/ipv4/ip_forward`.
 * @returns its text without the newline; undefined where the kernel does not have it
 */
export function readSysctl(name: string): string | undefined {
  return withFile(name, constants.O_RDONLY, fd => {
    const buffer = Buffer.alloc(4096)
    return buffer.toString('utf8', 0, readSync(fd, buffer)).trim()
  })
}

/** True where the kernel has the setting. */
export const hasSysctl = (name: string): boolean => existsSync(`/proc/sys/${name}`)

/**
 * Writes a setting without looking at it first.
 * Equivalent to: sysctl -w NAME=VALUE
 * @returns false where the kernel does not have the setting (IPv6 off, say)
 * @throws Node's error with `EROFS` or `EACCES` where /proc/sys is read-only
 */
export function setSysctl(name: string, value: string): boolean {
  tellChange(() => `sysctl -w ${name}=${value}`)
  return withFile(name, constants.O_WRONLY, fd => writeSync(fd, value)) !== undefined
}

/**
 * Writes a setting unless it has that value already.
 * Equivalent to: sysctl -w NAME=VALUE
 * @returns the value it had, or undefined where the kernel does not have the setting (IPv6 off, say)
 * @throws Node's error with `EROFS` or `EACCES` where /proc/sys is read-only
 */
export function writeSysctl(name: string, value: string): string | undefined {
  const before = readSysctl(name)
  if (before !== undefined && before !== value) setSysctl(name, value)
  return before
}

function withFile<T>(name: string, flags: number, work: (fd: number) => T): T | undefined {
  const path = `/proc/sys/${name}`
  let fd: number
  try {
    fd = openSync(path, flags | constants.O_NOFOLLOW)
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return undefined
    throw thrown
  }
  try {
    const statfs = new Uint8Array(120)
    must('fstatfs', libc.fstatfs(fd, statfs))
    if (new DataView(statfs.buffer).getUint32(0, true) !== PROC_SUPER_MAGIC) {
      throw new Error(`${path} is not on procfs`)
    }
    return work(fd)
  } finally {
    closeSync(fd)
  }
}
