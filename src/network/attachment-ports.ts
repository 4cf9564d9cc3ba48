/**
 * The published ports of attachments, held by the proxy as well: it answers on 127.0.0.1 and [::1], where
 * the kernel's rules cannot lead, and for IPv6 clients of a container that has only IPv4. All else goes by
 * the rules and never reaches it. And a port that is listened on cannot be taken by another process.
 *
 * podman listens on them itself for that, and never accepts: such ports are served on its sockets, as soon
 * as the container runs (reserved-ports.ts).
 */

import { closeSync } from 'node:fs'
import { familyOf, ipOf } from '../model/address.ts'
import type { Attachment } from '../model/network.ts'
import { describeHostPorts, type PortMapping } from '../model/port-mapping.ts'
import type { PortProxy, Publication } from '../proxy/proxy.ts'
import { EntryIndex } from './entry-index.ts'
import { copyReserved, isInhabited } from './reserved-ports.ts'
import { readEntry } from './state.ts'

/** Sockets that another process held for a publication of the proxy. */
export type HandedIn = (id: string) => number[][] | undefined

/** Whoever has not left by then does not leave: it died, say. */
const LEAVING_MS = 10_000

export class AttachmentPorts {
  readonly #proxy: PortProxy
  /** Publications of the proxy by the owner they serve. */
  readonly #served = new Map<string, string[]>()
  /** Owners whose ports are being let go. */
  readonly #letGo = new Map<string, Promise<unknown>>()
  /** Owners that asked for it, and when: they are on their way out, whatever is written down about them. */
  readonly #leaving = new Map<string, number>()
  readonly #index = new EntryIndex()

  constructor(proxy: PortProxy) {
    this.#proxy = proxy
  }

  /** Serves the ports of an attachment, all or none. @throws TsnetError */
  async serve(owner: string, handedIn?: HandedIn): Promise<void> {
    this.#leaving.delete(owner)
    await this.#letGo.get(owner)
    await this.#serve(owner, handedIn)
  }

  async #serve(owner: string, handedIn: HandedIn = () => undefined): Promise<void> {
    const entry = readEntry(owner)
    if (entry?.state !== 'attached' || this.#served.has(owner)) return
    const { portsReserved: reserved = false, netns } = entry.attachment
    // Whoever is in there was started after the runtime had what it wanted.
    if (reserved && !isInhabited(netns)) return
    const ids: string[] = []
    this.#served.set(owner, ids)
    try {
      for (const publication of forwardings(owner, entry.attachment)) {
        const sockets = handedIn(publication.id)
        if (sockets === undefined && reserved) this.#publishReserved(publication)
        else this.#proxy.publish(publication, sockets)
        ids.push(publication.id)
      }
    } catch (thrown) {
      await this.#release(owner)
      throw thrown
    }
  }

  /** On the runtime's own sockets; where it has none, on ours. */
  #publishReserved(publication: Publication): void {
    const sockets = copyReserved(publication, this.#proxy.workers)
    try {
      this.#proxy.publish(publication, sockets)
    } catch (thrown) {
      for (const fd of sockets?.flat() ?? []) closeSync(fd)
      throw thrown
    }
  }

  /** Lets the ports of an attachment go. Idempotent. */
  async release(owner: string): Promise<void> {
    this.#leaving.set(owner, performance.now())
    await this.#release(owner)
  }

  async #release(owner: string): Promise<void> {
    const ids = this.#served.get(owner)
    this.#served.delete(owner)
    if (ids === undefined) {
      await this.#letGo.get(owner)
      return
    }
    const done = Promise.all(ids.map(id => this.#proxy.withdraw(id)))
    this.#letGo.set(owner, done)
    try {
      await done
    } finally {
      this.#letGo.delete(owner)
    }
  }

  /** Serves what is attached and lets go what is not, whoever did that without saying so. */
  async tend(onFault: (owner: string, thrown: unknown) => void, handedIn?: HandedIn): Promise<void> {
    const attached = new Set(this.#index.attachedWithPorts())
    for (const [owner, since] of this.#leaving) {
      const isOver = !attached.has(owner) || performance.now() - since > LEAVING_MS
      if (isOver) this.#leaving.delete(owner)
    }
    for (const owner of attached) {
      if (this.#served.has(owner) || this.#leaving.has(owner)) continue
      await this.#serve(owner, handedIn).catch(thrown => onFault(owner, thrown))
    }
    for (const owner of [...this.#served.keys()]) {
      // Somebody may have been attached since we looked.
      if (attached.has(owner) || readEntry(owner)?.state === 'attached') continue
      await this.#release(owner)
    }
  }
}

function forwardings(owner: string, { leases, ports }: Attachment): Publication[] {
  const addresses = leases.map(lease => ipOf(lease.address))
  const address = addresses.find(each => familyOf(each) === 4) ?? addresses[0]
  if (address === undefined) return []
  return ports.map(mapping => ({
    id: `${owner}:${describeHostPorts(mapping)}`,
    protocol: mapping.protocol,
    ...hostOf(mapping),
    hostPort: mapping.hostPort,
    count: mapping.count,
    targets: [{ ip: address, port: mapping.containerPort }],
  }))
}

const hostOf = ({ hostIp }: PortMapping) => (hostIp === undefined ? {} : { hostIps: [hostIp] })
