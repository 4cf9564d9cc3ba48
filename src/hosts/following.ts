/**
 * What stands in etcd, followed.
 *
 *     read all at a revision ──▶ watch from the next one on ──▶ it ended, however: read all again
 *              └──────────┬──────────┘
 *                        view ──▶ changed(…), for many changes at once
 *
 * A watch that ends has perhaps missed something, whatever it says, so nothing is concluded from the reason. What is read
 * anew is compared with what was known. When the history is another one (another cluster, or revisions that went back),
 * that is said beside it: then the data is lost, and not the hosts.
 */

import { readView } from './claim.ts'
import type { Store, WatchEvent } from './etcd/etcd.ts'
import { drop, emptyView, hostIn, type Keys, take, type View } from './keys.ts'
import { Trying } from './trying.ts'

/** Of a history. */
export type Mark = Pick<View, 'cluster' | 'revision'>

export interface FollowingOptions {
  store: Store
  keys: Keys
  random(): number
  /** Which history was known before this one began to follow; absent: none. */
  known?: Mark | undefined
  /** All was read anew. @param isAnother it is another history than before */
  read(view: View, isAnother: boolean): void
  /** Of these hosts something has changed. */
  changed(view: View, ids: ReadonlySet<string>): void
  /** As Trying's. */
  say(trouble: string | undefined): void
}

/** The first change is told at once, and what comes while there are many so often: each costs the kernel the same. */
const BATCH_MS = 10
const BETWEEN_MS = 100

export class Following {
  readonly #options: FollowingOptions
  readonly #ended: AbortSignal
  readonly #trying: Trying
  #view: View
  /** Of which hosts something has changed since that was last told. */
  #touched = new Set<string>()
  #batch: NodeJS.Timeout | undefined
  #toldAt = Number.NEGATIVE_INFINITY
  #endWatch: ((why: string) => void) | undefined

  constructor(options: FollowingOptions, ended: AbortSignal) {
    this.#options = options
    this.#ended = ended
    const { cluster, revision } = options.known ?? { cluster: '', revision: 0 }
    this.#view = emptyView(cluster, revision)
    this.#trying = new Trying(ended, options.random, options.say)
    ended.addEventListener('abort', () => this.interrupt('it is over'))
  }

  /** What stands in etcd, as it was last known. */
  get view(): View {
    return this.#view
  }

  get trouble(): string | undefined {
    return this.#trying.trouble
  }

  /** Settles when it is over. */
  async run(): Promise<void> {
    await this.#trying.forEver(() => this.#follow())
    clearTimeout(this.#batch)
  }

  /** Reads all anew: a watch over a connection that leads nowhere would say nothing for minutes. */
  interrupt(why: string): void {
    this.#endWatch?.(why)
  }

  async #follow(): Promise<void> {
    const { store, keys } = this.#options
    const view = await readView(store, keys)
    if (this.#ended.aborted) return
    const last = this.#view
    const isAnother = last.revision > 0 && (view.cluster !== last.cluster || view.revision < last.revision)
    this.#view = view
    this.#told()
    this.#options.read(view, isAnother)
    const why = await new Promise<string>(resolve => {
      const stop = store.watch(keys.all, view.revision + 1, {
        events: (events, revision) => this.#take(events, revision),
        ended: resolve,
      })
      this.#endWatch = why => {
        stop()
        resolve(why)
      }
      if (this.#ended.aborted) this.#endWatch('it is over')
      this.#trying.note(undefined)
    })
    this.#endWatch = undefined
    if (!this.#ended.aborted) throw new Error(`the watch ended: ${why}`)
  }

  #take(events: readonly WatchEvent[], revision: number): void {
    const { keys } = this.#options
    const view = this.#view
    for (const event of events) {
      const key = event.kind === 'put' ? event.value.key : event.key
      this.#touch(hostIn(view, keys, key))
      if (event.kind === 'put') take(view, keys, event.value)
      else drop(view, keys, key)
      this.#touch(hostIn(view, keys, key))
    }
    view.revision = Math.max(view.revision, revision)
    const wait = Math.max(BATCH_MS, this.#toldAt + BETWEEN_MS - performance.now())
    this.#batch ??= setTimeout(() => this.#tell(), wait)
  }

  #touch(id: string | undefined): void {
    if (id !== undefined) this.#touched.add(id)
  }

  /** @returns what was not told yet */
  #told(): Set<string> {
    clearTimeout(this.#batch)
    this.#batch = undefined
    this.#toldAt = performance.now()
    const touched = this.#touched
    this.#touched = new Set()
    return touched
  }

  #tell(): void {
    const touched = this.#told()
    if (!this.#ended.aborted) this.#options.changed(this.#view, touched)
  }
}
