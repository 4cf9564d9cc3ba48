/**
 * What stands in etcd, as keys and values, and what others may have written there.
 *
 *     /tsnet/front/network      the subnets and how they are cut, by the first host; it stays
 *     /tsnet/front/claims/7     whose the seventh prefix is, under the lease of the prefix
 *     /tsnet/front/hosts/<id>   where that host is, under the lease of its word
 *
 * A host counts where both say the same: its word names a number whose claim names the host. Anything else below the
 * prefix is somebody's mistake: it is ignored, and named.
 */

import type { Ip } from '../model/address/address.ts'
import { isCidr, isIp } from '../model/address/address.ts'
import { messageOf } from '../model/errors.ts'
import type { HostPool, HostsOptions } from '../model/hosts/hosts.ts'
import { all, listOf, oneOf, parsed, record, type Shape, text, when, within } from '../model/json/shape.ts'
import { readStored, storedText } from '../model/json/stored.ts'
import type { KeyValue } from './etcd/etcd.ts'

/** How the network is cut; the same on all hosts. */
export type Layout = { pools: HostPool[]; carrier: HostsOptions['carrier']; port: number }

/** What a host says of itself. */
export interface HostWord {
  /** For people. */
  name: string
  /** Where it is reached by the other hosts; one of each family at most, that of the carrier first. */
  addresses: Ip[]
  /** Of its end of the network's VXLAN. */
  mac: string
  /** Of its prefixes. */
  number: number
  /** Which daemon speaks: one boot of one machine. */
  instance: string
}

export interface Written<T> {
  value: T
  revision: number
  lease?: string
}

/** All that stands there. */
export interface View {
  cluster: string
  revision: number
  layout?: Written<Layout>
  /** By number: the host's id. */
  claims: Map<number, Written<string>>
  /** By the host's id. */
  hosts: Map<string, Written<HostWord>>
  /** Keys that mean nothing, and why. */
  ignored: Map<string, string>
}

export interface Keys {
  /** All begin so. */
  all: string
  layout: string
  claim(number: number): string
  host(id: string): string
}

export const isHostId = (text: string): boolean => /^[0-9a-f]{16}$/.test(text)

export function keysOf(prefix: string, network: string): Keys {
  const all = `${prefix.replace(/\/+$/, '')}/${network}/`
  return {
    all,
    layout: `${all}network`,
    claim: number => `${all}claims/${number}`,
    host: id => `${all}hosts/${id}`,
  }
}

/** Of one interface, as the kernel prints it. */
export const isMac = (value: unknown): boolean =>
  typeof value === 'string' && /^([0-9a-f][02468ace])(:[0-9a-f]{2}){5}$/.test(value)

const prefix = when(isCidr, 'a prefix')

const shapes = {
  layout: record({
    pools: listOf(record({ subnet: prefix, hostPrefix: within(1, 128) })),
    carrier: oneOf('vxlan', 'routes'),
    port: within(1, 65_535),
  }),
  claim: record({
    host: all(
      text,
      when(value => isHostId(String(value)), 'the id of a host'),
    ),
  }),
  host: record({
    name: parsed(name => name.length <= 253 || undefined, 'a name of a host'),
    addresses: all(
      listOf(when(isIp, 'an address')),
      when(value => [1, 2].includes((value as unknown[]).length), 'one address or two'),
    ),
    mac: when(isMac, 'a link address of one interface'),
    number: within(0, 65_535),
    instance: text,
  }),
} satisfies Record<string, Shape>

export const layoutText = (layout: Layout): string => storedText(layout)
export const claimText = (host: string): string => storedText({ host })
export const wordText = (word: HostWord): string => storedText(word)

export const emptyView = (cluster: string, revision: number): View => ({
  cluster,
  revision,
  claims: new Map(),
  hosts: new Map(),
  ignored: new Map(),
})

/** Takes what a key says into a view. */
export function take(view: View, keys: Keys, { key, value, revision, lease }: KeyValue): void {
  drop(view, keys, key)
  const read = <T>(shape: Shape): T | undefined => {
    try {
      const stored = readStored<T>(value, shape, key)
      if ('value' in stored) return stored.value
      view.ignored.set(key, stored.damage)
    } catch (thrown) {
      view.ignored.set(key, messageOf(thrown))
    }
    return undefined
  }
  const written = <T>(value: T): Written<T> => ({ value, revision, ...(lease !== undefined && { lease }) })
  const [kind, name = ''] = partsOf(keys, key)
  if (kind === 'network') {
    const layout = read<Layout>(shapes.layout)
    if (layout !== undefined) view.layout = written(layout)
  } else if (kind === 'claims') {
    const claim = read<{ host: string }>(shapes.claim)
    if (claim !== undefined) view.claims.set(Number(name), written(claim.host))
  } else if (kind === 'hosts') {
    const word = read<HostWord>(shapes.host)
    if (word !== undefined) view.hosts.set(name, written(word))
  } else {
    view.ignored.set(key, 'is none of the keys of a network')
  }
}

/** Takes a key out of a view. */
export function drop(view: View, keys: Keys, key: string): void {
  const [kind, name = ''] = partsOf(keys, key)
  view.ignored.delete(key)
  if (kind === 'network') delete view.layout
  else if (kind === 'claims') view.claims.delete(Number(name))
  else if (kind === 'hosts') view.hosts.delete(name)
}

function partsOf(keys: Keys, key: string): [kind?: 'network' | 'claims' | 'hosts', name?: string] {
  if (key === keys.layout) return ['network']
  const [, kind, name = ''] = /^(claims|hosts)\/([^/]+)$/.exec(key.slice(keys.all.length)) ?? []
  if (kind === 'claims' && /^(0|[1-9]\d{0,4})$/.test(name)) return ['claims', name]
  if (kind === 'hosts' && isHostId(name)) return ['hosts', name]
  return []
}

/** The host that a key speaks of, or as the view has it, spoke of. */
export function hostIn({ claims }: View, keys: Keys, key: string): string | undefined {
  const [kind, name = ''] = partsOf(keys, key)
  if (kind === 'hosts') return name
  return kind === 'claims' ? claims.get(Number(name))?.value : undefined
}

/** What two hosts say differently of one network; undefined where they agree. */
export function contradiction(ours: Layout, theirs: Layout): string | undefined {
  const text = ({ pools, carrier, port }: Layout) =>
    [
      ...pools.map(({ subnet, hostPrefix }) => `${subnet} in /${hostPrefix}`),
      carrier === 'vxlan' ? `vxlan on ${port}` : carrier,
    ].join(', ')
  return text(ours) === text(theirs) ? undefined : `${text(theirs)}, and here ${text(ours)}`
}
