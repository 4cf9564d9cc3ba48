/**
 * Holding a claim: taken once, and kept by signs of life until it is lost or others have changed what is ours.
 *
 *     claim ──▶ a sign of life every few seconds; now and then one for the prefix ──▶ lost, or changed: claim again
 *
 * While etcd is away the claim is what it was: who gives out addresses looks at its time.
 */

import { messageOf } from '../model/errors.ts'
import { type Beat, beat, type Claim, type ClaimContext, claim } from './claim.ts'
import { isStuck, Trying } from './trying.ts'

export interface HoldingOptions extends ClaimContext {
  /** The number that this host had when it last ran. */
  had?: number | undefined
  /** What this host has; again at each sign of life of the prefix. undefined: it is another's. */
  claimed(claim: Claim | undefined): void
  /** etcd does not answer. */
  unheard(why: string): void
  /** As Trying's. */
  say(trouble: string | undefined): void
}

/** Of a lease, the part of its time after which it is asked for again. */
const PREFIX_BEATS = 10

export class Holding {
  readonly #options: HoldingOptions
  readonly #ended: AbortSignal
  readonly #trying: Trying
  #claim: Claim | undefined
  #had: number | undefined
  /** Ends the pause between two signs of life. */
  #wake: (() => void) | undefined
  #isChanged = false

  constructor(options: HoldingOptions, ended: AbortSignal) {
    this.#options = options
    this.#ended = ended
    this.#had = options.had
    this.#trying = new Trying(ended, options.random, options.say)
    ended.addEventListener('abort', () => this.#wake?.())
  }

  get claim(): Claim | undefined {
    return this.#claim
  }

  get trouble(): string | undefined {
    return this.#trying.trouble
  }

  /** Settles when it is over. */
  async run(): Promise<void> {
    await this.#trying.forEver(
      () => this.#hold(),
      thrown => {
        if (isStuck(thrown)) this.#giveUp()
      },
    )
  }

  /** Somebody has changed what is ours: it is claimed again. */
  again(): void {
    this.#isChanged = true
    this.#wake?.()
  }

  /** Whatever its revision, what was written of ours is not there. */
  unwritten(): void {
    if (this.#claim !== undefined) this.#claim = { ...this.#claim, revision: 0 }
  }

  /** What this host believed to have is another's. */
  #giveUp(): void {
    if (this.#claim === undefined) return
    this.#claim = undefined
    this.#options.claimed(undefined)
  }

  #take(next: Claim): void {
    this.#claim = next
    this.#had = next.number
    this.#options.claimed(next)
  }

  async #hold(): Promise<void> {
    const { self, clock } = this.#options
    this.#isChanged = false
    let held = await claim(this.#options, this.#had)
    this.#take(held)
    this.#trying.note(undefined)
    const prefixMs = Math.max(self.beatMs, (self.prefixKeptS * 1_000) / PREFIX_BEATS)
    let due = clock() + prefixMs
    for (;;) {
      await this.#pause(self.beatMs)
      if (this.#ended.aborted || this.#isChanged) return
      const isForPrefix = clock() >= due
      const result = await this.#beat(held, isForPrefix)
      if (result === undefined) continue
      if (result.kind === 'lost') return
      if (!isForPrefix) continue
      due = clock() + prefixMs
      held = result.claim
      this.#take(held)
    }
  }

  /** undefined: etcd is away, and the claim is what it was. */
  async #beat(held: Claim, isForPrefix: boolean): Promise<Beat | undefined> {
    try {
      const result = await beat(this.#options, held, isForPrefix)
      this.#trying.note(undefined)
      return result
    } catch (thrown) {
      this.#trying.note(messageOf(thrown))
      this.#options.unheard(messageOf(thrown))
      return undefined
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const end = (): void => {
        clearTimeout(timer)
        this.#wake = undefined
        resolve()
      }
      const timer = setTimeout(end, ms)
      this.#wake = end
      if (this.#ended.aborted || this.#isChanged) end()
    })
  }
}
