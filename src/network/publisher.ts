/**
 * Publishes ports of running containers, and keeps what is published true.
 *
 *     publish   find the containers → choose host ports → write down → claim → listen → rules
 *     tend      containers that restarted are followed; those that are gone end, and so do those whose
 *               time is over; what something was in the way of is tried again; rules of others that
 *               have changed are looked at (reconsider.ts)
 *     restore   after a restart of the process: everything that is written down is served again
 *
 * The listening socket comes before the rules: it is reservation and conflict check in one, and what
 * arrives in between is served by the proxy. Each step leaves its undo; several ports of one request are
 * published together or not at all.
 *
 * What is done to one publication is done in turns, and each looks first at what the one before has left.
 * Runtimes are asked before a turn is taken: one that hangs delays neither requests nor other publications.
 *
 * An error ends nothing that was published. A host address that is not there yet, a port that another process
 * has, a firewall or a runtime that fails: it waits, says why, and is tried again (obstacles.ts). Only a runtime
 * that answers, and does not know the container, says that it is gone.
 *
 * While a container does not run, its publication keeps the port and leads nowhere: the address it had may
 * belong to another container by then.
 */

import { hasCode, TsnetError } from '../model/errors.ts'
import type { NatBackend } from '../model/network.ts'
import type { PortSpec } from '../model/port-spec.ts'
import { present } from '../model/present.ts'
import {
  calledAll,
  type Publication,
  type PublicationEnd,
  type PublicationEvent,
  type PublishRequest,
} from '../model/publication.ts'
import { everyOne, everyStep, type Undo, withUndo } from '../model/undo.ts'
import type { Counters, PortProxy } from '../proxy/proxy.ts'
import { findAgain } from './again.ts'
import { choosePublications } from './choose.ts'
import { isThere, thereCheck } from './container.ts'
import { draftOf, findSame, successorOf, withRulesOf } from './draft.ts'
import { hostPortChoices } from './host-ports.ts'
import { listeningSpecs } from './listening.ts'
import { Obstacles } from './obstacles.ts'
import { publicationIndex, readPublication } from './owners.ts'
import { Reconsidering } from './reconsider.ts'
import { Resolver } from './resolve.ts'
import { Serving } from './serving.ts'
import { Turns } from './turns.ts'

/** A publication and what happened on it. */
export type Served = Publication & {
  counters?: Counters
  /** What is in its way. */
  obstacle?: string
}

export interface PublisherOptions {
  /** Hears what happens, and of waiting why. */
  tell?: (event: PublicationEvent, about: Publication, why?: string) => void
  /** The firewall to use; absent: as chooseBackend decides. */
  backend?: NatBackend | undefined
}

export class Publisher {
  readonly #proxy: PortProxy
  readonly #tell: NonNullable<PublisherOptions['tell']>
  readonly #serving: Serving
  readonly #turns = new Turns()
  readonly #published = publicationIndex()
  readonly #resolver = new Resolver()
  readonly #obstacles = new Obstacles()
  readonly #reconsidering = new Reconsidering()
  /** Publications that are being looked after. */
  readonly #tended = new Set<string>()

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
      for (const [i, spec] of specs.entries()) {
        const draft = draftOf(request, containers, spec, request.written[i])
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
  async unpublish(publications: readonly Publication[]): Promise<void> {
    await everyStep(publications.map(each => () => this.#end(each, 'unpublished')))
  }

  /** Publications by the words that people have for them. @throws TsnetError for one that none answers to */
  async choose(words: readonly string[]): Promise<Served[]> {
    const find = (word: string) => this.#resolver.resolve(word)
    return this.counted(await choosePublications(this.#published.list(), words, find))
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
    return publications.map(each => ({
      ...each,
      ...present({ counters: this.#proxy.countersOf(each.id), obstacle: this.#obstacles.why(each.id) }),
    }))
  }

  /** Serves again what is written down; where that cannot be, `tend` tries it again. */
  restore(handedIn: (id: string) => number[][] | undefined = () => undefined): void {
    const isThere = thereCheck()
    for (const publication of this.#published.list()) {
      if (publication.ending !== undefined) continue
      try {
        this.#serving.resume(publication, handedIn(publication.id), isThere)
      } catch (thrown) {
        this.#meet(publication, thrown)
      }
    }
  }

  /**
   * Looks after every publication once, but for those that still are from an earlier time: one that drains for
   * an hour or whose runtime hangs delays nothing else. To be called every second or so.
   */
  async tend(now = Date.now()): Promise<void> {
    const isThere = thereCheck()
    await everyOne(
      this.#published.list().flatMap(publication => {
        const { id, expiresAt, ending, containers } = publication
        if (this.#tended.has(id) || this.#obstacles.isResting(id)) return []
        const isOver = expiresAt !== undefined && expiresAt <= now
        const why = ending ?? (isOver ? 'expired' : undefined)
        if (why !== undefined) return [this.#look(publication, () => this.#end(publication, why))]
        const isWell = this.#obstacles.why(id) === undefined && containers.every(each => isThere(each.netns))
        return isWell ? [] : [this.#look(publication, () => this.#follow(publication))]
      }),
    )
    const settled = this.#published.list().filter(({ id, ending, containers }) => {
      const isWell = this.#obstacles.why(id) === undefined && !this.#tended.has(id)
      return isWell && ending === undefined && containers.every(each => isThere(each.netns))
    })
    const changed = this.#reconsidering.changed(settled, each => this.#serving.isObstructedAnew(each))
    await everyOne(changed.map(each => this.#look(each, () => this.#reconsider(each))))
  }

  /** Rules of others have changed: the proxy takes over from the kernel, or the other way round. */
  #reconsider(publication: Publication): Promise<void> {
    const { id } = publication
    return this.#turns.take(id, async () => {
      if (JSON.stringify(readPublication(id)) !== JSON.stringify(publication)) return
      const led = await this.#serving.reconsider(publication)
      const { natObstacle } = led
      this.#tell(natObstacle === undefined ? 'cleared' : 'obstructed', led, natObstacle)
    })
  }

  async #look(publication: Publication, work: () => Promise<void>): Promise<void> {
    this.#tended.add(publication.id)
    try {
      await work()
    } catch (thrown) {
      this.#meet(publication, thrown)
    } finally {
      this.#tended.delete(publication.id)
    }
  }

  #meet(publication: Publication, thrown: unknown): void {
    const why = this.#obstacles.meet(publication.id, thrown)
    if (why !== undefined) this.#tell('waiting', publication, why)
  }

  async #add(draft: Publication, spec: PortSpec, undo: Undo): Promise<Publication> {
    const choices = hostPortChoices(spec)
    for (const [i, hostPort] of choices.entries()) {
      try {
        const begin = (undo: Undo) => this.#serving.begin({ ...draft, hostPort }, undo)
        const publication = await this.#turns.take(draft.id, () => withUndo(begin))
        undo.push(`the publication of ${hostPort}`, () => this.#end(publication, 'unpublished'))
        this.#tell('published', publication, publication.natObstacle)
        return publication
      } catch (thrown) {
        if (!hasCode(thrown, 'conflict') || i === choices.length - 1) throw thrown
      }
    }
    throw new TsnetError('conflict', 'no host port is free')
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
    const next = successorOf(earlier, draft)
    undo.push(`the publication of ${earlier.hostPort}`, () =>
      this.#turns.take(earlier.id, async () => {
        const back = withRulesOf(earlier, readPublication(earlier.id))
        await this.#serving.lead(back, earlier.containers)
      }),
    )
    const publication = await this.#serving.lead(next, draft.containers)
    this.#obstacles.overcome(earlier.id)
    this.#tell('replaced', publication)
    return publication
  }

  /** Containers of a publication went away, or came back as others; or something was in its way. */
  async #follow(publication: Publication): Promise<void> {
    const { id } = publication
    const isObstructed = this.#obstacles.why(id) !== undefined
    const { containers, failures } = await findAgain(publication.containers, this.#resolver, isObstructed)
    await this.#turns.take(id, async () => {
      const unchanged = JSON.stringify(readPublication(id)) === JSON.stringify(publication)
      if (!unchanged) return
      if (containers.length === 0) return this.#endNow(publication, 'ended')
      const isLed = this.#serving.leadsTo(publication, containers)
      const led = isLed ? publication : await this.#serving.lead(publication, containers)
      if (failures.length > 0) throw new AggregateError(failures)
      if (!this.#obstacles.overcome(id) && isLed) return
      const stopped = containers.filter(each => !isThere(each.netns))
      const isStopped = stopped.length === containers.length
      if (isStopped) this.#tell('waiting', led, `${calledAll(stopped)} does not run`)
      else this.#tell(isObstructed ? 'serving' : 'moved', led)
    })
  }

  /** One that has ended already stays so. */
  #end({ id }: Publication, why: PublicationEnd): Promise<void> {
    return this.#turns.take(id, async () => {
      const publication = readPublication(id)
      if (publication !== undefined) await this.#endNow(publication, why)
    })
  }

  async #endNow(publication: Publication, why: PublicationEnd): Promise<void> {
    await this.#serving.end(publication, why)
    this.#obstacles.overcome(publication.id)
    this.#tell(why, publication)
  }
}
