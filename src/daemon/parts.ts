/**
 * What a daemon is made of: what serves, what looks after that, and who hears of it. Everybody is given here whom he
 * works with, so that no part knows the daemon.
 */

import { closeSync } from 'node:fs'
import type { PortHolder } from '../control/held-ports.ts'
import { hasKnown, Tender, type World } from '../libnetwork/libnetwork.ts'
import type { NatBackend } from '../model/network.ts'
import { everyOne } from '../model/undo.ts'
import { hostOf } from '../networks/networks.ts'
import type { Told } from '../observe/happening.ts'
import type { PortProxy } from '../proxy/proxy.ts'
import { AttachmentPorts } from '../publish/attachment-ports.ts'
import { Front } from '../publish/front/front.ts'
import { Publisher } from '../publish/publish.ts'
import type { FindMembers } from '../publish/service/service.ts'
import { AbandonedNetworks } from './abandoned-networks.ts'
import type { Inheritance } from './handover.ts'
import { HostNetworks } from './hosts/hosts.ts'
import { OwnNames } from './hosts/own-names.ts'
import { Services } from './hosts/services.ts'
import { holderWith } from './names/holder.ts'
import { Names } from './names/names.ts'
import { Observing } from './observing/observing.ts'
import { Placeholders } from './placeholders.ts'
import { soon } from './tend.ts'

interface Surrounding {
  /** Clients of loopback go past the proxy, where a publication does not say otherwise. */
  redirects: boolean
  backend: NatBackend | undefined
  /** Hears one line for each thing that happens. */
  log: (line: string) => void
  /** Hears one line for each thing that goes wrong. */
  warn: (line: string) => void
  /** Tells everyone who listens. */
  tell: (happened: Told) => void
}

export class Parts {
  readonly front: Front
  readonly observing: Observing
  readonly publisher: Publisher
  readonly attachments: AttachmentPorts
  readonly names: Names
  readonly hostNetworks: HostNetworks
  readonly ownNames: OwnNames
  readonly holder: PortHolder
  readonly placeholders: Placeholders
  /** What dockerd's drivers work with. */
  readonly docker: World
  readonly #endpoints: Tender
  readonly #abandoned: AbandonedNetworks
  readonly #services: Services
  readonly #followSoon: () => void
  readonly #proxy: PortProxy

  constructor(proxy: PortProxy, { redirects, backend, log, warn, tell }: Surrounding) {
    this.#proxy = proxy
    this.front = new Front(proxy, redirects, log)
    const published = () => this.publisher.list()
    const held = () => [...this.attachments.list(), ...this.placeholders.list()]
    this.observing = new Observing({ proxy, log, published, held, tell })
    const { index, publication, held: toldHeld, passedOn } = this.observing
    const members: FindMembers = (...asked) => this.#services.find(...asked)
    this.publisher = new Publisher(this.front, { tell: publication, backend, members, warn })
    this.#followSoon = soon(() => this.publisher.followServices(), warn)
    this.attachments = new AttachmentPorts(this.front, toldHeld, index, passedOn)
    this.names = new Names(index, log)
    this.hostNetworks = new HostNetworks(log, (...away) => {
      this.names.tellAway(...away)
      this.#followSoon()
    })
    this.#services = new Services(index, this.hostNetworks)
    this.ownNames = new OwnNames(index, this.hostNetworks)
    this.holder = holderWith(this.attachments, this.names, this.hostNetworks)
    this.placeholders = new Placeholders(this.front, { tell: toldHeld })
    this.docker = { host: hostOf(process.env), holder: this.holder, log }
    const endpoints = () => index.others().flatMap(({ value }) => value.endpoint ?? [])
    this.#endpoints = new Tender(endpoints, this.docker)
    this.#abandoned = new AbandonedNetworks(log)
  }

  /**
   * Serves what is written down.
   * @param inherited what a predecessor hands over of it, and was asked by redirected sockets
   */
  async restore(inherited: Inheritance | undefined): Promise<void> {
    const sockets = inherited?.sockets ?? new Map<string, number[][]>()
    const handedIn = (id: string) => takeOut(sockets, id)
    if (inherited?.asked !== undefined) this.front.inherit(inherited.asked)
    this.publisher.restore(handedIn)
    await this.attachments.tend(handedIn)
    this.placeholders.inherit(inherited?.placeholders ?? {}, handedIn)
    // Those of what has ended meanwhile.
    for (const fd of [...sockets.values()].flat(2)) closeSync(fd)
  }

  /** Somebody may have been attached or detached: who waits to hear of it looks. */
  lookSoon(): void {
    this.observing.events.soon()
    this.ownNames.soon()
    this.#followSoon()
  }

  /** Looks after everything once. */
  async look(): Promise<void> {
    const { publisher, attachments, names, front, observing, hostNetworks, ownNames } = this
    await everyOne([
      publisher.tend(),
      attachments.tend(),
      names.tend(),
      front.reconsider(),
      observing.events.look(),
      hostNetworks.tend().then(() => ownNames.look()),
      this.#abandoned.tend(),
      this.#endpoints.tend(),
    ])
  }

  /** Something is served here. */
  get isNeeded(): boolean {
    return (
      this.#proxy.size > 0 ||
      this.names.isNeeded ||
      this.hostNetworks.isNeeded ||
      hasKnown() ||
      this.publisher.published().length > 0
    )
  }

  /** A successor serves: what it cannot share with us ends at once. */
  async leave(): Promise<void> {
    this.#endLooks()
    await Promise.all([this.names.handOver(), this.hostNetworks.end()])
  }

  /** Nobody serves after us: all but the proxy's clients, who may finish. */
  async end(): Promise<void> {
    this.#endLooks()
    await Promise.all([this.names.end(), this.hostNetworks.end()])
  }

  #endLooks(): void {
    this.front.close()
    this.observing.endMetrics()
  }
}

function takeOut<T>(from: Map<string, T>, key: string): T | undefined {
  const value = from.get(key)
  from.delete(key)
  return value
}
