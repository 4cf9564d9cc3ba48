/**
 * etcd, over the JSON gateway that it serves beside gRPC.
 *
 *     Etcd ── exchange.ts ──▶ POST /v3/kv/range, /v3/kv/txn, /v3/lease/…, /v3/watch
 *       └──── messages.ts     values ⇄ JSON
 *
 * Why not gRPC. The failures that count are better seen here: a watch that met a compaction says so in words
 * (`compact_revision`), and ends, where npm's etcd3 has an error without a reason and is dead; the time that a lease has
 * left is the server's own answer, and none of our clock's; and an end is the end of a connection. It also needs no
 * package: grpc-js and protobuf.js would be several times the rest of the daemon.
 *
 * An endpoint that does not answer is left for the next one, once round for each request. A watch stays with the
 * endpoint where it began, and asks to be ended when that has no leader.
 *
 * Limits: etcd's gateway knows no user by the common name of a certificate, and where there are users it takes no
 * certificate that has one: such a cluster needs a certificate without, beside a user and a password.
 */

import { readFileSync } from 'node:fs'
import { messageOf, TsnetError } from '../../model/errors.ts'
import type { EtcdOptions } from '../../model/hosts/hosts.ts'
import { ANSWER_WITHIN_MS, EtcdRefusal, type Exchange, type Headers, openExchange } from './exchange.ts'
import {
  encodeText,
  type LeaseAge,
  type Range,
  readAge,
  readGranted,
  readKeptAlive,
  readRange,
  readWatched,
  type WatchEvent,
} from './messages.ts'

export type { KeyValue, LeaseAge, Range, WatchEvent } from './messages.ts'

/** A key has not changed since this revision; 0: it is not there. */
export interface Unchanged {
  key: string
  revision: number
}

export type Change =
  | { kind: 'put'; key: string; value: string; lease?: string }
  | { kind: 'delete'; key: string }

export interface Hearing {
  events(events: WatchEvent[], revision: number): void
  /** Once; nothing is heard any more. */
  ended(why: string): void
}

/** What is asked of etcd, so that a model of it can stand in its place. */
export interface Store {
  /** All keys that begin so, as a majority has them. */
  range(prefix: string): Promise<Range>
  /** Makes all changes if nothing of what is named has changed. @returns at which revision; undefined: they are not made */
  transact(unchanged: readonly Unchanged[], changes: readonly Change[]): Promise<number | undefined>
  grant(ttlS: number): Promise<{ lease: string; ttlS: number }>
  /** @returns seconds that are left from now; 0: it is gone */
  keepAlive(lease: string): Promise<number>
  age(lease: string): Promise<LeaseAge>
  /** What has it goes with it. One that is gone is no error. */
  revoke(lease: string): Promise<void>
  /** Changes of keys that begin so, from a revision on. @returns ends it, without a word */
  watch(prefix: string, from: number, hearing: Hearing): () => void
}

const NOT_FOUND = 5
const UNAUTHENTICATED = 16

export class Etcd implements Store, Disposable {
  readonly #options: EtcdOptions
  readonly #withinMs: number
  #at = 0
  #exchange: Exchange | undefined
  #token: string | undefined

  constructor(options: EtcdOptions, withinMs = ANSWER_WITHIN_MS) {
    this.#options = options
    this.#withinMs = withinMs
  }

  /** The address of this host by which it reaches etcd. */
  get localAddress(): string | undefined {
    return this.#exchange?.localAddress
  }

  async range(prefix: string): Promise<Range> {
    return readRange(await this.#ask('/v3/kv/range', below(prefix)))
  }

  async transact(unchanged: readonly Unchanged[], changes: readonly Change[]): Promise<number | undefined> {
    const answer = await this.#ask('/v3/kv/txn', {
      compare: unchanged.map(({ key, revision }) => ({
        key: encodeText(key),
        target: 'MOD',
        result: 'EQUAL',
        mod_revision: String(revision),
      })),
      success: changes.map(change =>
        change.kind === 'delete'
          ? { request_delete_range: { key: encodeText(change.key) } }
          : {
              request_put: {
                key: encodeText(change.key),
                value: encodeText(change.value),
                ...(change.lease !== undefined && { lease: change.lease }),
              },
            },
      ),
    })
    return answer.succeeded === true ? readRange(answer).revision : undefined
  }

  async grant(ttlS: number): Promise<{ lease: string; ttlS: number }> {
    return readGranted(await this.#ask('/v3/lease/grant', { TTL: String(ttlS) }))
  }

  async keepAlive(lease: string): Promise<number> {
    return readKeptAlive(await this.#ask('/v3/lease/keepalive', { ID: lease }))
  }

  async age(lease: string): Promise<LeaseAge> {
    return readAge(await this.#ask('/v3/lease/timetolive', { ID: lease }))
  }

  async revoke(lease: string): Promise<void> {
    try {
      await this.#ask('/v3/lease/revoke', { ID: lease })
    } catch (thrown) {
      const { cause } = thrown as Error
      if (!(cause instanceof EtcdRefusal && cause.code === NOT_FOUND)) throw thrown
    }
  }

  watch(prefix: string, from: number, hearing: Hearing): () => void {
    let isOver = false
    const end = (why: string): void => {
      if (isOver) return
      isOver = true
      stop()
      hearing.ended(why)
    }
    let stop = (): void => {}
    const begin = async (): Promise<void> => {
      const exchange = await this.#connect()
      if (isOver) return
      const body = { create_request: { ...below(prefix), start_revision: String(from) } }
      stop = exchange.stream('/v3/watch', body, this.#headers(), {
        value: value => {
          const watched = readWatched(value)
          if (watched.kind === 'ended') end(watched.why)
          else if (watched.events.length > 0) hearing.events(watched.events, watched.revision)
        },
        end: why => end(messageOf(why)),
      })
    }
    begin().catch(thrown => end(messageOf(thrown)))
    return () => {
      isOver = true
      stop()
    }
  }

  [Symbol.dispose](): void {
    this.#leave()
  }

  /** Asks the endpoint that answered last, and then each of the others. */
  async #ask(path: string, body: unknown): Promise<Record<string, unknown>> {
    const failures: unknown[] = []
    for (const _ of this.#options.endpoints) {
      try {
        return await this.#askHere(path, body)
      } catch (thrown) {
        if (thrown instanceof EtcdRefusal && thrown.status < 500) throw explained(thrown)
        failures.push(thrown)
        this.#leave()
        this.#at = (this.#at + 1) % this.#options.endpoints.length
      }
    }
    const [only] = failures
    if (failures.length === 1 && only instanceof TsnetError) throw only
    throw new TsnetError('io', `no etcd answers: ${failures.map(messageOf).join('; ')}`)
  }

  async #askHere(path: string, body: unknown): Promise<Record<string, unknown>> {
    const exchange = await this.#connect()
    try {
      return await exchange.ask(path, body, this.#headers())
    } catch (thrown) {
      // A token that was good once: it ages, and does not outlive the server.
      const isOld =
        thrown instanceof EtcdRefusal && (thrown.code === UNAUTHENTICATED || thrown.status === 401)
      if (!isOld || this.#token === undefined) throw thrown
      this.#token = undefined
      return (await this.#connect()).ask(path, body, this.#headers())
    }
  }

  #headers(): Headers {
    return {
      'grpc-metadata-hasleader': 'true',
      ...(this.#token !== undefined && { authorization: this.#token }),
    }
  }

  async #connect(): Promise<Exchange> {
    const { endpoints, user } = this.#options
    this.#exchange ??= openExchange(endpoints[this.#at] ?? '', this.#options, this.#withinMs)
    if (user !== undefined && this.#token === undefined) {
      const answer = await this.#exchange.ask(
        '/v3/auth/authenticate',
        { name: user, password: this.#password() },
        {},
      )
      if (typeof answer.token === 'string') this.#token = answer.token
    }
    return this.#exchange
  }

  #password(): string {
    const { passwordFile: path } = this.#options
    try {
      return path === undefined ? '' : readFileSync(path, 'utf8').replace(/\r?\n$/, '')
    } catch (cause) {
      throw new TsnetError('io', `hosts.passwordFile: cannot read ${path}: ${messageOf(cause)}`, { cause })
    }
  }

  #leave(): void {
    this.#exchange?.[Symbol.dispose]()
    this.#exchange = undefined
    this.#token = undefined
  }
}

/** Of a refusal, what a person can do. */
function explained(refusal: EtcdRefusal): TsnetError {
  const details = /authentication failed|user name is empty|permission denied|auth token/.test(
    refusal.message,
  )
    ? 'look at "user" and "passwordFile" of the network\'s "hosts", and at the role of that user in etcd'
    : undefined
  return new TsnetError('io', `etcd refuses: ${refusal.message}`, {
    cause: refusal,
    ...(details !== undefined && { details }),
  })
}

/** The range of all keys that begin so: up to the same with its last byte one higher. */
function below(prefix: string): { key: string; range_end: string } {
  const end = Buffer.from(prefix)
  end[end.length - 1] = (end.at(-1) ?? 0) + 1
  return { key: encodeText(prefix), range_end: end.toString('base64') }
}
