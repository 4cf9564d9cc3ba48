/**
 * Our own memory beside host-local's files: `<dataDir>/.tsnet/<network>/<owner tag>`, one file an owner.
 *
 * It says which addresses the owner has, so that releasing needs no search, and by what its end can be
 * recognised. It is written before the leases and removed after them: there is never a lease of ours
 * without it. It replaces the last one by rename(2), so within a boot it is whole; one that cannot be read
 * survived a power loss, and its owner did not. No network can be called `.tsnet`.
 */

import { readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from '../ffi/folder.ts'
import { removeFile } from '../ffi/remove.ts'
import { type Ip, tryParseIp } from '../model/address/address.ts'
import { hasCode } from '../model/errors.ts'
import { type AttachmentKey, type NamespaceId, ownerTag } from '../model/network.ts'
import { leaseText, readIfThere } from './store.ts'

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

export class RecordStore {
  readonly directory: string

  constructor(directory: string) {
    this.directory = directory
  }

  /** @returns `unreadable` for one that a power loss tore; undefined where there is none */
  read(key: AttachmentKey): LeaseRecord | 'unreadable' | undefined {
    const text = readIfThere(this.#path(key))
    if (text === undefined) return undefined
    const record = parseRecord(text)
    return record !== undefined && isSameOwner(record, key) ? record : 'unreadable'
  }

  write(record: LeaseRecord): void {
    const path = this.#path(record)
    const text = JSON.stringify(record)
    try {
      writeFileSync(`${path}.new`, text, { mode: 0o600 })
    } catch (thrown) {
      if (!hasCode(thrown, 'ENOENT')) throw thrown
      makeFolder(this.directory, 0o700)
      writeFileSync(`${path}.new`, text, { mode: 0o600 })
    }
    renameSync(`${path}.new`, path)
  }

  /** Writes a lease's text to a file that can be linked to its place, and returns the file's path. */
  prepareLease(key: AttachmentKey): string {
    const path = `${this.#path(key)}.lease`
    // One left by a kill may be a lease already, by link: it must not be written to.
    removeFile(path)
    writeFileSync(path, leaseText(key), { mode: 0o600, flag: 'wx' })
    return path
  }

  discardLease(key: AttachmentKey): void {
    removeFile(`${this.#path(key)}.lease`)
  }

  remove(key: AttachmentKey): void {
    this.discardLease(key)
    removeFile(`${this.#path(key)}.new`)
    removeFile(this.#path(key))
  }

  /** Removes all files but the records of these owners; only under the lock. */
  keepOnly(keys: AttachmentKey[]): void {
    const kept = new Set(keys.map(ownerTag))
    for (const name of this.#names()) {
      if (!kept.has(name)) removeFile(join(this.directory, name))
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

const isSameOwner = (a: AttachmentKey, b: AttachmentKey): boolean =>
  a.network === b.network && a.containerId === b.containerId && a.ifname === b.ifname

function parseRecord(text: string): LeaseRecord | undefined {
  let value: Partial<LeaseRecord> | null
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const { network, containerId, ifname, bootId, netns, addresses } = value ?? {}
  const strings = [network, containerId, ifname, bootId].every(field => typeof field === 'string')
  const whole = strings && Array.isArray(addresses) && addresses.every(ip => tryParseIp(String(ip)) === ip)
  if (!whole || (netns !== undefined && !isNetns(netns))) return undefined
  return value as LeaseRecord
}

function isNetns(value: unknown): boolean {
  const { path, dev, ino, cookie } = (value ?? {}) as Record<string, unknown>
  const hasCookie = cookie === undefined || typeof cookie === 'string'
  return typeof path === 'string' && Number.isInteger(dev) && Number.isInteger(ino) && hasCookie
}
