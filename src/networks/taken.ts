/**
 * What of the address space is somebody's already, and by what words people know it: networks of any plugin and of
 * netavark, leases that outlived their list, addresses and routes of this host in whatever table.
 */

import { join } from 'node:path'
import {
  bitsOf,
  type Cidr,
  cidrOf,
  familyOf,
  lengthOf,
  networkOf,
  overlaps,
  tryParseIp,
} from '../model/address/address.ts'
import { LEASES_FOLDER } from '../model/network.ts'
import { present } from '../model/present.ts'
import { listAddresses } from '../netlink/address.ts'
import { RT_TABLE_MAIN } from '../netlink/constants.ts'
import { type Link, listLinks } from '../netlink/link/link.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { type KernelRoute, listRoutes, type RouteType } from '../netlink/route.ts'
import { listEntries } from '../records/records.ts'
import { listNetworks, type PluginConfig } from '../runtime/conflist.ts'
import { namesIn } from '../runtime/folder.ts'
import {
  type NetavarkNetwork,
  netavarkNetworks,
  networkFolders,
  subnetsOf,
} from '../runtime/network-folders.ts'
import type { Host } from './places.ts'
import { DRIVER, JOINS } from './wish/options.ts'

export interface Taken {
  cidr: Cidr
  /** `network front (10.1.0.0/24)`. */
  by: string
}

/** The networks of this host as far as others may stumble over them. */
export interface OtherNetwork {
  name: string
  bridges: string[]
  /** Interfaces of the host that are plugged into them. */
  uplinks: string[]
  subnets: Cidr[]
  /** By which netavark knows it. */
  id?: string
}

/** Of all folders that a runtime of this host is told to use. */
export function otherNetworks({ confDir, env }: Host): OtherNetwork[] {
  const folders = [...new Set([confDir, ...networkFolders(env)])]
  const lists = folders.flatMap(folder =>
    listNetworks(folder).map(({ list }) => ({
      name: list.name,
      bridges: bridgesOf(list.plugins),
      uplinks: uplinksOf(list.plugins),
      subnets: list.plugins.flatMap(({ config }) => subnetsOf(config)),
    })),
  )
  const isListed = (network: NetavarkNetwork) => lists.some(({ name }) => name === listBehind(network))
  const netavarks = folders.flatMap(netavarkNetworks).filter(each => !isListed(each))
  return [
    ...lists,
    ...netavarks.map(({ name, id, bridge, subnets }) => ({
      name,
      bridges: bridge === undefined ? [] : [bridge],
      uplinks: [],
      subnets,
      ...present({ id }),
    })),
  ]
}

/** The network list that one of netavark is by another name, where it is of our driver. */
export const listBehind = ({ driver, options, name }: NetavarkNetwork): unknown =>
  driver === DRIVER ? (options[JOINS] ?? name) : undefined

/** The bridges that plugins of a list name. */
export const bridgesOf = (plugins: readonly PluginConfig[]): string[] => namesAt(plugins, 'bridge')

/** Interfaces of the host that plugins of ours plug into their bridges. */
export const uplinksOf = (plugins: readonly PluginConfig[]): string[] =>
  namesAt(
    plugins.filter(({ type }) => type === 'tsnet'),
    'uplink',
  )

const namesAt = (plugins: readonly PluginConfig[], key: string): string[] => [
  ...new Set(plugins.map(({ config }) => config[key]).filter(each => typeof each === 'string')),
]

/**
 * @param own of the network to be: a bridge whose own addresses and routes are its; its name, by which containers may
 *   still be on it
 */
export function takenOn(
  networks: readonly OtherNetwork[],
  own: { bridge?: string | undefined; name?: string | undefined } = {},
): Taken[] {
  const ofNetworks = networks.flatMap(({ name, subnets }) =>
    subnets.map(cidr => ({ cidr, by: `network ${name} (${cidr})` })),
  )
  return [
    ...ofNetworks,
    ...ofAttachments(own.name),
    ...leases(own.name),
    ...takenByKernel(own.bridge === undefined ? [] : [own.bridge]),
  ]
}

/** Whose list is gone, and whose containers still run. */
const ofAttachments = (but?: string): Taken[] =>
  listEntries()
    .map(({ entry }) => entry.attachment)
    .filter(({ network }) => network !== but)
    .flatMap(({ network, containerId, leases }) =>
      leases.map(({ address }) => ({
        cidr: networkOf(address),
        by: `network ${network}, on which container ${containerId} still is`,
      })),
    )

/** What host-local gave, ours or the reference's. */
const leases = (but?: string): Taken[] =>
  namesIn(LEASES_FOLDER)
    .filter(network => network !== but)
    .flatMap(network =>
      namesIn(join(LEASES_FOLDER, network)).flatMap(name => {
        const ip = tryParseIp(name)
        return ip === undefined
          ? []
          : { cidr: cidrOf(ip, bitsOf(familyOf(ip))), by: `the lease of ${ip} on network ${network}` }
      }),
    )

/** Routes by which nobody is reached. */
const NOWHERE: readonly RouteType[] = ['unreachable', 'blackhole', 'prohibit', 'throw', 'multicast']

/** Not networks but ways out: default routes, also in the two halves that VPNs make of them, and all of 2000::/3. */
const WAY_OUT_AT_MOST = { 4: 1, 6: 3 } as const

/** On every link (RFC 4291, 2.5.6), or of many. */
const EVERYWHERE = ['fe80::/10', 'ff00::/8', '224.0.0.0/4'] as Cidr[]

/** Addresses and routes of this host. @param but not those of these interfaces */
export function takenByKernel(but: readonly string[]): Taken[] {
  using nl = openNetlink()
  const links = new Map(listLinks(nl).map(link => [link.index, link]))
  const isOthers = (index: number | undefined) =>
    index === undefined || !but.includes(links.get(index)?.name ?? '')
  const addresses = listAddresses(nl)
    .filter(({ index }) => isOthers(index))
    .map(({ address, index }) => ({
      cidr: networkOf(address),
      by: `address ${address} of ${links.get(index)?.name ?? 'this host'}`,
    }))
  const routes = listRoutes(nl)
    .filter(route => isNetwork(route) && isOthers(route.index))
    .map(route => ({ cidr: networkOf(route.destination), by: describe(route, links) }))
  return [...addresses, ...routes].filter(({ cidr }) => !EVERYWHERE.some(each => overlaps(each, cidr)))
}

const isNetwork = ({ type, destination }: KernelRoute): boolean =>
  !NOWHERE.includes(type) && lengthOf(destination) > WAY_OUT_AT_MOST[familyOf(destination)]

function describe({ destination, index, gateway, table }: KernelRoute, links: Map<number, Link>): string {
  const link = index === undefined ? undefined : links.get(index)?.name
  return [
    `route ${destination}`,
    gateway && `via ${gateway}`,
    link && `over ${link}`,
    table !== RT_TABLE_MAIN && `of table ${table}`,
  ]
    .filter(Boolean)
    .join(' ')
}
