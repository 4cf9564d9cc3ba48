/**
 * Publishes ports of running containers, and keeps what is published true.
 *
 *     publish   find the containers → choose host ports → write down → claim → listen → rules
 *     tend      containers that restarted are followed; those that are gone end, and so do those whose
 *               time is over; what something was in the way of is tried again; rules of others that
 *               have changed are looked at (upkeep/reconsider.ts)
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
 * One that is for a service (service/) is led to whoever is called so, and ends by no end of theirs.
 *
 * One in reverse (reverse/) listens in its container, and has no port of the host.
 *
 * While a container does not run, its publication keeps the port and leads nowhere: the address it had may
 * belong to another container by then. One that is kept (`--keep`) is on the disk as well. When its container is gone, or
 * the host was started again, it rests, without a port, until the container is back (upkeep/kept.ts).
 */

import { hasCode, TsnetError } from '../model/errors.ts'
import type { NatBackend } from '../model/network.ts'
import { present } from '../model/present.ts'
import type { PortSpec } from '../model/publication/port-spec.ts'
import type { Publication, PublishRequest } from '../model/publication/publication.ts'
import { everyOne, type Undo, withUndo } from '../model/undo.ts'
import type { Counters } from '../proxy/proxy.ts'
import { removeLasting, writeLasting } from '../records/lasting.ts'
import { publicationIndex, readPublication } from '../records/publications.ts'
import { choosePublications } from './choose.ts'
import { draftsOf, findMade, findSame, isForSame, type Led, successorOf, withRulesOf } from './draft.ts'
import type { Drained } from './front/drain.ts'
import type { Ports, Redirected } from './front/front.ts'
import { hostPortChoices } from './host-ports.ts'
import { requireLastingNames } from './lasting-names.ts'
import { specsOf } from './listening.ts'
import { Resolver } from './resolve.ts'
import { countersFor } from './reverse/reverse.ts'
import { type FindMembers, ledBy } from './service/service.ts'
import { Serving } from './serving.ts'
import { Turns } from './turns.ts'
import type { Tell } from './upkeep/tell.ts'
import { Upkeep } from './upkeep/upkeep.ts'

/** A publication and what happened on it. */
export type Served = Publication & {
  counters?: Counters
  /** What the kernel has led past the proxy. */
  redirected?: Redirected
  /** Why the proxy serves what should have been redirected, or whom those pass by who are. */
  redirectObstacle?: string
  /** What is in its way. */
  obstacle?: string
  /** It is kept, waits for its container, and holds no port meanwhile. */
  resting?: true
}

export interface PublisherOptions {
  tell?: Tell
  /** The firewall to use; absent: as chooseBackend decides. */
  backend?: NatBackend | undefined
  /** Who is called as a service is; absent: nobody is. */
  members?: FindMembers
  /** Hears of a runtime that was not waited for. */
  warn?: (line: string) => void
}

const NOBODY = { here: [], away: [], drained: 0 }

export class Publisher {
  readonly #front: Ports
  readonly #tell: Tell
  readonly #serving: Serving
  readonly #turns = new Turns()
  readonly #published = publicationIndex()
  readonly #resolver: Resolver
  readonly #members: FindMembers
  readonly #upkeep: Upkeep

  constructor(
    front: Ports,
    { tell = () => {}, backend, members = () => NOBODY, warn }: PublisherOptions = {},
  ) {
    this.#resolver = new Resolver(warn)
    this.#members = members
    this.#front = front
    this.#tell = tell
    this.#serving = new Serving(front, backend)
    this.#upkeep = new Upkeep({
      serving: this.#serving,
      turns: this.#turns,
      resolver: this.#resolver,
      members,
      list: () => this.#published.list(),
      tell,
    })
  }

  /** @throws TsnetError; nothing of the request is published then */
  async publish(request: PublishRequest): Promise<Pick<Served, keyof Publication | 'redirectObstacle'>[]> {
    await this.#upkeep.settled
    const led = await this.#whoIsMeant(request)
    if (request.keep) requireLastingNames(led)
    return withUndo(async undo => {
      const published: Publication[] = []
      const specs = specsOf(request, led.containers)
      const drafts = specs.flatMap((spec, i) =>
        draftsOf(request, led, spec, request.written[i]).map(draft => ({ spec, draft })),
      )
      for (const { spec, draft } of drafts) {
        const { replace, since } = request
        const others = this.#published.list().filter(({ id }) => published.every(each => each.id !== id))
        const made = since === undefined ? undefined : findMade(others, draft, hostPortChoices(spec), since)
        const earlier = replace ? findSame(this.#published.list(), draft) : undefined
        if (made !== undefined) published.push(this.#keep(made, undo))
        else if (earlier !== undefined) published.push(await this.#replace(earlier, draft, undo))
        else published.push(await this.#add(draft, spec, undo))
        const last = published.at(-1)
        if (last !== undefined) this.#supersede(last, request, undo)
      }
      return published.map(each => ({
        ...each,
        ...present({ redirectObstacle: this.#front.redirectObstacleOf?.(each.id) }),
      }))
    })
  }

  async #whoIsMeant({ service, containers }: PublishRequest): Promise<Led> {
    if (service !== undefined) return ledBy(this.#members, service)
    return { containers: await Promise.all(containers.map(each => this.#resolver.resolve(each))) }
  }

  /** Ends publications, all at once. @throws the error, or an AggregateError, after having tried all */
  async unpublish<P extends Publication>(publications: readonly P[]): Promise<(P & { drained?: Drained })[]> {
    const ended = publications.map(async each => {
      const drained = await this.#upkeep.end(each, 'unpublished')
      return { ...each, ...present({ drained }) }
    })
    await everyOne(ended.map(async each => void (await each)))
    return Promise.all(ended)
  }

  /** Publications by the words that people have for them. @throws TsnetError for one that none answers to */
  async choose(words: readonly string[]): Promise<Served[]> {
    const find = (word: string) => this.#resolver.resolve(word)
    return this.counted(await choosePublications(this.published(), words, find))
  }

  /** All that is published, with what happened on it. */
  list(): Served[] {
    return this.counted(this.published())
  }

  /** All that is published, and what waits for its container, as it is written down. */
  published(): readonly Publication[] {
    const { resting } = this.#upkeep
    return resting.length === 0 ? this.#published.list() : [...this.#published.list(), ...resting]
  }

  /** Publications with what happened on them. */
  counted(publications: readonly Publication[]): Served[] {
    const resting = new Set(this.#upkeep.resting.map(({ id }) => id))
    return publications.map(each => ({
      ...each,
      ...(resting.has(each.id) && { resting: true as const }),
      ...present({
        counters: countersFor(each, this.#front.countersOf(each.id)),
        redirected: this.#front.redirectedOf?.(each.id),
        redirectObstacle: this.#front.redirectObstacleOf?.(each.id),
        obstacle: this.#upkeep.obstacleOf(each.id),
      }),
    }))
  }

  /** Serves again what is written down; where that cannot be, `tend` tries it again. */
  restore(handedIn?: (id: string) => number[][] | undefined): void {
    this.#upkeep.restore(handedIn)
  }

  /** Looks after every publication once. To be called every second or so. */
  tend(now = Date.now()): Promise<void> {
    return this.#upkeep.tend(now)
  }

  /** Leads services to those who are called so by now. To be called when that changes. */
  followServices(): Promise<void> {
    return this.#upkeep.followServices()
  }

  async #add(draft: Publication, spec: PortSpec, undo: Undo): Promise<Publication> {
    const choices = hostPortChoices(spec)
    for (const [i, hostPort] of choices.entries()) {
      try {
        const begin = (undo: Undo) => this.#begin({ ...draft, hostPort }, undo)
        const publication = await this.#turns.take(draft.id, () => withUndo(begin))
        this.#tell('published', publication, { why: publication.natObstacle })
        return this.#keep(publication, undo)
      } catch (thrown) {
        if (!hasCode(thrown, 'conflict') || i === choices.length - 1) throw thrown
      }
    }
    throw new TsnetError('conflict', 'no host port is free')
  }

  #begin(draft: Publication, undo: Undo): Promise<Publication> {
    return this.#serving.begin(draft, undo, publication => {
      if (!draft.keep) return
      undo.push('what outlives a reboot', () => removeLasting(draft.id))
      writeLasting(publication)
    })
  }

  /** What rests and asked for the same is that publication from now on, or has been replaced by it. */
  #supersede(publication: Publication, { keep, replace }: PublishRequest, undo: Undo): void {
    for (const resting of this.#upkeep.resting) {
      if (findSame([resting], publication) === undefined) continue
      if (!replace && !(keep && isForSame(resting, publication))) continue
      undo.push(`what rests of port ${resting.hostPort}`, () => writeLasting(resting))
      removeLasting(resting.id)
    }
  }

  /** What is there ends with a request that fails. */
  #keep(publication: Publication, undo: Undo): Publication {
    undo.push(
      `the publication of ${publication.hostPort}`,
      async () => void (await this.#upkeep.end(publication, 'unpublished')),
    )
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
    const next = successorOf(earlier, draft)
    undo.push(`the publication of ${earlier.hostPort}`, () =>
      this.#turns.take(earlier.id, async () => {
        const back = withRulesOf(earlier, readPublication(earlier.id))
        if (earlier.keep) writeLasting(earlier)
        else if (next.keep) removeLasting(earlier.id)
        await this.#serving.lead(back, earlier.containers)
      }),
    )
    const publication = await this.#serving.lead(next, draft.containers)
    if (next.keep) writeLasting(publication)
    else if (earlier.keep) removeLasting(earlier.id)
    this.#upkeep.forgetObstacle(earlier.id)
    this.#tell('replaced', publication, { from: earlier.containers })
    return publication
  }
}
