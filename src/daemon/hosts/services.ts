/**
 * Who is called as a service is: attachments of this host, and what other hosts tell of theirs.
 *
 * A container that is on several networks counts once. Of the hosts of a network it is known whether they are drained; those
 * of one that is are left out, also on that host itself.
 */

import type { Away } from '../../hosts/hosts.ts'
import type { AwayMember, Container, ServiceName } from '../../model/publication/publication.ts'
import { isThere } from '../../netns/container.ts'
import { type Members, memberOf } from '../../publish/service/service.ts'
import { readEntry } from '../../records/records.ts'
import type { Called } from '../names/known.ts'
import { type CalledEntries, Changes } from './changes.ts'
import type { HostNetworks } from './hosts.ts'

export class Services {
  readonly #changes: Changes
  readonly #networks: Pick<HostNetworks, 'away' | 'isDrained' | 'isKnown'>
  /** Attachments that are called so, by their owners. */
  readonly #byName = new Map<string, Map<string, Called>>()
  readonly #members = new WeakMap<Called, Container>()

  constructor(index: CalledEntries, networks: Pick<HostNetworks, 'away' | 'isDrained' | 'isKnown'>) {
    this.#changes = new Changes(index)
    this.#networks = networks
  }

  readonly find = (service: ServiceName, known: readonly AwayMember[]): Members => {
    const here = this.#here(service)
    const away = [...this.#away(service).values()]
    const open = {
      here: here.filter(({ network }) => !this.#networks.isDrained(network)),
      away: away.filter(({ isDrained }) => !isDrained),
    }
    return {
      here: open.here.map(({ container }) => container),
      away: [
        ...open.away.map(({ member }) => member),
        ...known.filter(({ network }) => !this.#networks.isKnown(network)),
      ],
      drained: here.length - open.here.length + away.length - open.away.length,
    }
  }

  #here(service: ServiceName): { network: string; container: Container }[] {
    const found = new Map<string, { network: string; container: Container }>()
    for (const [owner, called] of this.#named(service.name)) {
      if (!isOn(service, called.network)) continue
      const container = this.#containerOf(owner, called)
      if (container === undefined || !isThere(container.netns)) continue
      const key = `${container.netns.dev}:${container.netns.ino}`
      if (!found.has(key)) found.set(key, { network: called.network, container })
    }
    return [...found.values()]
  }

  #named(name: string): Iterable<[owner: string, called: Called]> {
    const { go = [], come = [] } = this.#changes.next() ?? {}
    for (const [owner, { names }] of go)
      for (const each of names) {
        const there = this.#byName.get(each)
        there?.delete(owner)
        if (there?.size === 0) this.#byName.delete(each)
      }
    for (const [owner, called] of come)
      for (const each of called.names) {
        const there = this.#byName.get(each) ?? new Map<string, Called>()
        this.#byName.set(each, there.set(owner, called))
      }
    return this.#byName.get(name) ?? []
  }

  #containerOf(owner: string, called: Called): Container | undefined {
    const known = this.#members.get(called)
    if (known !== undefined) return known
    const entry = readEntry(owner)
    if (entry?.state !== 'attached') return undefined
    const container = memberOf(entry.attachment)
    this.#members.set(called, container)
    return container
  }

  #away(service: ServiceName): Map<string, { member: AwayMember; isDrained: boolean }> {
    const found = new Map<string, { member: AwayMember; isDrained: boolean }>()
    for (const { network, away, isDrained } of this.#networks.away(service.name)) {
      // Of others that is known which is written down with the publication.
      if (!isOn(service, network) || !this.#networks.isKnown(network)) continue
      const key = `${away.host} ${away.container}`
      if (!found.has(key)) found.set(key, { member: awayMember(network, away), isDrained })
    }
    return found
  }
}

const isOn = (service: ServiceName, network: string): boolean =>
  service.network === undefined || service.network === network

const awayMember = (network: string, { container, names, hostName, addresses }: Away): AwayMember => ({
  name: names[0] ?? container,
  host: hostName,
  network,
  addresses,
})
