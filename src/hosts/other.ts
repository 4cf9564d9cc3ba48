/** One host of a network, as somebody asks for it by its id, and what can be done to one that is gone. */

import { TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import { tellChange } from '../model/surroundings.ts'
import type { Store } from './etcd/etcd.ts'
import type { Keys, View } from './keys.ts'
import type { HostDetails, HostRow } from './listed.ts'

export interface Asked {
  network: string
  store: Pick<Store, 'age' | 'transact'>
  keys: Keys
  /** As it was last known. */
  view: View
  rows: readonly HostRow[]
}

/** @throws TsnetError `unknown-container` */
export function rowOf({ network, rows }: Pick<Asked, 'network' | 'rows'>, id: string): HostRow {
  const row = rows.find(each => each.id === id)
  if (row !== undefined) return row
  throw new TsnetError('unknown-container', `network ${network} has no host ${shown(id)}`)
}

/** @throws TsnetError `unknown-container`; `io`: etcd is away */
export async function detailsOf({ network, store, view, rows }: Asked, id: string): Promise<HostDetails> {
  const row = rowOf({ network, rows }, id)
  const lease = view.hosts.get(id)?.lease
  const age = lease === undefined ? undefined : await store.age(lease)
  return { ...row, ...(age !== undefined && age.ttlS > 0 && { lastWordS: age.grantedS - age.ttlS }) }
}

/**
 * Takes out what stands of another host.
 * @param how `silentMs`: so long one says nothing that is gone; `isDry`: it is only found out whether it could be
 * @throws TsnetError `unknown-container`; `conflict`: it lives, and would come back; `try-again`; `io`: etcd is away
 */
export async function forgetHost(
  asked: Asked,
  id: string,
  how: { silentMs: number; isDry: boolean },
): Promise<void> {
  const { name, lastWordS } = await detailsOf(asked, id)
  if (lastWordS !== undefined && lastWordS * 1_000 < how.silentMs) {
    throw new TsnetError(
      'conflict',
      `host ${name} was heard of ${lastWordS} s ago: it lives, and would claim its prefix again`,
      { details: "end its daemon, or remove the network's list there, and try again" },
    )
  }
  if (how.isDry) return
  const { store, keys, view } = asked
  const claims = [...view.claims].filter(([, { value }]) => value === id)
  const word = view.hosts.get(id)
  const gone = [
    ...claims.map(([number, { revision }]) => ({ key: keys.claim(number), revision })),
    ...(word === undefined ? [] : [{ key: keys.host(id), revision: word.revision }]),
  ]
  const done = await store.transact(
    gone,
    gone.map(({ key }) => ({ kind: 'delete', key })),
  )
  if (done === undefined) throw new TsnetError('try-again', `host ${name} has just changed`)
  for (const { key } of gone) tellChange(() => `etcdctl del ${key}`)
}
