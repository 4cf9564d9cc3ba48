/**
 * Publishes ports of running containers, and keeps what is published true.
 *
 *     publish   find the containers → choose host ports → write down → claim → listen → rules
 *     tend      containers that restarted are followed; those that are gone end, and so do those whose
 *               time is over
 *     restore   after a restart of the process: everything that is written down is served again
 *
 * The listening socket comes before the rules: it is reservation and conflict check in one, and what
 * arrives in between is served by the proxy. Each step leaves its undo; several ports of one request are
 * published together or not at all.
 *
 * What is done to one publication is done in turns, and each looks first at what the one before has left.
 * Runtimes are asked before a turn is taken: one that hangs delays neither requests nor other publications.
 *
 * While a container does not run, its publication keeps the port and leads nowhere: the address it had may
 * belong to another container by then.
 */

import { hasCode, TsnetError } from '../model/errors.ts'
import type { NatBackend } from '../model/network.ts'
import type { PortSpec } from '../model/port-spec.ts'
import type { Container, Publication, PublishRequest } from '../model/publication.ts'
import { everyOne, everyStep, type Undo, withUndo } from '../model/undo.ts'
import type { Counters, PortProxy } from '../proxy/proxy.ts'
import { isThere, thereCheck } from './container.ts'
import { draftOf, findSame, limitsOf } from './draft.ts'
import { hostPortChoices } from './host-ports.ts'
import { listeningSpecs } from './listening.ts'
import { publicationIndex, readPublication } from './owners.ts'
import { Resolver } from './resolve.ts'
import { Serving } from './serving.ts'
import { Turns } from './turns.ts'

/** A publication and what happened on it. */
export type Served = Publication & { counters?: Counters }

/** What happens to a publication. `waiting`: its container does not run. */
export type PublicationEvent =
  | 'published'
  | 'replaced'
  | 'moved'
  | 'waiting'
  | 'unpublished'
  | 'expired'
  | 'ended'

export interface PublisherOptions {
  /** Hears what happens. */
  tell?: (event: PublicationEvent, about: Publication) => void
  /** The firewall to use; absent: as chooseBackend decides. */
  backend?: NatBackend | undefined
}

export class Publisher {
  readonly #proxy: PortProxy
  readonly #tell: (event: PublicationEvent, about: Publication) => void
  readonly #serving: Serving
  readonly #turns = new Turns()
  readonly #published = publicationIndex()
  readonly #resolver = new Resolver()

  constructor(proxy: PortProxy, { tell = () => {}, backend }: PublisherOptions = {}) {
    this.#proxy = proxy
    this.#tell = tell
    this.#serving = new Serving(proxy, backend)
  }

  /** @throws TsnetError; nothing of the request is published then */
  async publish(request: PublishRequest): Promise<Publication[]> {
    const containers = await Promise.all(request.containers.map(each => this.#resolver.resolve(each)))
    return withUndo(async undo => {
      const published: Publication[] = []
      const specs = request.specs.length === 0 ? listeningSpecs(containers, request.via) : request.specs
      for (const spec of specs) {
        const draft = draftOf(request, containers, spec)
        const earlier = request.replace ? findSame(this.#published.list(), draft) : undefined
        published.push(
          earlier === undefined
            ? await this.#add(draft, spec, undo)
            : await this.#replace(earlier, draft, undo),
        )
      }
      return published
    })
  }

  /** Ends publications. @throws the error, or an AggregateError, after having tried all */
  async unpublish(
    publications: readonly Publication[],
    why: PublicationEvent = 'unpublished',
  ): Promise<void> {
    await everyStep(publications.map(each => () => this.#end(each, why)))
  }

  /** All that is published, with what happened on it. */
  list(): Served[] {
    return this.counted(this.#published.list())
  }

  /** All that is published, as it is written down. */
  published(): readonly Publication[] {
    return this.#published.list()
  }

  /** Publications with what happened on them. */
  counted(publications: readonly Publication[]): Served[] {
    return publications.map(each => {
      const counters = this.#proxy.countersOf(each.id)
      return counters === undefined ? each : { ...each, counters }
    })
  }

  /** Serves again what is written down. What cannot be served any more ends. */
  async restore(handedIn: (id: string) => number[][] | undefined = () => undefined): Promise<void> {
    const isThere = thereCheck()
    for (const publication of this.#published.list()) {
      try {
        this.#serving.resume(publication, handedIn(publication.id), isThere)
      } catch {
        await this.#end(publication, 'ended')
      }
    }
    await this.tend()
  }

  /** Looks after every publication once. To be called every second or so. */
  async tend(now = Date.now()): Promise<void> {
    const isThere = thereCheck()
    await everyOne(
      this.#published.list().flatMap(publication => {
        if (publication.expiresAt !== undefined && publication.expiresAt <= now)
          return [this.#end(publication, 'expired')]
        return publication.containers.every(each => isThere(each.netns)) ? [] : [this.#follow(publication)]
      }),
    )
  }

  async #add(draft: Publication, spec: PortSpec, undo: Undo): Promise<Publication> {
    const choices = hostPortChoices(spec)
    for (const [i, hostPort] of choices.entries()) {
      try {
        const publication = await this.#turns.take(draft.id, () => this.#begin({ ...draft, hostPort }))
        undo.push(`the publication of ${hostPort}`, () => this.#end(publication, 'unpublished'))
        return publication
      } catch (thrown) {
        if (!hasCode(thrown, 'conflict') || i === choices.length - 1) throw thrown
      }
    }
    throw new TsnetError('conflict', 'no host port is free')
  }

  async #begin(draft: Publication): Promise<Publication> {
    const publication = await withUndo(undo => this.#serving.begin(draft, undo))
    this.#tell('published', publication)
    return publication
  }

  /**
   * Another target behind the same port. The socket stays, so nobody is refused; what the proxy was told
   * about who may connect stays with it.
   */
  #replace({ id }: Publication, draft: Publication, undo: Undo): Promise<Publication> {
    return this.#turns.take(id, async () => {
      const earlier = readPublication(id)
      if (earlier !== undefined) return this.#takeOver(earlier, draft, undo)
      throw new TsnetError('try-again', `what was published on port ${draft.hostPort} has just ended`)
    })
  }

  async #takeOver(earlier: Publication, draft: Publication, undo: Undo): Promise<Publication> {
    if (limitsOf(earlier) !== limitsOf(draft)) {
      throw new TsnetError(
        'unsupported-field',
        `--replace keeps mode and limits of what is published on port ${earlier.hostPort}; repeat its options, or unpublish it first`,
      )
    }
    const { target, via, drainMs, expiresAt } = draft
    const { expiresAt: _, ...rest } = earlier
    const next = { ...rest, target, via, drainMs, ...(expiresAt !== undefined && { expiresAt }) }
    undo.push(`the publication of ${earlier.hostPort}`, () =>
      this.#turns.take(earlier.id, async () => void (await this.#serving.lead(earlier, earlier.containers))),
    )
    const publication = await this.#serving.lead(next, draft.containers)
    this.#tell('replaced', publication)
    return publication
  }

  /** Containers of a publication went away, or came back as others. */
  async #follow(publication: Publication): Promise<void> {
    const found = await Promise.all(publication.containers.map(each => this.#again(each)))
    await this.#turns.take(publication.id, async () => {
      const unchanged = JSON.stringify(readPublication(publication.id)) === JSON.stringify(publication)
      if (unchanged)
        await this.#move(
          publication,
          found.filter(each => each !== undefined),
        )
    })
  }

  /** The same container after a restart; itself while it does not run; undefined when it is gone. */
  async #again(container: Container): Promise<Container | undefined> {
    if (isThere(container.netns)) return container
    try {
      return await this.#resolver.findAgain(container)
    } catch (thrown) {
      if (hasCode(thrown, 'unknown-container', 'invalid-netns')) return undefined
      return container
    }
  }

  async #move(publication: Publication, containers: Container[]): Promise<void> {
    if (containers.length === 0) return this.#endNow(publication, 'ended')
    const before = publication.containers.map(each => each.netns.ino).join()
    const running = containers.some(each => isThere(each.netns))
    if (publication.nat === undefined && !running && containers.map(each => each.netns.ino).join() === before)
      return
    this.#tell(running ? 'moved' : 'waiting', await this.#serving.lead(publication, containers))
  }

  /** One that has ended already stays so. */
  #end({ id }: Publication, why: PublicationEvent): Promise<void> {
    return this.#turns.take(id, async () => {
      const publication = readPublication(id)
      if (publication !== undefined) await this.#endNow(publication, why)
    })
  }

  async #endNow(publication: Publication, why: PublicationEvent): Promise<void> {
    await this.#serving.end(publication)
    this.#tell(why, publication)
  }
}
