/** The successor's side of a hand-over, see handover.ts: what it says to the daemon that runs. */

import { setTimeout as sleep } from 'node:timers/promises'
import { type ControlClient, connectControl, HungUp } from '../control/client.ts'
import { hasEnded } from '../ffi/pidfd.ts'
import { hasCode, TsnetError } from '../model/errors.ts'
import { type Inheritance, inherit, TAKEN_BACK } from './handover.ts'
import { type Greeting, readGreeting, readHandover } from './handover-words.ts'
import type { Listening } from './listen.ts'

/** It first ends what it has begun: clients of what is being unpublished may finish. */
const HAND_OVER_WITHIN_MS = 120_000

/** One that runs answers at once. */
const CONFIRM_WITHIN_MS = 10_000

/** A process closes its connections before one can see that it has ended. */
const ENDING_MS = 1_000

export class Predecessor implements Disposable {
  readonly #client: ControlClient
  readonly #isTakenBack: () => boolean
  #inherited: Inheritance | undefined

  private constructor(client: ControlClient, isTakenBack: () => boolean) {
    this.#client = client
    this.#isTakenBack = isTakenBack
  }

  /** The daemon that runs; undefined where there is none. */
  static async find(): Promise<Predecessor | undefined> {
    let isTakenBack = false
    const client = await connectControl(({ event }) => {
      isTakenBack ||= event === TAKEN_BACK
    })
    return client && new Predecessor(client, () => isTakenBack)
  }

  async greet(): Promise<Greeting> {
    return readGreeting(await this.#client.ask('ping'))
  }

  /**
   * It stands still from here on, for a while.
   * @returns undefined where it has died, or is ending: what it has is written down
   * @throws TsnetError, SystemError; it goes on then
   */
  async handOver(): Promise<Inheritance | undefined> {
    try {
      this.#inherited = inherit(readHandover(await this.#client.ask('hand-over', {}, HAND_OVER_WITHIN_MS)))
    } catch (thrown) {
      // ESRCH: it died after it had answered.
      if (this.#isTakenBack() || !(thrown instanceof HungUp || hasCode(thrown, 'ESRCH'))) throw thrown
    }
    return this.#inherited
  }

  /**
   * The last word: it lets go, and our sockets have their names.
   * @throws TsnetError where it goes on instead; then we are none
   */
  async replace(ours: readonly Listening[]): Promise<void> {
    if (this.#inherited?.names === false) for (const each of ours) each.name()
    try {
      await this.#client.ask('handed-over', { pid: process.pid }, CONFIRM_WITHIN_MS)
    } catch (thrown) {
      if (ours.every(({ isNamed }) => isNamed) && this.#inherited?.names === true) return
      if (this.#isTakenBack() || !(await this.#hasEnded())) throw tooLate(thrown)
      // It died as it heard us, or before. Nobody else has what it had.
      for (const each of ours) if (!each.isNamed) each.name()
    }
  }

  async #hasEnded(): Promise<boolean> {
    const from = this.#inherited?.from
    const until = performance.now() + ENDING_MS
    while (from !== undefined && !hasEnded(from) && performance.now() < until) await sleep(10)
    return from !== undefined && hasEnded(from)
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]()
    this.#inherited?.from[Symbol.dispose]()
  }
}

const tooLate = (cause: unknown): TsnetError =>
  new TsnetError('try-again', 'the daemon that runs goes on: taking over from it took too long', { cause })
