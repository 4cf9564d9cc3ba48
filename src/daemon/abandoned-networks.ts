/**
 * Networks go when podman has removed those that they were made for. It tells nobody, so its folders are looked at; what
 * is read is read only when one of them has changed.
 */

import { statSync } from 'node:fs'
import { removeWithMembers } from '../chain/remove.ts'
import { messageOf } from '../model/errors.ts'
import { findAbandoned, type Host, hostOf, isKept, listInfos } from '../networks/networks.ts'
import { networkFolders } from '../runtime/network-folders.ts'

/** Also where nothing has changed: the settings of podman may have. */
const ANYWAY_MS = 60_000

export class AbandonedNetworks {
  readonly #log: (line: string) => void
  /** Of networks that podman had when we looked, so that it has removed what is not there any more. */
  #had = new Set<string>()
  /** Of some podman has no file, and who is on them, or the clock, has the last word. */
  #isOpen = false
  #folders: string[] = []
  #seen = ''
  #lookedAt = Number.NEGATIVE_INFINITY

  constructor(log: (line: string) => void) {
    this.#log = log
  }

  async tend(now = performance.now()): Promise<void> {
    const isDue = now - this.#lookedAt > ANYWAY_MS
    if (isDue) this.#folders = networkFolders(process.env)
    const seen = this.#folders.map(changedAt).join()
    if (!isDue && !this.#isOpen && seen === this.#seen) return
    this.#lookedAt = now
    this.#seen = seen
    const host = hostOf(process.env)
    for (const network of findAbandoned(host, this.#had)) await this.#remove(network, host)
    const made = listInfos(host).flatMap(({ madeFor }) => (madeFor?.runtime === 'podman' ? [madeFor] : []))
    const kept = made.filter(each => isKept(each, host))
    this.#isOpen = kept.length < made.length
    const ids = [...kept.map(({ id }) => id), ...made.map(({ id }) => id).filter(id => this.#had.has(id))]
    this.#had = new Set(ids)
  }

  async #remove(network: Parameters<typeof removeWithMembers>[0], host: Host): Promise<void> {
    try {
      await removeWithMembers(network, host)
      this.#log(`network ${network.name} is removed, as podman has removed its own`)
    } catch (thrown) {
      this.#log(`network ${network.name}, which podman has removed, stays: ${messageOf(thrown)}`)
    }
  }
}

const changedAt = (folder: string): number => statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0
