/**
 * The two directories of a network, host-local's and ours beside it, and what is done under their lock.
 */

import { join } from 'node:path'
import { type FileLock, lockFile } from '../ffi/lock.ts'
import type { Ip } from '../model/address/address.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import type { AttachmentKey } from '../model/network.ts'
import { type KnownRecord, RecordStore, recordsFolder } from './record.ts'
import { type Holder, type LeaseContent, LeaseStore } from './store.ts'

export class NetworkFiles {
  readonly network: string
  readonly leases: LeaseStore
  readonly records: RecordStore
  /** Every lease has our record: so it was left, and nobody has changed the folder since. */
  #allOurs = false

  /** @throws TsnetError `invalid-config` for a name that would lead out of dataDir, or to our own files */
  constructor(dataDir: string, network: string) {
    if (!/^[A-Za-z0-9][\w.-]*$/.test(network)) {
      throw new TsnetError('invalid-config', `name: ${shown(network)} is not a network name`)
    }
    this.network = network
    this.leases = new LeaseStore(join(dataDir, network))
    this.records = new RecordStore(join(recordsFolder(dataDir), network))
  }

  /**
   * Runs work under host-local's lock, which is flock(2) on the file `lock` among the leases; makes the
   * directory when it is missing. The lock keeps order, not uniqueness: link(2) decides who gets an address.
   * @throws TsnetError `try-again` when the lock stays held; `io` for all that goes wrong with files
   */
  async locked<T>(work: () => T): Promise<T> {
    try {
      using _lock = await this.#lock()
      this.#allOurs = this.leases.isMarked
      const result = work()
      if (this.#allOurs) this.leases.mark()
      return result
    } catch (cause) {
      if (cause instanceof TsnetError || !(cause instanceof Error && 'code' in cause)) throw cause
      const text = `ipam: cannot work with the addresses in ${this.leases.directory}: ${messageOf(cause)}`
      throw new TsnetError('io', text, { cause })
    }
  }

  async #lock(): Promise<FileLock> {
    const path = join(this.leases.directory, 'lock')
    try {
      return await lockFile(path)
    } catch (thrown) {
      if (!hasCode(thrown, 'ENOENT')) throw thrown
      this.leases.create()
      return lockFile(path)
    }
  }

  /**
   * The addresses that an attachment holds. Our record names them; where it is missing, or the leases are
   * not as it says because host-local worked here since, all leases are searched.
   */
  heldBy(key: AttachmentKey, record: KnownRecord | undefined): Ip[] {
    if (typeof record === 'object') {
      if (record.addresses.every(ip => isHolder(this.leases.read(ip), key))) return record.addresses
    }
    return heldIn(this.#readAll(), key)
  }

  /**
   * Frees all that an attachment holds and forgets it, the record last. What host-local gave it, before us or
   * meanwhile, is found by a search, unless all is known to be ours. Only under the lock.
   */
  release(key: AttachmentKey, record = this.records.read(key)): void {
    if (this.leases.exists) {
      const held = this.#allHeldBy(key, record)
      for (const ip of [...held, ...this.#emptied(held, record)]) this.leases.free(ip)
    }
    this.records.remove(key)
  }

  /** What the record names, and a lease that names nobody stands for. */
  #emptied(held: Ip[], record: KnownRecord | undefined): Ip[] {
    const named = typeof record === 'object' ? record.addresses : []
    return held.length >= named.length
      ? []
      : named.filter(ip => !held.includes(ip) && this.leases.read(ip) === 'garbage')
  }

  #allHeldBy(key: AttachmentKey, record: KnownRecord | undefined): Ip[] {
    if (this.#allOurs) return this.heldBy(key, record)
    const all = this.#readAll()
    const held = heldIn(all, key)
    this.#allOurs = all.every(lease => held.includes(lease.ip) || this.#isOurs(lease))
    return held
  }

  #readAll(): Read[] {
    return [...this.leases.list()].map(ip => ({ ip, content: this.leases.read(ip) }))
  }

  /** True for what has our record, and for what names nobody. */
  #isOurs({ ip, content }: Read): boolean {
    if (!isHolderObject(content)) return true
    const record = this.records.peek(keyOf(this.network, content))
    return typeof record === 'object' && record.addresses.includes(ip)
  }
}

/** A lease as it was read; without content it has gone meanwhile. */
interface Read {
  ip: Ip
  content: LeaseContent | undefined
}

/** As host-local does: leases of its oldest form count where there is no other. */
function heldIn(all: readonly Read[], key: AttachmentKey): Ip[] {
  const exact = all.filter(({ content }) => isHolder(content, key))
  const found = exact.length > 0 ? exact : all.filter(({ content }) => isOldHolder(content, key))
  return found.map(({ ip }) => ip)
}

/** The attachment that a lease file names. host-local's oldest form has no interface. */
export const keyOf = (network: string, { containerId, ifname = '' }: Holder): AttachmentKey => ({
  network,
  containerId,
  ifname,
})

/** True for a lease file that names this attachment. */
export const isHolder = (content: LeaseContent | undefined, key: AttachmentKey): boolean =>
  isHolderObject(content) && content.containerId === key.containerId && content.ifname === key.ifname

/** True for a lease file of host-local's oldest form that names this attachment's container. */
export const isOldHolder = (content: LeaseContent | undefined, key: AttachmentKey): boolean =>
  isHolderObject(content) && content.containerId === key.containerId && content.ifname === undefined

const isHolderObject = (content: LeaseContent | undefined): content is Holder =>
  content !== undefined && content !== 'garbage'
