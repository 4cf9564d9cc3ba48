/** Follows what stands below a prefix of etcd: all of it at one revision, and every change from the next one on. */

import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../model/errors.ts'
import type { Range, Store, WatchEvent } from '../etcd/etcd.ts'

export interface Follower {
  /** All that is there: at the beginning, and again whenever changes may have been missed. */
  all(range: Range): void
  changed(events: readonly WatchEvent[], revision: number): void
  /** Why nothing is heard; undefined: it is again. */
  trouble(why: string | undefined): void
}

const RETRY_MS = [100, 250, 500, 1_000, 2_000, 5_000]

/** For ever, whatever fails. @returns when the signal ends it */
export async function follow(
  store: Pick<Store, 'range' | 'watch'>,
  prefix: string,
  follower: Follower,
  signal: AbortSignal,
): Promise<void> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      const range = await store.range(prefix)
      if (signal.aborted) return
      follower.all(range)
      failures = 0
      const why = await watched(store, prefix, range.revision, follower, signal)
      if (!signal.aborted) throw new Error(`the watch ended: ${why}`)
    } catch (thrown) {
      if (signal.aborted) return
      follower.trouble(messageOf(thrown))
      await pause(failures++, signal)
    }
  }
}

/** Longer after each failure, and not for all at once. */
export async function pause(failures: number, signal: AbortSignal): Promise<void> {
  const wait = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] ?? 0
  await sleep(wait * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {})
}

/** @returns why nothing is heard any more */
const watched = (
  store: Pick<Store, 'watch'>,
  prefix: string,
  revision: number,
  follower: Follower,
  signal: AbortSignal,
): Promise<string> =>
  new Promise(resolve => {
    const stop = store.watch(prefix, revision + 1, {
      events: (events, at) => follower.changed(events, at),
      ended: why => {
        signal.removeEventListener('abort', over)
        resolve(why)
      },
    })
    const over = (): void => {
      stop()
      resolve('it is over')
    }
    signal.addEventListener('abort', over)
    follower.trouble(undefined)
  })
