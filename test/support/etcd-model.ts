/**
 * etcd as its documentation has it, without a network: transactions one after the other, leases by its own clock. What
 * is asked may get lost on the way, and so may the answer.
 */

import type { Change, LeaseAge, Range, Store, Unchanged } from '../../src/hosts/etcd/etcd.ts'

interface Entry {
  value: string
  revision: number
  lease?: string
}

export class EtcdModel {
  /** Milliseconds, by the server's clock. */
  now = 0
  revision = 1
  readonly entries = new Map<string, Entry>()
  readonly #leases = new Map<string, { grantedS: number; ends: number }>()
  #lastLease = 0

  /** Time goes on, and what is due ends. */
  advance(ms: number): void {
    this.now += ms
    for (const [lease, { ends }] of this.#leases) if (ends <= this.now) this.#end(lease)
  }

  /** Another leader: it gives each lease its whole time again. */
  newLeader(): void {
    for (const each of this.#leases.values()) each.ends = this.now + each.grantedS * 1_000
  }

  /**
   * How one host sees it.
   * @param way is waited for before each request and before its answer; what it throws is what got lost
   */
  store(way: () => Promise<void>): Store {
    const ask = async <T>(work: () => T): Promise<T> => {
      await way()
      const answer = work()
      await way()
      return answer
    }
    return {
      range: prefix => ask(() => this.#range(prefix)),
      transact: (unchanged, changes) => ask(() => this.#transact(unchanged, changes)),
      grant: ttlS => ask(() => this.#grant(ttlS)),
      keepAlive: lease => ask(() => this.#keepAlive(lease)),
      age: lease => ask(() => this.#age(lease)),
      revoke: lease => ask(() => this.#end(lease)),
      watch: () => () => {},
    }
  }

  #range(prefix: string): Range {
    const values = [...this.entries].filter(([key]) => key.startsWith(prefix))
    return {
      cluster: '1',
      revision: this.revision,
      values: values.map(([key, entry]) => ({ key, ...entry })),
    }
  }

  #transact(unchanged: readonly Unchanged[], changes: readonly Change[]): number | undefined {
    if (unchanged.some(({ key, revision }) => (this.entries.get(key)?.revision ?? 0) !== revision))
      return undefined
    for (const change of changes) {
      if (change.kind === 'put' && change.lease !== undefined && !this.#leases.has(change.lease)) {
        throw new Error('requested lease not found')
      }
    }
    this.revision++
    for (const change of changes) {
      if (change.kind === 'delete') this.entries.delete(change.key)
      else {
        const { key, value, lease } = change
        this.entries.set(key, { value, revision: this.revision, ...(lease !== undefined && { lease }) })
      }
    }
    return this.revision
  }

  #grant(ttlS: number): { lease: string; ttlS: number } {
    const lease = String(++this.#lastLease)
    this.#leases.set(lease, { grantedS: ttlS, ends: this.now + ttlS * 1_000 })
    return { lease, ttlS }
  }

  #keepAlive(lease: string): number {
    const found = this.#leases.get(lease)
    if (found === undefined) return 0
    found.ends = this.now + found.grantedS * 1_000
    return found.grantedS
  }

  #age(lease: string): LeaseAge {
    const found = this.#leases.get(lease)
    return found === undefined
      ? { ttlS: 0, grantedS: 0 }
      : { ttlS: Math.floor((found.ends - this.now) / 1_000), grantedS: found.grantedS }
  }

  #end(lease: string): void {
    if (!this.#leases.delete(lease)) return
    this.revision++
    for (const [key, entry] of this.entries) if (entry.lease === lease) this.entries.delete(key)
  }
}
