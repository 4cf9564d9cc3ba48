/**
 * A network over several hosts, as plain values: where they meet, which addresses each of them gives out, and what
 * carries packets between them.
 */

import {
  bitsOf,
  type Cidr,
  cidrOf,
  type Family,
  familyOf,
  type Ip,
  ipAt,
  ipOf,
  lastOf,
  lengthOf,
  numberOf,
} from '../address/address.ts'

/** How what leaves the network does so. */
export interface EgressOptions {
  /** By which hosts, in this order: names or ids; empty: by each container's own. */
  hosts: string[]
  /** Under which addresses of the host by which it leaves, one of a family. */
  addresses: Ip[]
  /** Where none of the hosts is there: by its own, or not at all. */
  otherwise: 'own' | 'none'
}

/** How etcd is reached. Files are read when a connection is made, so that certificates may be renewed. */
export interface EtcdOptions {
  /** `https://10.0.0.1:2379`; asked in turn until one answers. */
  endpoints: string[]
  /** Begins all keys: `/tsnet`. */
  keys: string
  /** Paths of PEM files: who may answer, and who we are. */
  ca?: string
  cert?: string
  key?: string
  user?: string
  /** Holds the password of `user`. */
  passwordFile?: string
}

/** A subnet of the network, cut into prefixes of one length. */
export interface HostPool {
  subnet: Cidr
  hostPrefix: number
}

export const carriers = ['vxlan', 'routes'] as const
export type Carrier = (typeof carriers)[number]

export interface HostsOptions {
  etcd: EtcdOptions
  /** One for each family. A host has the prefix of the same number in all. */
  pools: HostPool[]
  carrier: Carrier
  /** UDP port of VXLAN. */
  port: number
  /** Where hosts reach each other: the address of this host within it is told to the others. */
  underlay?: Cidr
  /** How long a host that says nothing keeps its routes elsewhere, and how long its prefix, in seconds. */
  routesKeptS: number
  prefixKeptS: number
}

/** Numbers of prefixes are small: a subnet with more of them is not used up. */
const NUMBERS_MAX = 65_536

/** How many hosts the network has room for. */
export const roomOf = (pools: readonly HostPool[]): number =>
  Math.min(NUMBERS_MAX, ...pools.map(({ subnet, hostPrefix }) => 2 ** (hostPrefix - lengthOf(subnet))))

/** The prefixes of one number. */
export const prefixesOf = (pools: readonly HostPool[], number: number): Cidr[] =>
  pools.map(({ subnet, hostPrefix }) => {
    const family = familyOf(subnet)
    const step = 1n << BigInt(bitsOf(family) - hostPrefix)
    return cidrOf(ipAt(numberOf(ipOf(subnet)) + BigInt(number) * step, family), hostPrefix)
  })

/**
 * The address by which the host itself is known in the network: of IPv4 the first of its prefix, which is nobody's;
 * of IPv6, where that belongs to all routers, the last, which the pool leaves out.
 */
export const ownAddress = (prefix: Cidr): Ip => (familyOf(prefix) === 4 ? ipOf(prefix) : lastOf(prefix))

/** What containers of a host get addresses from. */
export const rangesOf = (prefixes: readonly Cidr[]): { subnet: Cidr; rangeEnd?: Ip }[][] =>
  prefixes.map(subnet => [
    familyOf(subnet) === 4 ? { subnet } : { subnet, rangeEnd: ipAt(numberOf(lastOf(subnet)) - 1n, 6) },
  ])

/** Bytes that the carrier puts before a packet. */
export const overheadOf = (carrier: Carrier, underlay: Family): number =>
  carrier === 'routes' ? 0 : underlay === 4 ? 50 : 70

/** How a network leaves: by which bridge its containers come, by whom they go, and under which address. */
export interface LeavingOptions extends EgressOptions {
  bridge: string
}

/** A network over several hosts, as its daemon has to know it. */
export interface HostsNetwork extends HostsOptions {
  /** Absent: each container leaves by its own host. */
  leaving?: LeavingOptions
}

/**
 * In the mark of a packet: it leaves a network by the host that is chosen for that. A bit that none of Kubernetes, Docker,
 * podman, Calico and Tailscale has.
 */
export const WAY_OUT_MARK = 0x1000
