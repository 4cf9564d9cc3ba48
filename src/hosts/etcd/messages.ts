/**
 * What etcd says, as values; whatever does not look like it is refused by name.
 *
 * Its JSON has 64-bit numbers as texts and leaves out what is zero. Of them, revisions fit a double; the numbers of
 * leases do not, and stay texts.
 *
 * Source: etcd's api/etcdserverpb/rpc.proto, and protobuf's JSON mapping.
 */

import { TsnetError } from '../../model/errors.ts'

export interface KeyValue {
  key: string
  value: string
  /** The revision of its last change. */
  revision: number
  /** Absent: it stays. */
  lease?: string
}

/** All keys below a prefix, at one revision. */
export interface Range {
  /** Which cluster says so: another one has another history. */
  cluster: string
  revision: number
  values: KeyValue[]
}

export type WatchEvent = { kind: 'put'; value: KeyValue } | { kind: 'delete'; key: string; revision: number }

export interface LeaseAge {
  /** What is left of it; 0: it is gone. */
  ttlS: number
  grantedS: number
}

type Value = Record<string, unknown>

export const encodeText = (text: string): string => Buffer.from(text).toString('base64')
const decodeText = (text: unknown): string =>
  Buffer.from(typeof text === 'string' ? text : '', 'base64').toString()

const wrong = (what: string): TsnetError => new TsnetError('io', `etcd's answer makes no sense: ${what}`)

function member(value: Value, name: string): Value {
  const found = value[name]
  if (typeof found !== 'object' || found === null) throw wrong(`${name} is missing`)
  return found as Value
}

function list(value: Value, name: string): Value[] {
  const found = value[name] ?? []
  if (!Array.isArray(found)) throw wrong(`${name} is not a list`)
  return found.map(each => {
    if (typeof each !== 'object' || each === null) throw wrong(`${name} has something else than objects`)
    return each
  })
}

/** Left out: 0. */
function whole(value: Value, name: string): number {
  const said = value[name] ?? 0
  const found = typeof said === 'string' || typeof said === 'number' ? Number(said) : Number.NaN
  if (!Number.isSafeInteger(found)) throw wrong(`${name} is not a number`)
  return found
}

const readKeyValue = (value: Value): KeyValue => {
  const { lease } = value
  const isLeased = typeof lease === 'string' && lease !== '0'
  return {
    key: decodeText(value.key),
    value: decodeText(value.value),
    revision: whole(value, 'mod_revision'),
    ...(isLeased && { lease }),
  }
}

/** @throws TsnetError `io` */
export function readRange(answer: Value): Range {
  const header = member(answer, 'header')
  return {
    cluster: typeof header.cluster_id === 'string' ? header.cluster_id : '',
    revision: whole(header, 'revision'),
    values: list(answer, 'kvs').map(readKeyValue),
  }
}

/** @throws TsnetError `io` */
export function readGranted(answer: Value): { lease: string; ttlS: number } {
  const { ID: lease } = answer
  if (typeof lease !== 'string') throw wrong('a lease without a number')
  return { lease, ttlS: whole(answer, 'TTL') }
}

/** @returns seconds that are left; 0: there is no such lease */
export const readKeptAlive = (answer: Value): number => whole(member(answer, 'result'), 'TTL')

export const readAge = (answer: Value): LeaseAge => ({
  ttlS: Math.max(0, whole(answer, 'TTL')),
  grantedS: whole(answer, 'grantedTTL'),
})

/** What a watch says at a time. */
export type Watched =
  | { kind: 'events'; revision: number; events: WatchEvent[] }
  /** It says nothing more. */
  | { kind: 'ended'; why: string }

/** @throws TsnetError `io` */
export function readWatched(answer: Value): Watched {
  const { error } = answer
  if (error !== undefined) {
    const { message } = (error ?? {}) as Value
    return {
      kind: 'ended',
      why: (typeof message === 'string' ? message : JSON.stringify(error)).slice(0, 500),
    }
  }
  const result = member(answer, 'result')
  if (result.canceled === true) {
    const compacted = whole(result, 'compact_revision')
    const why =
      compacted > 0 ? `what it was to begin with is compacted up to revision ${compacted}` : 'it was canceled'
    return { kind: 'ended', why: typeof result.cancel_reason === 'string' ? result.cancel_reason : why }
  }
  return {
    kind: 'events',
    revision: whole(member(result, 'header'), 'revision'),
    events: list(result, 'events').map(event => {
      const value = member(event, 'kv')
      return event.type === 'DELETE'
        ? { kind: 'delete', key: decodeText(value.key), revision: whole(value, 'mod_revision') }
        : { kind: 'put', value: readKeyValue(value) }
    }),
  }
}
