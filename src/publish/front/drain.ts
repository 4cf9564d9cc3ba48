/** Connections of a publication that ends: they may finish, by the proxy and by rules alike, until a deadline. */

import { setTimeout as sleep } from 'node:timers/promises'
import { ipOf } from '../../model/address/address.ts'
import type { Publication } from '../../model/publication/publication.ts'
import { countFlows } from '../../nat/nat.ts'
import { isThere } from '../../netns/container.ts'
import { portsOf } from '../plan.ts'
import type { Ports } from './front.ts'

/** What became of those that there were. Whom the kernel has led past the proxy is in neither number. */
export interface Drained {
  /** As it began. */
  connections: number
  /** That had not finished in time. */
  cut: number
}

/** How often it is looked; where there is so much to look through that it takes long, seldomer. */
const LOOK_MS = 100
const LOOK_MAX_MS = 2_000
const SHARE = 20

/**
 * Lets nobody in by the proxy any more, and waits for those who are in. Rules let nobody in by now.
 * @param drainMs for how long
 */
export async function drain(front: Ports, publication: Publication, drainMs: number): Promise<Drained> {
  const { id, nat, containers } = publication
  const addresses = nat?.ports.addresses.map(ipOf) ?? []
  const byProxy = () => front.countersOf(id)?.active ?? 0
  const byRules = () => (addresses.length === 0 ? 0 : countFlows(portsOf(publication), addresses))
  const until = performance.now() + drainMs
  const connections = byProxy() + byRules()
  const withdrawn = front.countersOf(id) === undefined ? undefined : front.withdraw(id, { drainMs })
  let left = connections
  for (;;) {
    const leftMs = until - performance.now()
    // Their address may be another's soon.
    const haveGone = containers.every(each => !isThere(each.netns))
    if (left === 0 || leftMs <= 0 || haveGone) break
    const began = performance.now()
    left = byRules() + byProxy()
    const pauseMs = Math.min(Math.max(LOOK_MS, SHARE * (performance.now() - began)), LOOK_MAX_MS)
    if (left > 0) await sleep(Math.min(pauseMs, leftMs), undefined, { ref: false })
  }
  await withdrawn
  return { connections, cut: left }
}
