/**
 * Our own memory beside host-local's files: `<dataDir>/.tsnet/<network>/<owner tag>`, one file an owner.
 *
 * It says which addresses the owner has, so that releasing needs no search, and by what its end can be
 * recognised. It is written before the leases and removed after them: there is never a lease of ours
 * without it. It replaces the last one by rename(2), so within a boot it is whole. One that cannot be read and was
 * written in an earlier boot was *torn* by a power loss, which its owner did not survive. Any other is *lost*: somebody
 * damaged it, its owner may well live, and its lease is kept as those of host-local are. No network can be called
 * `.tsnet`.
 *
 * When it was written its file's time tells, which is none of the day: clocks jump, and a living owner's record must not
 * look older than the boot. It is a number made of the boot's id. Whoever writes into the file gives it another, and so
 * does a file system that keeps no microseconds: nothing is known then, and it is lost.
 */

import { lstatSync, readdirSync, renameSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from '../ffi/folder.ts'
import { readRegular } from '../ffi/regular-file.ts'
import { type Ip, tryParseIp } from '../model/address/address.ts'
import { hasCode, TsnetError } from '../model/errors.ts'
import { listOf, optional, parsed, record, text, whole } from '../model/json/shape.ts'
import { readStored, storedText } from '../model/json/stored.ts'
import { type AttachmentKey, type NamespaceId, ownerTag } from '../model/network.ts'
import { sha256 } from '../model/sha256.ts'
import { currentBootId } from '../netns/alive.ts'
import { clearPlace, isSetAside, writeNew } from './places.ts'
import { leaseText } from './store.ts'

/** Who asks for addresses, and how its end can be recognised. */
export interface LeaseOwner extends AttachmentKey {
  /** Absent: the caller knows of none, and only another boot id ends the lease. */
  netns?: { path: string } & NamespaceId
  /** The kernel's boot_id. */
  bootId: string
}

/** An owner and its addresses, as they are on disk. */
export interface LeaseRecord extends LeaseOwner {
  addresses: Ip[]
}

/** A record, or why there is none to be read. */
export type KnownRecord = LeaseRecord | 'torn' | 'lost'

export class RecordStore {
  readonly directory: string

  constructor(directory: string) {
    this.directory = directory
  }

  /**
   * Undefined where there is none.
   * @throws TsnetError `io` for one that a newer build wrote
   */
  read(key: AttachmentKey): KnownRecord | undefined {
    const path = this.#path(key)
    const content = readRegular(path)
    if (content === undefined) return undefined
    const stored = 'text' in content ? readStored<LeaseRecord>(content.text, SHAPE, path) : content
    if ('value' in stored && isSameOwner(stored.value, key)) return stored.value
    return isOfEarlierBoot(path) ? 'torn' : 'lost'
  }

  /** As read, of somebody else's: what a newer build wrote is as good as lost to us, and stays. */
  peek(key: AttachmentKey): KnownRecord | undefined {
    try {
      return this.read(key)
    } catch (thrown) {
      if (thrown instanceof TsnetError) return 'lost'
      throw thrown
    }
  }

  write(record: LeaseRecord): void {
    const path = this.#path(record)
    // Half a microsecond more, since a number of seconds is not exact to the last.
    const time = secondsOf(record.bootId) + (Number(MARK_US) + 0.5) / 1e6
    const write = () => {
      writeNew(`${path}.new`, storedText(record))
      utimesSync(`${path}.new`, time, time)
    }
    try {
      write()
    } catch (thrown) {
      if (!hasCode(thrown, 'ENOENT')) throw thrown
      makeFolder(this.directory, 0o700)
      write()
    }
    try {
      renameSync(`${path}.new`, path)
    } catch (thrown) {
      if (!hasCode(thrown, 'EISDIR', 'ENOTEMPTY', 'EEXIST')) throw thrown
      clearPlace(path)
      renameSync(`${path}.new`, path)
    }
  }

  /** Writes a lease's text to a file that can be linked to its place, and returns the file's path. */
  prepareLease(key: AttachmentKey): string {
    const path = `${this.#path(key)}.lease`
    // One left by a kill may be a lease already, by link: it must not be written to.
    clearPlace(path)
    writeNew(path, leaseText(key))
    return path
  }

  discardLease(key: AttachmentKey): void {
    clearPlace(`${this.#path(key)}.lease`)
  }

  remove(key: AttachmentKey): void {
    this.discardLease(key)
    clearPlace(`${this.#path(key)}.new`)
    clearPlace(this.#path(key))
  }

  /** Removes all files but the records of these owners; only under the lock. */
  keepOnly(keys: AttachmentKey[]): void {
    const kept = new Set(keys.map(ownerTag))
    for (const name of this.#names()) {
      if (!kept.has(name) && !isSetAside(name)) clearPlace(join(this.directory, name))
    }
  }

  #names(): string[] {
    try {
      return readdirSync(this.directory)
    } catch (thrown) {
      if (hasCode(thrown, 'ENOENT')) return []
      throw thrown
    }
  }

  #path(key: AttachmentKey): string {
    return join(this.directory, ownerTag(key))
  }
}

/** The microseconds of a record's time, by which it is known to be ours. */
const MARK_US = 381_966n

/** The seconds of a record's time, of 28 bits. */
const secondsOf = (bootId: string): number => Number.parseInt(sha256(bootId).slice(0, 7), 16)

/** True where that is certain. */
function isOfEarlierBoot(path: string): boolean {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  if (stats === undefined) return false
  const us = stats.mtimeNs / 1000n
  return us % 1_000_000n === MARK_US && us / 1_000_000n !== BigInt(secondsOf(currentBootId()))
}

const isSameOwner = (a: AttachmentKey, b: AttachmentKey): boolean =>
  a.network === b.network && a.containerId === b.containerId && a.ifname === b.ifname

const SHAPE = record({
  network: text,
  containerId: text,
  ifname: text,
  bootId: text,
  netns: optional(record({ path: text, dev: whole, ino: whole, cookie: optional(text) })),
  addresses: listOf(parsed(ip => tryParseIp(ip) === ip || undefined, 'an address')),
})

/** Where our records of all networks of a directory are; no network is called so. */
export const recordsFolder = (dataDir: string): string => join(dataDir, '.tsnet')
