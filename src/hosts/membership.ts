/**
 * Being one of the hosts of a network: its own claim, and who the others are.
 *
 *     claiming     claim ──▶ a sign of life every few seconds ──▶ lost, or changed by others: claim again
 *     following    read all at a revision ──▶ watch from the next one on ──▶ it ended, however: read all again
 *                                  └──────────┬──────────┘
 *                                       view ─┴─▶ members ──▶ changed(…), for many changes at once
 *
 * The two go on side by side and for ever: what fails is tried again, a little later each time. While etcd is away
 * nothing changes: members stay as they were last known.
 *
 * A watch that ends has perhaps missed something, whatever it says, so nothing is concluded from the reason. What is read
 * anew is compared with what was known: who is not there any more has gone. But when the history is another one (another
 * cluster, or revisions that went back), the data is lost and not the hosts: those that were there are kept for as long as
 * hosts that say nothing, unless others have their prefixes.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode, messageOf } from '../model/errors.ts'
import { beat, type Claim, type ClaimContext, claim, readView } from './claim.ts'
import { drop, emptyView, type Member, membersOf, take, type View } from './keys.ts'

export interface MembershipOptions extends ClaimContext {
  /** The number that this host had when it last ran. */
  had?: number | undefined
  /** Now these are the others. */
  changed(members: Member[]): void
  /** What this host has; again at each sign of life of the prefix. undefined: it is another's. */
  claimed(claim: Claim | undefined): void
  log(line: string): void
}

export interface MembershipState {
  claim?: Claim
  members: Member[]
  /** Of etcd, when something was last heard of it. */
  revision: number
  /** Why nothing is heard, or this host has no prefix. */
  trouble?: string
}

/** The first change is told at once, and what comes while there are many so often: each costs the kernel the same. */
const BATCH_MS = 10
const BETWEEN_MS = 100
const RETRY_MS = [100, 250, 500, 1_000, 2_000, 5_000]
/** Of what only people can change. */
const STUCK_MS = 15_000
/** Of a lease, the part of its time after which it is asked for again. */
const PREFIX_BEATS = 10

export class Membership {
  readonly #options: MembershipOptions
  #view: View = emptyView('', 0)
  #members: Member[] = []
  /** Hosts of a history that is lost, and until when they are kept. */
  readonly #ghosts = new Map<string, { member: Member; until: number }>()
  #claim: Claim | undefined
  #had: number | undefined
  readonly #troubles = new Map<'claim' | 'watch', string>()
  readonly #ended = new AbortController()
  #running: Promise<unknown> = Promise.resolve()
  #batch: NodeJS.Timeout | undefined
  #toldAt = Number.NEGATIVE_INFINITY
  /** Wakes the one who claims. */
  #wake: (() => void) | undefined

  constructor(options: MembershipOptions) {
    this.#options = options
    this.#had = options.had
  }

  get state(): MembershipState {
    const [trouble] = this.#troubles.values()
    return {
      members: this.#members,
      revision: this.#view.revision,
      ...(this.#claim !== undefined && { claim: this.#claim }),
      ...(trouble !== undefined && { trouble }),
    }
  }

  /** What stands in etcd, as it was last known. */
  get view(): View {
    return this.#view
  }

  begin(): void {
    this.#running = Promise.all([
      this.#again('claim', () => this.#hold()),
      this.#again('watch', () => this.#follow()),
    ])
  }

  /** Nothing is told any more. What stands in etcd stays, for whoever comes next. */
  async end(): Promise<void> {
    this.#ended.abort()
    this.#wake?.()
    this.#endWatch?.('it is over')
    clearTimeout(this.#batch)
    await this.#running
  }

  get #isOver(): boolean {
    return this.#ended.signal.aborted
  }

  /** @param work ends when it is time to begin it anew */
  async #again(what: 'claim' | 'watch', work: () => Promise<void>): Promise<void> {
    for (let failures = 0; !this.#isOver; ) {
      try {
        await work()
        failures = 0
      } catch (thrown) {
        if (this.#isOver) return
        this.#note(what, messageOf(thrown))
        const isStuck = hasCode(thrown, 'conflict', 'exhausted')
        if (what === 'claim' && isStuck) this.#giveUp()
        const wait = isStuck ? STUCK_MS : (RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] ?? 0)
        failures++
        await this.#sleep(wait * (0.5 + this.#options.random() / 2))
      }
    }
  }

  /** The first of its kind, and the first that is otherwise, is said. */
  #note(what: 'claim' | 'watch', trouble: string | undefined): void {
    if (this.#troubles.get(what) === trouble) return
    if (trouble === undefined) this.#troubles.delete(what)
    else this.#troubles.set(what, trouble)
    const { log, keys } = this.#options
    log(`hosts of ${keys.all}: ${trouble ?? `${what === 'claim' ? 'the claim' : 'the watch'} goes on`}`)
  }

  async #sleep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#ended.signal }).catch(() => {})
  }

  /** What this host believed to have is another's. */
  #giveUp(): void {
    if (this.#claim === undefined) return
    this.#claim = undefined
    this.#options.claimed(undefined)
  }

  async #hold(): Promise<void> {
    const { self, claimed } = this.#options
    let held = await claim(this.#options, this.#had)
    const take = (next: Claim): void => {
      held = next
      this.#claim = next
      this.#had = next.number
      claimed(next)
    }
    take(held)
    this.#note('claim', undefined)
    const prefixMs = Math.max(self.beatMs, (self.prefixKeptS * 1_000) / PREFIX_BEATS)
    let due = this.#options.clock() + prefixMs
    while (!this.#isOver) {
      if (await this.#pauseOrWoken(self.beatMs)) return
      if (this.#isOver) return
      const isForPrefix = this.#options.clock() >= due
      const result = await this.#beat(held, isForPrefix)
      if (result === undefined) continue
      if (result.kind === 'lost') return
      if (!isForPrefix) continue
      due = this.#options.clock() + prefixMs
      take(result.claim)
    }
  }

  /** undefined: etcd is away, and the claim is what it was. */
  async #beat(held: Claim, isForPrefix: boolean) {
    try {
      const result = await beat(this.#options, held, isForPrefix)
      this.#note('claim', undefined)
      return result
    } catch (thrown) {
      this.#note('claim', messageOf(thrown))
      // A watch over a connection that leads nowhere would say nothing for minutes.
      this.#endWatch?.(messageOf(thrown))
      return undefined
    }
  }

  /** @returns whether somebody has changed what is ours */
  #pauseOrWoken(ms: number): Promise<boolean> {
    return new Promise(resolve => {
      const timer = setTimeout(() => this.#wake?.(), ms)
      let isChanged = false
      this.#wake = () => {
        clearTimeout(timer)
        this.#wake = undefined
        resolve(isChanged)
      }
      this.#reclaim = () => {
        isChanged = true
        this.#wake?.()
      }
      if (this.#isOver) this.#wake()
    })
  }
  #reclaim: (() => void) | undefined

  async #follow(): Promise<void> {
    const { store, keys } = this.#options
    const view = await readView(store, keys)
    if (this.#isOver) return
    this.#mourn(view)
    this.#view = view
    this.#tell()
    const why = await new Promise<string>(resolve => {
      const stop = store.watch(keys.all, view.revision + 1, {
        events: (events, revision) => {
          for (const event of events) {
            if (event.kind === 'put') take(view, keys, event.value)
            else drop(view, keys, event.key)
          }
          view.revision = Math.max(view.revision, revision)
          const wait = Math.max(BATCH_MS, this.#toldAt + BETWEEN_MS - performance.now())
          this.#batch ??= setTimeout(() => this.#tell(), wait)
        },
        ended: resolve,
      })
      this.#endWatch = why => {
        stop()
        resolve(why)
      }
      if (this.#isOver) this.#endWatch('it is over')
      this.#note('watch', undefined)
    })
    this.#endWatch = undefined
    if (!this.#isOver) throw new Error(`the watch ended: ${why}`)
  }
  #endWatch: ((why: string) => void) | undefined

  /** Those of a lost history are not gone because nobody remembers them. */
  #mourn(next: View): void {
    const { clock, self, log, keys } = this.#options
    const last = this.#view
    const isAnother = last.revision > 0 && (next.cluster !== last.cluster || next.revision < last.revision)
    if (!isAnother) return
    const until = clock() + self.routesKeptS * 1_000
    for (const member of this.#members) this.#ghosts.set(member.id, { member, until })
    // Whatever its number, what was written of ours is not there.
    if (this.#claim !== undefined) this.#claim = { ...this.#claim, revision: 0 }
    log(
      `hosts of ${keys.all}: the data of etcd is lost, or older than it was; hosts stay until they are known again`,
    )
  }

  #tell(): void {
    clearTimeout(this.#batch)
    this.#batch = undefined
    if (this.#isOver) return
    this.#toldAt = performance.now()
    const { self, changed, log } = this.#options
    const view = this.#view
    const { members, odd } = membersOf(view, self.layout.pools)
    this.#complain([...odd, ...[...view.ignored].map(([key, why]) => `${key} ${why}, and is ignored`)], log)
    this.#members = [...members, ...this.#survivors(view, members)].filter(({ id }) => id !== self.id)
    changed(this.#members)
    if (this.#isChangedByOthers()) this.#reclaim?.()
  }

  #complained = new Set<string>()
  #complain(lines: string[], log: (line: string) => void): void {
    for (const line of lines) if (!this.#complained.has(line)) log(line)
    this.#complained = new Set(lines)
  }

  #survivors(view: View, members: Member[]): Member[] {
    const now = this.#options.clock()
    const ids = new Set(members.map(({ id }) => id))
    for (const [id, { member, until }] of this.#ghosts) {
      if (until <= now || ids.has(id) || view.claims.has(member.number)) this.#ghosts.delete(id)
    }
    return [...this.#ghosts.values()].map(({ member }) => member)
  }

  /** What is ours in etcd is not what we wrote there. */
  #isChangedByOthers(): boolean {
    const held = this.#claim
    const { self } = this.#options
    if (held === undefined || this.#view.revision < held.revision) return false
    const word = this.#view.hosts.get(self.id)
    return (
      this.#view.claims.get(held.number)?.value !== self.id || word?.value.instance !== self.word.instance
    )
  }
}
