/** What conntrack remembers: connections that go on without our rules, and a table without room. */

import { familiesOf } from '../../model/address/address.ts'
import { countUntranslated } from '../../nat/nat.ts'
import { readSysctl } from '../../netns/sysctl.ts'
import { translatedHere } from '../../network/reconcile/reconcile.ts'
import type { Check, Found } from '../fault.ts'
import type { Patient } from '../patient.ts'

export const connections: Check<Patient> = {
  name: 'connections',
  about: 'no connection goes on past the rules that were made since it began',
  look: ({ attached, published }) => {
    const owners = new Set([...attached.map(({ owner }) => owner), ...published.map(({ id }) => id)])
    const count = countUntranslated(translatedHere(owners))
    if (count === 0) return []
    return [
      {
        on: 'this host',
        what: `conntrack remembers ${count === 1 ? 'a connection' : `${count} connections`} to published ports, or from containers, that began before their rules`,
        why: 'as long as the client goes on sending, its packets pass the container by',
        cure: 'conntrack -D -p udp --dport PORT (UDP is concerned as a rule)',
        fix: { do: 'forget-connections' },
      },
    ]
  },
}

/** From here on a burst finds no room. */
const FULL = 0.9

export const fullTable: Check<Patient> = {
  name: 'conntrack-table',
  about: 'the table of connections has room',
  look: ({ attached, published }) => {
    if (
      familiesOf(attached.flatMap(({ attachment }) => attachment.leases.map(({ address }) => address)))
        .length === 0 &&
      published.length === 0
    )
      return []
    const found = fullness(
      Number(readSysctl('net/netfilter/nf_conntrack_count') ?? 0),
      Number(readSysctl('net/netfilter/nf_conntrack_max') ?? Number.POSITIVE_INFINITY),
    )
    return found === undefined ? [] : [found]
  },
}

/** @param most 0: without a limit */
export function fullness(count: number, most: number): Found | undefined {
  if (most === 0 || count < most * FULL) return undefined
  return {
    on: 'this host',
    what: `conntrack holds ${count} of at most ${most} connections`,
    why: 'the kernel drops the first packets of new ones ("nf_conntrack: table full" in its log)',
    cure: `sysctl -w net.netfilter.nf_conntrack_max=${most * 4}, and look who opens so many: conntrack -L`,
  }
}
