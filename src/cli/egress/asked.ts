/**
 * Names that containers asked for, as the daemon tells of them while it is listened to. One that is succeeded is followed, and one that
 * comes later is found.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { type ControlClient, connectControl } from '../../control/client.ts'
import type { Event } from '../../control/control.ts'
import { messageOf } from '../../model/errors.ts'

const AGAIN_EVERY_MS = 250

/** Of addresses with a name each: more are printed as addresses. */
const PAIRS_MAX = 65_536

export class AskedNames {
  readonly #names = new Map<string, Set<string>>()
  readonly #say: (line: string) => void
  readonly #said = new Set<string>()
  #pairs = 0

  /** @param say is told once each, why addresses lack names */
  constructor(say: (line: string) => void) {
    this.#say = say
  }

  /** All names that led to an address while we listened. */
  of(address: string): string[] {
    return [...(this.#names.get(address) ?? [])]
  }

  /**
   * Listens for what these attachments are told, until it is over.
   * @returns once it is listened to, or there is nobody to listen to
   */
  async listen(owners: readonly string[], over: AbortSignal): Promise<void> {
    const first = await this.#begin(owners)
    void this.#follow(first, owners, over)
  }

  async #follow(first: ControlClient | undefined, owners: readonly string[], over: AbortSignal) {
    const isOver = new Promise<void>(resolve => over.addEventListener('abort', () => resolve()))
    let client = first
    while (!over.aborted) {
      await Promise.race([client?.closed ?? sleep(AGAIN_EVERY_MS, undefined, { ref: false }), isOver])
      client?.[Symbol.dispose]()
      client = over.aborted ? undefined : await this.#begin(owners)
      if (client !== undefined)
        this.#say('a daemon is listened to again: names asked for meanwhile are not known')
    }
    client?.[Symbol.dispose]()
  }

  async #begin(owners: readonly string[]): Promise<ControlClient | undefined> {
    try {
      const client = await connectControl(event => this.hear(event))
      if (client === undefined) {
        this.#sayOnce('no daemon runs, which would tell the names that are asked for')
        return undefined
      }
      await client.ask('watch-names', { owners })
      return client
    } catch (thrown) {
      this.#sayOnce(messageOf(thrown))
      return undefined
    }
  }

  /** What the daemon tells is what strangers answered a container. */
  hear({ event, about }: Event): void {
    const { name, addresses } = (about ?? {}) as { name?: unknown; addresses?: unknown }
    if (event === 'lost') this.#sayOnce('more names are asked for than can be followed')
    if (event !== 'told' || typeof name !== 'string' || !Array.isArray(addresses)) return
    for (const address of addresses) if (typeof address === 'string') this.#note(address, name)
  }

  #note(address: string, name: string): void {
    const names = this.#names.get(address) ?? new Set<string>()
    if (names.has(name)) return
    if (this.#pairs >= PAIRS_MAX) {
      this.#sayOnce('more names are asked for than can be kept')
      return
    }
    this.#pairs++
    this.#names.set(address, names.add(name))
  }

  #sayOnce(why: string): void {
    if (this.#said.has(why)) return
    this.#said.add(why)
    this.#say(`addresses may lack their names: ${why}`)
  }
}
