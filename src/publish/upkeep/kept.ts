/**
 * Publications that are kept (`publish --keep`) while nobody is there whom they could lead to: their containers are gone, or
 * the host was started again.
 *
 * At rest a publication is a file and nothing else (records/lasting.ts). It claims no port, so that a container that is gone
 * for good keeps nobody from one, as a stopped container of Docker's does not. Every second its containers are looked for,
 * by what they are called; when one is back, it is begun as if somebody had published it anew, under the id that it had.
 * Whoever has the port by then keeps it: the publication waits, and says for whom. One that is for a service waits for no
 * container, and is begun at once.
 */

import { hasCode, messageOf } from '../../model/errors.ts'
import { type Container, calledAll, type Publication } from '../../model/publication/publication.ts'
import { everyOne, withUndo } from '../../model/undo.ts'
import { lastingIndex, readLasting } from '../../records/lasting.ts'
import { readPublication } from '../../records/publications.ts'
import { UNTIL_BACK } from '../condition.ts'
import type { Led } from '../draft.ts'
import { Obstacles } from '../obstacles.ts'
import type { Resolver } from '../resolve.ts'
import { type FindMembers, ledBy } from '../service/service.ts'
import type { Serving } from '../serving.ts'
import type { Turns } from '../turns.ts'
import { isGone } from './again.ts'
import type { Tell } from './tell.ts'

interface Parts {
  serving: Pick<Serving, 'begin'>
  turns: Turns
  resolver: Pick<Resolver, 'findAgain'>
  members: FindMembers
  /** All that is served. */
  list: () => readonly Publication[]
  tell: Tell
}

/** Nobody knows its containers, or they do not run. */
class NotThere extends Error {}

export class Kept {
  readonly #parts: Parts
  readonly #lasting = lastingIndex()
  /** Whose containers are not there, and what is said of them: they are looked for every time. */
  readonly #absent = new Map<string, string>()
  /** What else is in the way is tried again less and less often. */
  readonly #obstacles = new Obstacles()
  /** Publications that are being looked after. */
  readonly #tended = new Set<string>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** All that are at rest. */
  list(): readonly Publication[] {
    const all = this.#lasting.list()
    if (all.length === 0) return all
    const served = new Set(this.#parts.list().map(({ id }) => id))
    return all.filter(({ id }) => !served.has(id))
  }

  /** Why one is at rest. */
  obstacleOf(id: string): string | undefined {
    return this.#obstacles.why(id) ?? this.#absent.get(id)
  }

  /** It is not at rest any more, or not there. */
  forget(id: string): void {
    this.#obstacles.overcome(id)
    this.#absent.delete(id)
  }

  /** Begins those whose containers are back. @param isDue false for those that are to be left alone */
  async tend(isDue: (publication: Publication) => boolean): Promise<void> {
    const find = this.#finder()
    const due = this.list().filter(
      each => isDue(each) && !this.#tended.has(each.id) && !this.#obstacles.isResting(each.id),
    )
    await everyOne(due.map(each => this.#look(each, find)))
  }

  /** Looks for each container once, however many publications lead to it. */
  #finder(): Find {
    const found = new Map<string, Promise<Container>>()
    return container => {
      const key = `${container.reference} ${container.asked}`
      const looking = found.get(key) ?? this.#parts.resolver.findAgain(container)
      found.set(key, looking)
      return looking
    }
  }

  async #look(publication: Publication, find: Find): Promise<void> {
    const { id } = publication
    this.#tended.add(id)
    try {
      const { service } = publication
      const led =
        service === undefined
          ? { containers: await foundOf(publication, find) }
          : ledBy(this.#parts.members, service)
      await this.#begin(id, led)
    } catch (thrown) {
      this.#meet(publication, thrown)
    } finally {
      this.#tended.delete(id)
    }
  }

  #begin(id: string, led: Led): Promise<void> {
    const { turns, serving, tell } = this.#parts
    return turns.take(id, async () => {
      const resting = readLasting(id)
      // Somebody ended it meanwhile, or has begun it.
      if (resting === undefined || readPublication(id) !== undefined) return
      const served = await withUndo(undo => serving.begin({ ...resting, ...led }, undo))
      this.forget(id)
      tell('serving', served, { why: served.natObstacle })
    })
  }

  #meet(publication: Publication, thrown: unknown): void {
    const { id } = publication
    const why = messageOf(thrown)
    let isNews: boolean
    if (thrown instanceof NotThere) {
      isNews = this.#absent.get(id) !== why
      this.#absent.set(id, why)
      this.#obstacles.overcome(id)
    } else {
      this.#absent.delete(id)
      isNews = this.#obstacles.meet(id, thrown) !== undefined
    }
    if (isNews) this.#parts.tell('waiting', publication, { why })
  }
}

type Find = (container: Container) => Promise<Container>

/**
 * The containers of a publication: those that are found as they are now, the others nowhere.
 * @throws NotThere, or why nobody can say, where none is found
 */
async function foundOf({ containers }: Publication, find: Find): Promise<Container[]> {
  const failures: unknown[] = []
  const found = await Promise.all(
    containers.map(container =>
      find(container).catch((thrown: unknown) => {
        failures.push(thrown)
        return container
      }),
    ),
  )
  if (failures.length < containers.length) return found
  const unclear = failures.find(
    thrown => !hasCode(thrown, 'not-running') && !containers.some(each => isGone(each, thrown)),
  )
  if (unclear !== undefined) throw unclear
  const is = failures.some(thrown => hasCode(thrown, 'not-running')) ? 'does not run' : 'is not there'
  throw new NotThere(`${calledAll(containers)} ${is}; ${UNTIL_BACK}`)
}
