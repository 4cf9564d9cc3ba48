/** What is remembered of packets that are dropped: whom the container addressed in vain, by address, protocol and port. */

import type { Family } from '../../model/address/address.ts'
import type { SetPlan } from '../../netfilter/transaction.ts'
import { WITH_PORTS, WITHOUT_PORTS } from './ported.ts'
import { serviceType } from './ranges.ts'

/** So long after the last packet. */
export const REMEMBERED_S = 3600

/** What there is no room for is dropped and counted all the same: so a scan costs the host nothing more. */
const ROOM = { withPorts: 512, others: 64 } as const

/** Sets of either table, and the rules that fill them. */
export const refusedSets = (owner: string): { plan: SetPlan; rule: string }[] =>
  ([4, 6] as const).flatMap(family => [
    refusedSet(`no${family}-${owner}`, family, {
      type: serviceType(family),
      size: ROOM.withPorts,
      of: WITH_PORTS,
      port: ' . th dport',
    }),
    refusedSet(`np${family}-${owner}`, family, {
      type: `ipv${family}_addr . inet_proto`,
      size: ROOM.others,
      of: WITHOUT_PORTS,
      port: '',
    }),
  ])

function refusedSet(
  name: string,
  family: Family,
  { type, size, of, port }: { type: string; size: number; of: string; port: string },
): { plan: SetPlan; rule: string } {
  const key = `${family === 4 ? 'ip' : 'ip6'} daddr . meta l4proto${port}`
  return {
    plan: { name, type, size, isDynamic: true, hasTimeouts: true },
    rule: `${of} update @${name} { ${key} timeout ${REMEMBERED_S}s counter }`,
  }
}
