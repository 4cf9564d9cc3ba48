/**
 * Being one of the hosts of a network: its own claim, and who the others are.
 *
 *     holding.ts     its claim ──▶ claimed(…)
 *     following.ts   what stands in etcd ──▶ members.ts, who is a host ──▶ changed(…)
 *
 * The two go on side by side and for ever: what fails is tried again, a little later each time (trying.ts). While etcd is
 * away nothing changes: members stay as they were last known. When etcd's data is lost, those who were there are kept for
 * as long as hosts that say nothing, unless others have their prefixes.
 */

import type { Claim, ClaimContext } from './claim.ts'
import { Following, type Mark } from './following.ts'
import { Holding } from './holding.ts'
import type { View } from './keys.ts'
import { type Member, Members, type MembersChange } from './members.ts'

export interface MembershipOptions extends ClaimContext {
  /** The number that this host had when it last ran. */
  had?: number | undefined
  /** Who the others were when something was last heard of them. */
  known?: (Mark & { members: Member[] }) | undefined
  /** All others were read, or some of them have changed. */
  changed(change: MembersChange): void
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

/** So many lines about what others wrote are said at a time. */
const COMPLAINTS = 20

export class Membership {
  readonly #options: MembershipOptions
  readonly #members: Members
  readonly #holding: Holding
  readonly #following: Following
  readonly #ended = new AbortController()
  #running: Promise<unknown> = Promise.resolve()
  /** What was said of what others wrote. */
  #complained = new Set<string>()

  constructor(options: MembershipOptions) {
    this.#options = options
    const { keys, store, random, self, log } = options
    const say = (goesOn: string) => (trouble: string | undefined) =>
      log(`hosts of ${keys.all}: ${trouble ?? `${goesOn} goes on`}`)
    this.#members = new Members(self.layout.pools)
    this.#members.keep(options.known?.members ?? [])
    this.#holding = new Holding(
      { ...options, unheard: why => this.#following.interrupt(why), say: say('the claim') },
      this.#ended.signal,
    )
    this.#following = new Following(
      {
        store,
        keys,
        random,
        known: options.known,
        read: (view, isAnother) => this.#read(view, isAnother),
        changed: (view, ids) => this.#tell(this.#members.look(view, ids, options.clock())),
        say: say('the watch'),
      },
      this.#ended.signal,
    )
  }

  get state(): MembershipState {
    const { claim, trouble = this.#following.trouble } = this.#holding
    return {
      members: this.members,
      revision: this.view.revision,
      ...(claim !== undefined && { claim }),
      ...(trouble !== undefined && { trouble }),
    }
  }

  /** The others. */
  get members(): Member[] {
    return this.#members.all.filter(this.#isOther)
  }

  /** What stands in etcd, as it was last known. */
  get view(): View {
    return this.#following.view
  }

  begin(): void {
    this.#running = Promise.all([this.#holding.run(), this.#following.run()])
  }

  /** Nothing is told any more. What stands in etcd stays, for whoever comes next. */
  async end(): Promise<void> {
    this.#ended.abort()
    await this.#running
  }

  /** Those whose time is over go, also while nothing else happens. */
  look(): void {
    const change = this.#members.look(this.view, new Set(), this.#options.clock())
    if (change.go.length > 0) this.#options.changed(change)
  }

  readonly #isOther = ({ id }: Member): boolean => id !== this.#options.self.id

  #read(view: View, isAnother: boolean): void {
    const { clock, self, log, keys } = this.#options
    if (isAnother) {
      this.#members.keep(this.members, clock() + self.routesKeptS * 1_000)
      this.#holding.unwritten()
      log(
        `hosts of ${keys.all}: the data of etcd is lost, or older than it was; hosts stay until they are known again`,
      )
    }
    this.#tell(this.#members.read(view, clock()))
  }

  #tell({ go, come }: MembersChange): void {
    const { view } = this
    this.#complain([
      ...this.#members.odd,
      ...[...view.ignored].map(([key, why]) => `${key} ${why}, and is ignored`),
    ])
    this.#options.changed({ go: go.filter(this.#isOther), come: come.filter(this.#isOther) })
    if (this.#isChangedByOthers(view)) this.#holding.again()
  }

  #complain(lines: string[]): void {
    const { log } = this.#options
    const fresh = lines.filter(line => !this.#complained.has(line))
    for (const line of fresh.slice(0, COMPLAINTS)) log(line)
    if (fresh.length > COMPLAINTS) log(`… and ${fresh.length - COMPLAINTS} more that mean nothing`)
    this.#complained = new Set(lines)
  }

  /** What is ours in etcd is not what we wrote there. */
  #isChangedByOthers({ revision, hosts, claims }: View): boolean {
    const { claim } = this.#holding
    const { id, word } = this.#options.self
    if (claim === undefined || revision < claim.revision) return false
    return claims.get(claim.number)?.value !== id || hosts.get(id)?.value.instance !== word.instance
  }
}
