/**
 * The published ports of attachments, held by the proxy as well: it answers on 127.0.0.1 and [::1], where
 * the kernel's rules cannot lead, and for IPv6 clients of a container that has only IPv4. All else goes by
 * the rules and never reaches it. And a port that is listened on cannot be taken by another process.
 *
 * podman listens on them itself for that, and never accepts: such ports are served on its sockets, as soon
 * as the container runs (ports/reserved.ts). For a port of all addresses it listens on IPv4's alone; IPv6's are
 * ours from the beginning.
 *
 * Where several attachments of a container publish a port, the first has the socket. When it goes, the next goes
 * on with a copy of it, so that it listens all the time (network/shared-ports.ts).
 */

import { closeSync } from 'node:fs'
import type { PortMapping } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import type { ProxyCall } from '../model/proxy-call.ts'
import { everyOne } from '../model/undo.ts'
import { heirsToServe, portsToServe } from '../network/shared-ports.ts'
import { type ReadClaims, readClaims, readClaimsOnce } from '../ports/claim-files.ts'
import { copyReserved, isInhabited } from '../ports/reserved.ts'
import type { Counters, Publication } from '../proxy/proxy.ts'
import { EntryIndex } from '../records/entry-index.ts'
import { readEntry } from '../records/records.ts'
import {
  copySockets,
  describeForwarding,
  type Forwarding,
  forwardingOf,
  hostPortsOf,
  unserved,
} from './forwarding.ts'
import type { Ports, Redirected } from './front/front.ts'
import { Obstacles } from './obstacles.ts'

/** Sockets that another process held for a publication of the proxy. */
export type HandedIn = (id: string) => number[][] | undefined

/** How long clients of an attachment that goes may take to finish, where its ports are served on. */
const DRAIN_MS = 200

/** Whoever has not left by then does not leave: it died, say. */
const LEAVING_MS = 10_000

/** A port that the proxy holds, or should, for somebody else than `tsnet publish`. */
export interface HeldPort {
  /** By which the proxy knows it. */
  id: string
  counters?: Counters
  /** What the kernel has led past the proxy. */
  redirected?: Redirected
  /** Why the proxy serves what should have been redirected. */
  redirectObstacle?: string
  /** What is in its way. */
  obstacle?: string
  /** Of dockerd's ports, what it asked for. */
  call?: ProxyCall
  /** Of an attachment's that is held: whose, and which. */
  of?: ReturnType<typeof hostPortsOf>
}

/** Hears that a port which an attachment had is served for another from now on. */
export type OnPassedOn = (port: NonNullable<HeldPort['of']>, to: string) => void

/** Hears of ports that are not served, and why; `undefined`: nothing is in their way any more. */
export type OnObstacle = (what: string, why: string | undefined) => void

export class AttachmentPorts {
  readonly #front: Ports
  readonly #tell: OnObstacle
  /** What the proxy serves, by owner and by the proxy's id. */
  readonly #served = new Map<string, Map<string, Forwarding>>()
  /** Owners whose runtime has to listen on their ports before we can, or of whose ports others have some. */
  readonly #waiting = new Set<string>()
  /** By publication of the proxy: an error keeps none of the others from being served. */
  readonly #obstacles = new Obstacles()
  /** Owners whose ports are being let go. */
  readonly #letGo = new Map<string, Promise<unknown>>()
  /** Owners that asked for it, and when: they are on their way out, whatever is written down about them. */
  readonly #leaving = new Map<string, number>()
  readonly #index: Pick<EntryIndex, 'attachedWithPorts'>
  readonly #passedOn: OnPassedOn

  constructor(
    front: Ports,
    tell: OnObstacle = () => {},
    index: Pick<EntryIndex, 'attachedWithPorts'> = new EntryIndex(),
    passedOn: OnPassedOn = () => {},
  ) {
    this.#front = front
    this.#tell = tell
    this.#index = index
    this.#passedOn = passedOn
  }

  /** Serves the ports of an attachment, all or none. @throws TsnetError */
  async serve(owner: string): Promise<void> {
    this.#leaving.delete(owner)
    await this.#letGo.get(owner)
    this.#forgetObstacles(owner)
    try {
      this.#serve(owner, { onFailure: throwOn })
    } catch (thrown) {
      await this.#release(owner)
      throw thrown
    }
  }

  /** What is held, and what should be. */
  list(): HeldPort[] {
    const served = [...this.#served].flatMap(([owner, each]) =>
      [...each].map(([id, { publication }]) => ({ id, of: hostPortsOf(owner, publication) })),
    )
    return [...served, ...this.#obstacles.ids.map(id => ({ id }))].map(({ id, ...rest }) => ({
      id,
      ...rest,
      ...present({
        counters: this.#front.countersOf(id),
        redirected: this.#front.redirectedOf?.(id),
        redirectObstacle: this.#front.redirectObstacleOf?.(id),
        obstacle: this.#obstacles.why(id),
      }),
    }))
  }

  /** Serves what is not served yet, or rests. */
  #serve(
    owner: string,
    {
      handedIn = () => undefined,
      onFailure,
      claims = readClaims,
    }: {
      handedIn?: HandedIn
      onFailure: (mapping: PortMapping, id: string, thrown: unknown) => void
      claims?: ReadClaims
    },
  ): void {
    const entry = readEntry(owner)
    if (entry?.state !== 'attached') return
    const { portsReserved: reserved = false, netns, ports } = entry.attachment
    // Whoever is in there was started after the runtime had what it wanted.
    const isEarly = reserved && !isInhabited(netns)
    const free = portsToServe(owner, ports, claims)
    if (isEarly || countOf(free) < countOf(ports)) this.#waiting.add(owner)
    else this.#waiting.delete(owner)
    const served = this.#servedOf(owner)
    for (const mapping of unserved(served, free)) {
      const forwarding = forwardingOf(owner, entry.attachment, mapping)
      if (forwarding === undefined) continue
      if (forwarding.beside !== undefined) this.#publishBeside(forwarding, served, handedIn)
      const { publication } = forwarding
      if (isEarly || this.#obstacles.isResting(publication.id)) continue
      const sockets = handedIn(publication.id)
      try {
        if (sockets === undefined && reserved) this.#publishReserved(publication)
        else this.#publish(publication, sockets)
        served.set(publication.id, forwarding)
        if (this.#obstacles.overcome(publication.id))
          this.#tell(describeForwarding(entry.attachment, mapping), undefined)
      } catch (thrown) {
        onFailure(mapping, publication.id, thrown)
      }
    }
  }

  #servedOf(owner: string): Map<string, Forwarding> {
    const served = this.#served.get(owner) ?? new Map()
    this.#served.set(owner, served)
    return served
  }

  /**
   * What a runtime that reserves ports leaves: of a port of all addresses those of IPv6. They may be somebody else's,
   * or not be there at all; then IPv4 alone answers, as with the runtime itself.
   */
  #publishBeside(
    { beside: publication, mapping }: Forwarding,
    served: Map<string, Forwarding>,
    handedIn: HandedIn,
  ): void {
    if (publication === undefined || served.has(publication.id)) return
    try {
      this.#publish(publication, handedIn(publication.id))
      served.set(publication.id, { publication, mapping, isBeside: true })
    } catch {
      // said above
    }
  }

  /**
   * Goes on, for whoever is next, on copies of the sockets of one that goes. What does not fit is for `tend`.
   * @returns true where somebody is next
   */
  #passOn(owner: string, served: ReadonlyMap<string, Forwarding>): boolean {
    const all = [...served.values()]
    const heirs = heirsToServe(
      owner,
      all.map(({ mapping }) => mapping),
    )
    for (const heir of heirs) {
      const entry = readEntry(heir.owner)
      if (entry?.state !== 'attached' || this.#leaving.has(heir.owner)) continue
      const theirs = this.#servedOf(heir.owner)
      for (const mapping of unserved(theirs, heir.ports)) {
        const next = forwardingOf(heir.owner, entry.attachment, mapping)
        if (next === undefined) continue
        const { publication, beside } = next
        if (this.#publishOnCopies(publication, all)) {
          theirs.set(publication.id, next)
          this.#passedOn(hostPortsOf(owner, publication), heir.owner)
        }
        if (beside !== undefined && this.#publishOnCopies(beside, all))
          theirs.set(beside.id, { publication: beside, mapping, isBeside: true })
      }
    }
    return heirs.length > 0
  }

  /** @returns false where it cannot be: then `tend` tries, and tells */
  #publishOnCopies(publication: Publication, served: readonly Forwarding[]): boolean {
    const copies = copySockets(this.#front, publication, served)
    try {
      if (copies !== undefined) this.#publish(publication, copies)
    } catch {
      return false
    }
    return copies !== undefined
  }

  /** On the runtime's own sockets; where it has none, on ours. */
  #publishReserved(publication: Publication): void {
    this.#publish(publication, copyReserved(publication, this.#front.workers))
  }

  /** @param sockets closed where they cannot be used */
  #publish(publication: Publication, sockets: number[][] | undefined): void {
    try {
      this.#front.publish(publication, sockets)
    } catch (thrown) {
      for (const fd of sockets?.flat() ?? []) closeSync(fd)
      throw thrown
    }
  }

  #forgetObstacles(owner: string): void {
    for (const id of this.#obstacles.ids) if (id.startsWith(`${owner}:`)) this.#obstacles.overcome(id)
  }

  /** Lets the ports of an attachment go. Idempotent. */
  async release(owner: string): Promise<void> {
    this.#leaving.set(owner, performance.now())
    await this.#release(owner)
  }

  async #release(owner: string): Promise<void> {
    const served = this.#served.get(owner)
    this.#served.delete(owner)
    this.#waiting.delete(owner)
    this.#forgetObstacles(owner)
    if (served === undefined) {
      await this.#letGo.get(owner)
      return
    }
    const drainMs = this.#passOn(owner, served) ? DRAIN_MS : 0
    const done = Promise.all([...served.keys()].map(id => this.#front.withdraw(id, { drainMs })))
    this.#letGo.set(owner, done)
    try {
      await done
    } finally {
      this.#letGo.delete(owner)
    }
  }

  /**
   * Serves what is attached and lets go what is not, whoever did that without saying so. What cannot be served
   * is tried again.
   */
  async tend(handedIn?: HandedIn): Promise<void> {
    const attached = new Set(this.#index.attachedWithPorts())
    for (const [owner, since] of this.#leaving) {
      const isOver = !attached.has(owner) || performance.now() - since > LEAVING_MS
      if (isOver) this.#leaving.delete(owner)
    }
    // First, so that what they had is passed on. Somebody may have been attached since we looked.
    const gone = [...this.#served.keys()].filter(
      owner => !attached.has(owner) && readEntry(owner)?.state !== 'attached',
    )
    await everyOne(gone.map(owner => this.#release(owner)))
    const obstructed = new Set(this.#obstacles.ids.map(id => id.slice(0, id.indexOf(':'))))
    const claims = readClaimsOnce()
    for (const owner of attached) {
      const isDone = this.#served.has(owner) && !obstructed.has(owner) && !this.#waiting.has(owner)
      if (isDone || this.#leaving.has(owner) || this.#letGo.has(owner)) continue
      const onFailure = (mapping: PortMapping, id: string, thrown: unknown) => {
        const why = this.#obstacles.meet(id, thrown)
        if (why !== undefined) this.#tell(describeForwarding(readEntry(owner)?.attachment, mapping), why)
      }
      this.#serve(owner, { onFailure, claims, ...(handedIn && { handedIn }) })
    }
  }
}

function throwOn(_mapping: PortMapping, _id: string, thrown: unknown): never {
  throw thrown
}

const countOf = (ports: readonly PortMapping[]): number => ports.reduce((sum, { count }) => sum + count, 0)
