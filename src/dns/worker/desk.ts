/**
 * Where a question over TCP comes in and its answer goes out: known here, or by those that are asked.
 */

import { type Asker, answer } from '../answer.ts'
import type { Forwarder } from '../forward.ts'
import type { Zone } from '../zone.ts'

export type Send = (bytes: Uint8Array) => void

export class Desk {
  readonly #zone: Zone
  readonly #forwarder: Forwarder
  readonly #hear: () => void
  readonly #onFault: (thrown: unknown) => void

  /** @param hear takes what has been told by now: what was told before somebody asked is in his answer */
  constructor(zone: Zone, forwarder: Forwarder, hear: () => void, onFault: (thrown: unknown) => void) {
    this.#zone = zone
    this.#forwarder = forwarder
    this.#hear = hear
    this.#onFault = onFault
  }

  /**
   * Answers, or has others answer.
   * @returns once there is nothing more to be sent for it; undefined: there was not from the beginning
   */
  take(message: Uint8Array, asker: Asker, send: Send): Promise<void> | undefined {
    try {
      this.#hear()
      const outcome = answer(message, asker, this.#zone)
      if (outcome === undefined) return undefined
      if (outcome.kind === 'answer') {
        send(outcome.bytes)
        return undefined
      }
      return this.#forwarder
        .answer(outcome, asker)
        .then(bytes => {
          if (bytes !== undefined) send(bytes)
        })
        .catch(this.#onFault)
    } catch (thrown) {
      this.#onFault(thrown)
      return undefined
    }
  }
}
