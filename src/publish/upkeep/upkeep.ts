/**
 * Keeps what is published true: follows containers, tries again what something was in the way of, ends what is
 * over. What it does to one publication takes that one's turn (publish.ts says why).
 *
 *     served ──its containers are gone──▶ ended; one that is kept: at rest ──one of them is back──▶ served   kept.ts
 */

import { present } from '../../model/present.ts'
import {
  calledAll,
  type Publication,
  type PublicationEnd,
  type Service,
} from '../../model/publication/publication.ts'
import { everyOne } from '../../model/undo.ts'
import { isThere, thereCheck } from '../../netns/container.ts'
import { readLasting, removeLasting } from '../../records/lasting.ts'
import { readPublication } from '../../records/publications.ts'
import type { Drained } from '../front/drain.ts'
import { Obstacles } from '../obstacles.ts'
import type { Resolver } from '../resolve.ts'
import { type FindMembers, ledBy, membersText } from '../service/service.ts'
import type { Serving } from '../serving.ts'
import type { Turns } from '../turns.ts'
import { findAgain } from './again.ts'
import { Kept } from './kept.ts'
import { Reconsidering } from './reconsider.ts'
import type { Tell } from './tell.ts'

interface Parts {
  serving: Serving
  turns: Turns
  resolver: Resolver
  members: FindMembers
  /** All that is published. */
  list: () => readonly Publication[]
  tell: Tell
}

export class Upkeep {
  readonly #serving: Serving
  readonly #turns: Turns
  readonly #resolver: Resolver
  readonly #members: FindMembers
  readonly #list: Parts['list']
  readonly #tell: Tell
  readonly #obstacles = new Obstacles()
  readonly #reconsidering = new Reconsidering()
  readonly #kept: Kept
  /** Publications that are being looked after. */
  readonly #tended = new Set<string>()
  /** What a process before us was making when it died. */
  readonly #halfMade = new Set<string>()
  /** Settles when what was half made has been taken down, or cannot be yet. */
  settled: Promise<unknown> = Promise.resolve()

  constructor({ serving, turns, resolver, members, list, tell }: Parts) {
    this.#serving = serving
    this.#turns = turns
    this.#resolver = resolver
    this.#members = members
    this.#list = list
    this.#tell = tell
    this.#kept = new Kept({ serving, turns, resolver, members, list, tell })
  }

  /** Publications that wait for their containers, and hold nothing meanwhile. */
  get resting(): readonly Publication[] {
    return this.#kept.list()
  }

  /** What is in the way of a publication. */
  obstacleOf(id: string): string | undefined {
    return this.#obstacles.why(id) ?? this.#kept.obstacleOf(id)
  }

  /** Nothing is in its way any more: somebody has led it elsewhere. */
  forgetObstacle(id: string): void {
    this.#obstacles.overcome(id)
  }

  /** Serves again what is written down; where that cannot be, `tend` tries it again. */
  restore(handedIn: (id: string) => number[][] | undefined = () => undefined): void {
    const isThere = thereCheck()
    for (const publication of this.#list()) {
      if (publication.beginning || publication.ending !== undefined) continue
      try {
        this.#serving.resume(publication, handedIn(publication.id), isThere)
      } catch (thrown) {
        this.#meet(publication, thrown)
      }
    }
    const halfMade = this.#list().filter(({ beginning }) => beginning)
    for (const { id } of halfMade) this.#halfMade.add(id)
    this.settled = Promise.all(halfMade.map(each => this.#look(each, () => this.#takeBack(each))))
  }

  async #takeBack(publication: Publication): Promise<void> {
    const { id } = publication
    await this.#turns.take(id, () => this.#serving.takeBack(publication))
    this.#halfMade.delete(id)
    this.#obstacles.overcome(id)
  }

  /**
   * Looks after every publication once, but for those that still are from an earlier time: one that drains for
   * an hour or whose runtime hangs delays nothing else. To be called every second or so.
   */
  async tend(now = Date.now()): Promise<void> {
    const isThere = thereCheck()
    const isOver = ({ expiresAt }: Publication) => expiresAt !== undefined && expiresAt <= now
    const over = this.resting.filter(isOver)
    await everyOne([
      ...over.map(each => this.#look(each, async () => void (await this.end(each, 'expired')))),
      this.#kept.tend(each => !isOver(each)),
      ...this.#list().flatMap(publication => {
        const { id, ending, containers } = publication
        if (this.#tended.has(id) || this.#obstacles.isResting(id)) return []
        if (this.#halfMade.has(id)) return [this.#look(publication, () => this.#takeBack(publication))]
        const why = ending ?? (isOver(publication) ? 'expired' : undefined)
        if (why !== undefined)
          return [this.#look(publication, async () => void (await this.end(publication, why)))]
        const isWell =
          this.#obstacles.why(id) === undefined &&
          containers.every(each => isThere(each.netns)) &&
          this.#hasSameMembers(publication)
        return isWell ? [] : [this.#look(publication, () => this.#follow(publication))]
      }),
    ])
    const isSettled = ({ id, ending, containers }: Publication) => {
      const isWell = this.#obstacles.why(id) === undefined && !this.#tended.has(id)
      return isWell && ending === undefined && containers.every(each => isThere(each.netns))
    }
    const changed = this.#reconsidering.changed(this.#list, isSettled, each =>
      this.#serving.isObstructedAnew(each),
    )
    await everyOne(changed.map(each => this.#look(each, () => this.#reconsider(each))))
  }

  /** Rules of others have changed: the proxy takes over from the kernel, or the other way round. */
  #reconsider(publication: Publication): Promise<void> {
    const { id } = publication
    return this.#turns.take(id, async () => {
      const isSame = JSON.stringify(readPublication(id)) === JSON.stringify(publication)
      if (!isSame) return this.#reconsidering.again(id)
      const led = await this.#serving.reconsider(publication)
      const { natObstacle } = led
      this.#tell(natObstacle === undefined ? 'cleared' : 'obstructed', led, { why: natObstacle })
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
    if (why !== undefined) this.#tell('waiting', publication, { why })
  }

  /** Leads services to those who are called so by now. */
  async followServices(): Promise<void> {
    const changed = this.#list().filter(
      each => each.ending === undefined && !this.#tended.has(each.id) && !this.#hasSameMembers(each),
    )
    await everyOne(changed.map(each => this.#look(each, () => this.#follow(each))))
  }

  #hasSameMembers(publication: Publication): boolean {
    const { service } = publication
    if (service === undefined || publication.beginning) return true
    return this.#serving.leadsTo(publication, ledBy(this.#members, service, service.away))
  }

  async #followService(publication: Publication, service: Service): Promise<void> {
    const { id } = publication
    const isObstructed = this.#obstacles.why(id) !== undefined
    await this.#turns.take(id, async () => {
      const unchanged = JSON.stringify(readPublication(id)) === JSON.stringify(publication)
      if (!unchanged) return
      const next = ledBy(this.#members, service, service.away)
      const isLed = this.#serving.leadsTo(publication, next)
      const led = isLed
        ? publication
        : await this.#serving.lead({ ...publication, ...present({ service: next.service }) }, next.containers)
      if (!this.#obstacles.overcome(id) && isLed) return
      if (isObstructed) this.#tell('serving', led)
      else
        this.#tell('moved', led, {
          from: publication.containers,
          why: `it leads to ${membersText(led) || 'nobody'}`,
        })
    })
  }

  /** Containers of a publication went away, or came back as others; or something was in its way. */
  async #follow(publication: Publication): Promise<void> {
    const { id } = publication
    if (publication.service !== undefined) return this.#followService(publication, publication.service)
    const isObstructed = this.#obstacles.why(id) !== undefined
    const { containers, areGone, failures } = await findAgain(publication, this.#resolver, isObstructed)
    await this.#turns.take(id, async () => {
      const unchanged = JSON.stringify(readPublication(id)) === JSON.stringify(publication)
      if (!unchanged) return
      if (areGone) return void (await this.#endNow(publication, 'ended'))
      const isLed = this.#serving.leadsTo(publication, { containers })
      const led = isLed ? publication : await this.#serving.lead(publication, containers)
      if (failures.length > 0) throw new AggregateError(failures)
      if (!this.#obstacles.overcome(id) && isLed) return
      const stopped = containers.filter(each => !isThere(each.netns))
      const isStopped = stopped.length === containers.length
      if (isStopped) this.#tell('waiting', led, { why: `${calledAll(stopped)} does not run` })
      else if (isObstructed) this.#tell('serving', led)
      else this.#tell('moved', led, { from: publication.containers })
    })
  }

  /** Ends a publication; one that has ended already stays so. @throws what could not be taken down */
  end({ id }: Publication, why: PublicationEnd): Promise<Drained | undefined> {
    return this.#turns.take(id, async () => {
      const publication = readPublication(id)
      if (publication !== undefined) return this.#endNow(publication, why)
      const resting = readLasting(id)
      if (resting === undefined) return undefined
      removeLasting(id)
      this.#kept.forget(id)
      this.#tell(why, resting)
      return undefined
    })
  }

  async #endNow(publication: Publication, why: PublicationEnd): Promise<Drained> {
    const { id, keep = false } = publication
    const rests = keep && why === 'ended'
    // First, or it would be back after a reboot while connections finish.
    if (keep && !rests) removeLasting(id)
    const drained = await this.#serving.end(publication, why)
    this.#obstacles.overcome(id)
    // Of one that rests is told what it waits for.
    if (!rests) this.#tell(why, publication)
    return drained
  }
}
