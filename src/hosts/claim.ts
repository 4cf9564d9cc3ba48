/**
 * How a host gets its prefix, and what it may believe of it.
 *
 * A prefix is a key that nobody else may have made: it is put in a transaction that holds only while the key is as it
 * was read. The key hangs on a lease, which etcd ends by its own clock. The host believes less: its prefix ends for it
 * when the lease could have ended at the earliest, counted from before it was last asked for. So while etcd is away a
 * host gives out addresses as long as nobody else can have its prefix, and not a moment longer.
 *
 *     asked ─────────── answered ───────────────────────── asked + ttl − slack ─── answered + ttl
 *       └── from here on the host counts                        │  it stops          └── etcd ends the lease
 *
 * Two daemons with one id. The word of a host names its *instance*, which is one boot of one machine. Who finds
 * another's looks whether the lease of that word is still being kept alive: then there are two, and the second is refused.
 */

import { TsnetError } from '../model/errors.ts'
import { type HostPool, roomOf } from '../model/hosts/hosts.ts'
import type { Change, Store, Unchanged } from './etcd/etcd.ts'
import {
  claimText,
  contradiction,
  emptyView,
  type HostWord,
  type Keys,
  type Layout,
  layoutText,
  take,
  type View,
  wordText,
} from './keys.ts'

export interface Self {
  id: string
  layout: Layout
  word: Omit<HostWord, 'number'>
  routesKeptS: number
  prefixKeptS: number
  /** Between two signs of life. */
  beatMs: number
}

/** Milliseconds by a clock that goes on in any case, also while the machine sleeps. */
export type Clock = () => number

/** What a host has. */
export interface Claim {
  number: number
  /** When it was written. */
  revision: number
  /** Leases of its word and of its prefix. */
  word: string
  prefix: string
  /** Until then, by the host's clock, nobody else can have the prefix. */
  until: number
}

/** Clocks of two machines differ by less than one part in so many, and answers take less than a second. */
const DRIFT = 100
const SLACK_MS = 1_000

/** When a lease can end at the earliest. @param askedAt before it was asked for */
export const endOf = (askedAt: number, ttlS: number): number =>
  askedAt + Math.max(0, ttlS * 1_000 * (1 - 1 / DRIFT) - SLACK_MS)

export async function readView(store: Store, keys: Keys): Promise<View> {
  const { cluster, revision, values } = await store.range(keys.all)
  const view = emptyView(cluster, revision)
  for (const each of values) take(view, keys, each)
  return view
}

export interface ClaimContext {
  store: Store
  keys: Keys
  self: Self
  clock: Clock
  pause(ms: number): Promise<void>
  /** Where the search begins, so that many at once do not want the same; from 0 up to 1. */
  random(): number
}

/** How often others may be quicker. */
const ATTEMPTS = 1_000

/**
 * Takes a prefix: the one that is ours, the one that we had, or one that nobody has.
 * @param had the number that this host had when it last ran
 * @throws TsnetError `conflict`: another daemon has our id, or the network is laid out otherwise; `exhausted`;
 *   `io`: no etcd
 */
export async function claim(context: ClaimContext, had?: number): Promise<Claim> {
  const { store, keys, self, clock, pause, random } = context
  const askedAt = clock()
  const [word, prefix] = [await store.grant(self.routesKeptS), await store.grant(self.prefixKeptS)]
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const view = await readView(store, keys)
    checkLayout(self.layout, view)
    await refuseTwin(context, view)
    const number = chooseNumber(view, self, had, random())
    const claimed = view.claims.get(number)
    const before = view.hosts.get(self.id)
    const unchanged: Unchanged[] = [
      { key: keys.claim(number), revision: claimed?.revision ?? 0 },
      { key: keys.host(self.id), revision: before?.revision ?? 0 },
      { key: keys.layout, revision: view.layout?.revision ?? 0 },
    ]
    const changes: Change[] = [
      { kind: 'put', key: keys.claim(number), value: claimText(self.id), lease: prefix.lease },
      { kind: 'put', key: keys.host(self.id), value: wordText({ ...self.word, number }), lease: word.lease },
      ...(view.layout === undefined
        ? [{ kind: 'put' as const, key: keys.layout, value: layoutText(self.layout) }]
        : []),
      ...othersOf(view, self.id, number).map(other => ({ kind: 'delete' as const, key: keys.claim(other) })),
    ]
    const revision = await store.transact(unchanged, changes)
    if (revision !== undefined) {
      // Nothing hangs on them any more.
      const old = [claimed?.lease, before?.lease].filter(lease => lease !== undefined)
      for (const lease of old) if (lease !== word.lease && lease !== prefix.lease) await store.revoke(lease)
      return { number, revision, word: word.lease, prefix: prefix.lease, until: endOf(askedAt, prefix.ttlS) }
    }
    await pause(random() * Math.min(1_000, 10 * attempt))
  }
  throw new TsnetError('try-again', `network ${keys.all}: others were quicker ${ATTEMPTS} times in a row`)
}

function checkLayout(ours: Layout, { layout }: View): void {
  const against = layout && contradiction(ours, layout.value)
  if (against === undefined) return
  throw new TsnetError('conflict', `the hosts of this network have agreed on ${against}`, {
    details:
      'give "hosts" the same subnets, prefix lengths and carrier on all hosts, or the network another name',
  })
}

/** Prefixes that a host has beside the one that it uses. */
const othersOf = ({ claims }: View, id: string, number: number): number[] =>
  [...claims].filter(([other, { value }]) => value === id && other !== number).map(([other]) => other)

/** The prefix to ask for. @throws TsnetError `exhausted` */
export function chooseNumber(
  { claims }: View,
  { id, layout }: Pick<Self, 'id'> & { layout: { pools: readonly HostPool[] } },
  had: number | undefined,
  begin: number,
): number {
  const room = roomOf(layout.pools)
  const own = [...claims]
    .filter(([number, { value }]) => value === id && number < room)
    .map(([number]) => number)
  if (had !== undefined && had < room && (own.includes(had) || !claims.has(had))) return had
  const [first] = own.sort((a, b) => a - b)
  if (first !== undefined) return first
  const start = Math.floor(begin * room)
  for (let i = 0; i < room; i++) {
    const number = (start + i) % room
    if (!claims.has(number)) return number
  }
  throw new TsnetError('exhausted', `all ${room} prefixes of the network have a host`, {
    details:
      'take one that is gone for good out with `tsnet host forget`, or lay the network out anew with more prefixes',
  })
}

/**
 * Waits until it is known whether another instance of this host lives: the lease of its word has as much time left as
 * before then, but for what lies between two signs of life. Times are whole seconds.
 * @throws TsnetError `conflict`
 */
async function refuseTwin({ store, self, pause }: ClaimContext, { hosts }: View): Promise<void> {
  const other = hosts.get(self.id)
  if (other === undefined || other.value.instance === self.word.instance || other.lease === undefined) return
  const before = await store.age(other.lease)
  await pause(3 * self.beatMs + 2_000)
  const after = await store.age(other.lease)
  if (after.ttlS === 0 || before.ttlS - after.ttlS > (2 * self.beatMs + 1_000) / 1_000) return
  throw new TsnetError(
    'conflict',
    `another daemon speaks as host ${self.id}, from ${other.value.addresses[0]} (${other.value.name})`,
    {
      details:
        'two machines have the same /var/lib/tsnet/hosts/id.json, as copies of one image do: remove that file on one of them and start its daemon again',
    },
  )
}

/** What has become of a claim. */
export type Beat = { kind: 'kept'; claim: Claim } | { kind: 'lost' }

/** A sign of life; of the prefix too where it is time for that. @throws TsnetError `io` */
export async function beat(
  { store, clock }: Pick<ClaimContext, 'store' | 'clock'>,
  held: Claim,
  isForPrefix: boolean,
): Promise<Beat> {
  const askedAt = clock()
  if ((await store.keepAlive(held.word)) === 0) return { kind: 'lost' }
  if (!isForPrefix) return { kind: 'kept', claim: held }
  const ttlS = await store.keepAlive(held.prefix)
  return ttlS === 0 ? { kind: 'lost' } : { kind: 'kept', claim: { ...held, until: endOf(askedAt, ttlS) } }
}
