/** Hosts as people see them. */

import type { Cidr, Ip } from '../model/address/address.ts'
import { type Carrier, prefixesOf, roomOf } from '../model/hosts/hosts.ts'
import type { Layout, View } from './keys.ts'
import type { Member } from './members.ts'

/**
 * `self` is this host, `up` one of which there is a word, `silent` one of which only the prefix is left, and `kept` one that
 * etcd has forgotten and its routes stay for a while.
 */
export const HOST_STATES = ['self', 'up', 'silent', 'kept'] as const
export type HostState = (typeof HOST_STATES)[number]

export interface HostRow {
  network: string
  id: string
  /** As it calls itself; its id where it says nothing. */
  name: string
  state: HostState
  /** It takes no new connections of services. */
  drained?: true
  prefixes: Cidr[]
  /** Where the others reach it. */
  addresses: Ip[]
  carrier: Carrier
  mac?: string
  /** Of etcd, when it last said something else; 0: never. */
  revision: number
}

export interface HostDetails extends HostRow {
  /** Seconds since its last sign of life; absent: there is none. */
  lastWordS?: number
}

/** All of a network, this one first, and then by their prefixes. */
export function rowsOf(
  network: string,
  self: { id: string; name: string; addresses: Ip[] },
  { pools, carrier }: Layout,
  { claims, hosts }: View,
  members: readonly Member[],
): HostRow[] {
  const numbers = new Map([...claims].map(([number, { value }]) => [value, number]))
  const kept = new Map(members.map(each => [each.id, each]))
  const ids = new Set([
    self.id,
    ...[...claims].sort(([a], [b]) => a - b).map(([, { value }]) => value),
    ...kept.keys(),
  ])
  return [...ids].map(id => {
    const word = hosts.get(id)
    const known = word?.value ?? kept.get(id)
    const number = numbers.get(id) ?? (id === self.id ? undefined : known?.number)
    const isThere = number !== undefined && number < roomOf(pools)
    return {
      network,
      id,
      name: id === self.id ? self.name : (known?.name ?? id),
      state: id === self.id ? 'self' : word !== undefined ? 'up' : kept.has(id) ? 'kept' : 'silent',
      prefixes: isThere ? prefixesOf(pools, number) : [],
      addresses: id === self.id ? self.addresses : (known?.addresses ?? []),
      carrier,
      ...(known !== undefined && { mac: known.mac }),
      revision: word?.revision ?? 0,
    }
  })
}
