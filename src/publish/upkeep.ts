/**
 * Keeps what is published true: follows containers, tries again what something was in the way of, ends what is
 * over. What it does to one publication takes that one's turn (publish.ts says why).
 */

import {
  type Container,
  calledAll,
  type Publication,
  type PublicationEnd,
  type PublicationEvent,
} from '../model/publication/publication.ts'
import { everyOne } from '../model/undo.ts'
import { isThere, thereCheck } from '../netns/container.ts'
import { readPublication } from '../records/publications.ts'
import { findAgain } from './again.ts'
import type { Drained } from './front/drain.ts'
import { Obstacles } from './obstacles.ts'
import { Reconsidering } from './reconsider.ts'
import type { Resolver } from './resolve.ts'
import type { Serving } from './serving.ts'
import type { Turns } from './turns.ts'

/** Hears what happens to a publication; of waiting why, and where it led before where it leads elsewhere now. */
export type Tell = (
  event: PublicationEvent,
  about: Publication,
  more?: { why?: string | undefined; from?: readonly Container[] },
) => void

interface Parts {
  serving: Serving
  turns: Turns
  resolver: Resolver
  /** All that is published. */
  list: () => readonly Publication[]
  tell: Tell
}

export class Upkeep {
  readonly #serving: Serving
  readonly #turns: Turns
  readonly #resolver: Resolver
  readonly #list: Parts['list']
  readonly #tell: Tell
  readonly #obstacles = new Obstacles()
  readonly #reconsidering = new Reconsidering()
  /** Publications that are being looked after. */
  readonly #tended = new Set<string>()

  constructor({ serving, turns, resolver, list, tell }: Parts) {
    this.#serving = serving
    this.#turns = turns
    this.#resolver = resolver
    this.#list = list
    this.#tell = tell
  }

  /** What is in the way of a publication. */
  obstacleOf(id: string): string | undefined {
    return this.#obstacles.why(id)
  }

  /** Nothing is in its way any more: somebody has led it elsewhere. */
  forgetObstacle(id: string): void {
    this.#obstacles.overcome(id)
  }

  /** Serves again what is written down; where that cannot be, `tend` tries it again. */
  restore(handedIn: (id: string) => number[][] | undefined = () => undefined): void {
    const isThere = thereCheck()
    for (const publication of this.#list()) {
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
      this.#list().flatMap(publication => {
        const { id, expiresAt, ending, containers } = publication
        if (this.#tended.has(id) || this.#obstacles.isResting(id)) return []
        const isOver = expiresAt !== undefined && expiresAt <= now
        const why = ending ?? (isOver ? 'expired' : undefined)
        if (why !== undefined)
          return [this.#look(publication, async () => void (await this.end(publication, why)))]
        const isWell = this.#obstacles.why(id) === undefined && containers.every(each => isThere(each.netns))
        return isWell ? [] : [this.#look(publication, () => this.#follow(publication))]
      }),
    )
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

  /** Containers of a publication went away, or came back as others; or something was in its way. */
  async #follow(publication: Publication): Promise<void> {
    const { id } = publication
    const isObstructed = this.#obstacles.why(id) !== undefined
    const { containers, failures } = await findAgain(publication.containers, this.#resolver, isObstructed)
    await this.#turns.take(id, async () => {
      const unchanged = JSON.stringify(readPublication(id)) === JSON.stringify(publication)
      if (!unchanged) return
      if (containers.length === 0) return void (await this.#endNow(publication, 'ended'))
      const isLed = this.#serving.leadsTo(publication, containers)
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
      return publication && this.#endNow(publication, why)
    })
  }

  async #endNow(publication: Publication, why: PublicationEnd): Promise<Drained> {
    const drained = await this.#serving.end(publication, why)
    this.#obstacles.overcome(publication.id)
    this.#tell(why, publication)
    return drained
  }
}
