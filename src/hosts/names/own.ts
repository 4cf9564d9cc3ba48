/**
 * What this host says of its containers: wanted here, written there, and the difference made.
 *
 *     ADD, DEL ──▶ set(…) ──▶ wanted ─┐
 *     watch ─────▶ seen(…) ─▶ there ──┴─▶ what differs ──▶ etcd, a hundred at a time, under one lease
 *
 * Nobody waits for it. While etcd is away what differs grows no larger than what there is, and is written when it is back.
 * The lease is of this daemon, and as long as it lives kept alive; its successor takes the keys over one by one, so that no
 * name is gone for a moment, and the old lease ends with nothing below it.
 */

import { messageOf } from '../../model/errors.ts'
import type { Change, KeyValue, Store, WatchEvent } from '../etcd/etcd.ts'
import { pause } from './follow.ts'

/** etcd takes 128 in one transaction. */
const MOST = 100
/** Signs of life in the time of a lease. */
const BEATS = 4

export interface OwnOptions {
  store: Pick<Store, 'transact' | 'grant' | 'keepAlive' | 'revoke'>
  ttlS: number
  trouble(why: string | undefined): void
}

export class Own {
  readonly #options: OwnOptions
  /** By key, what shall stand there; undefined until that is known. */
  #wanted: ReadonlyMap<string, string> | undefined
  /** By key, what stands there. */
  readonly #there = new Map<string, Pick<KeyValue, 'value' | 'revision' | 'lease'>>()
  /** Keys that may differ. */
  readonly #unsure = new Set<string>()
  #lease: string | undefined
  /** When the next sign of life is. */
  #dueAt = 0
  #wake = (): void => {}
  readonly #ended = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(options: OwnOptions) {
    this.#options = options
  }

  begin(): void {
    this.#running = this.#live()
  }

  /** What is written stays as long as its lease. */
  async end(): Promise<void> {
    this.#ended.abort()
    this.#wake()
    await this.#running
  }

  /** Nobody shall find any of it any more. */
  async leave(): Promise<void> {
    await this.end()
    if (this.#lease !== undefined) await this.#options.store.revoke(this.#lease).catch(() => {})
  }

  /** This, and nothing else, shall stand there. */
  set(wanted: ReadonlyMap<string, string>): void {
    const before = this.#wanted ?? this.#there
    this.#wanted = wanted
    for (const key of before.keys()) if (!wanted.has(key)) this.#unsure.add(key)
    for (const [key, value] of wanted) if (this.#there.get(key)?.value !== value) this.#unsure.add(key)
    if (this.#unsure.size > 0) this.#wake()
  }

  /** All of ours that stands there now. */
  seenAll(values: readonly KeyValue[]): void {
    for (const key of this.#there.keys()) this.#unsure.add(key)
    for (const key of this.#wanted?.keys() ?? []) this.#unsure.add(key)
    this.#there.clear()
    for (const value of values) this.#there.set(value.key, value)
    for (const { key } of values) this.#unsure.add(key)
    this.#wake()
  }

  /** One of ours has changed there. What was written since is newer. */
  seen(event: WatchEvent): void {
    const { key, revision } = event.kind === 'put' ? event.value : event
    if ((this.#there.get(key)?.revision ?? 0) >= revision) return
    if (event.kind === 'put') this.#there.set(key, event.value)
    else this.#there.delete(key)
    this.#unsure.add(key)
    this.#wake()
  }

  async #live(): Promise<void> {
    const { signal } = this.#ended
    for (let failures = 0; !signal.aborted; ) {
      try {
        if (this.#lease !== undefined && performance.now() >= this.#dueAt) await this.#beat(this.#lease)
        if (!(await this.#write())) await this.#rest()
        failures = 0
        this.#options.trouble(undefined)
      } catch (thrown) {
        if (signal.aborted) return
        this.#options.trouble(messageOf(thrown))
        await pause(failures++, signal)
      }
    }
  }

  /** @returns whether there was anything to write */
  async #write(): Promise<boolean> {
    const wanted = this.#wanted
    if (wanted === undefined || this.#unsure.size === 0) return false
    if (wanted.size > 0 && this.#lease === undefined) await this.#begin()
    const changes = this.#take(wanted)
    if (changes.length === 0) return this.#unsure.size > 0
    try {
      const revision = (await this.#options.store.transact([], changes)) ?? 0
      for (const change of changes) {
        if (change.kind === 'delete') this.#there.delete(change.key)
        else this.#there.set(change.key, { ...change, revision })
      }
      return true
    } catch (thrown) {
      for (const { key } of changes) this.#unsure.add(key)
      // It may be the lease that is gone.
      this.#dueAt = 0
      throw thrown
    }
  }

  /** What differs, as far as it fits. */
  #take(wanted: ReadonlyMap<string, string>): Change[] {
    const lease = this.#lease
    const changes: Change[] = []
    for (const key of this.#unsure) {
      if (changes.length === MOST) break
      this.#unsure.delete(key)
      const [value, there] = [wanted.get(key), this.#there.get(key)]
      if (value === undefined && there !== undefined) changes.push({ kind: 'delete', key })
      if (value === undefined || lease === undefined) continue
      if (there?.value !== value || there.lease !== lease) changes.push({ kind: 'put', key, value, lease })
    }
    return changes
  }

  async #begin(): Promise<void> {
    this.#lease = (await this.#options.store.grant(this.#options.ttlS)).lease
    this.#dueAt = performance.now() + this.#everyMs
  }

  async #beat(lease: string): Promise<void> {
    const leftS = await this.#options.store.keepAlive(lease)
    this.#dueAt = performance.now() + this.#everyMs
    if (leftS > 0) return
    this.#lease = undefined
    for (const key of this.#wanted?.keys() ?? []) this.#unsure.add(key)
  }

  get #everyMs(): number {
    return (this.#options.ttlS * 1_000) / BEATS
  }

  /** Until something differs, or it is time for a sign of life. */
  #rest(): Promise<void> {
    return new Promise(resolve => {
      const waitMs = this.#lease === undefined ? undefined : this.#dueAt - performance.now()
      const timer = waitMs === undefined ? undefined : setTimeout(() => this.#wake(), waitMs)
      this.#wake = () => {
        clearTimeout(timer)
        this.#wake = () => {}
        resolve()
      }
      if (this.#ended.signal.aborted) this.#wake()
    })
  }
}
