/**
 * Whom a container may reach: from its list as it was written to what is written down and in the kernel, when it is attached
 * (here) and while it lives (change.ts).
 *
 * A network is its subnets.
 *
 *     network:back ─▶ the network that asks itself, by its own configuration
 *                  ─▶ a list in the folder of networks, then in those that runtimes are told to use
 *                  ─▶ one of podman's
 *
 * They are looked up when a container is attached, and written down with their name: what becomes of a network later counts
 * for who comes later.
 */

import type { Cidr } from '../../model/address/address.ts'
import {
  type AskedReach,
  isOfNetwork,
  type NetworkEntry,
  type Permission,
  permissionText,
  type Reach,
} from '../../model/address/reach.ts'
import { TsnetError } from '../../model/errors.ts'
import { shown } from '../../model/json/shown.ts'
import { didYouMean } from '../../model/nearest.ts'
import type { AttachRequest, Network } from '../../model/network.ts'
import { present } from '../../model/present.ts'
import { warn } from '../../ports/foreign-rules.ts'
import { CONF_DIR, listNetworks } from '../../runtime/conflist.ts'
import { netavarkNetworks, networkFolders, subnetsOf } from '../../runtime/network-folders.ts'
import type { Context } from '../context.ts'

/** A network that a list may have. */
interface Allowable {
  name: string
  subnets: Cidr[]
}

/** One of this host. */
interface NetworkPlace extends Allowable {
  /** Its containers' own addresses are kept from everybody but the host. */
  isGuarded: boolean
}

/** The list that a request asks for, its own or its network's, with what of this host it needs. @throws as reachHere */
export const reachAsked = (
  { network, containerId, reach = network.reach }: Pick<AttachRequest, 'network' | 'containerId' | 'reach'>,
  { confDir }: Pick<Context, 'confDir'>,
): Reach | undefined =>
  reach && reachHere(reach, { ...placeOf(network), containerId, ...present({ confDir }) })

/**
 * A list with the subnets of the networks that it has. Warns of those whose containers are guarded: a list lets packets leave,
 * and nobody in.
 * @param asking whose it is: a container of a network
 * @throws TsnetError `invalid-config`: there is no such network, or nobody knows its subnets
 */
export function reachHere(
  { allow: asked }: AskedReach,
  { containerId, confDir, name: own, subnets }: Allowable & { containerId: string; confDir?: string },
): Reach {
  const networks = asked.some(isOfNetwork)
    ? [{ name: own, subnets, isGuarded: false }, ...networksIn(confDir)]
    : []
  const allow = asked.flatMap(each => (isOfNetwork(each) ? permissionsOf(each, networks) : [each]))
  for (const name of new Set(allow.flatMap(each => each.network ?? [])))
    if (networks.find(each => each.name === name)?.isGuarded)
      warn(`container ${containerId} on network ${own}`, guardedText(name))
  return { allow }
}

const guardedText = (name: string): string =>
  `egress.allow has network ${name}, to whose containers' own addresses nobody but the host may send: make that network with --direct ("allowDirectRouting": true), or publish the port and allow "host" with it`

/**
 * What an entry of a network allows.
 * @param networks those of this host; the first of a name counts
 * @throws TsnetError as reachHere
 */
export function permissionsOf(entry: NetworkEntry, networks: readonly Allowable[]): Permission[] {
  const { network, service } = entry
  const place = networks.find(({ name }) => name === network)
  const said = `egress.allow: ${shown(permissionText(entry))}`
  if (place === undefined) {
    const names = [...new Set(networks.map(({ name }) => name))]
    throw new TsnetError(
      'invalid-config',
      `${said} is no network of this host, which has ${names.join(', ')}${didYouMean(network, names)}`,
    )
  }
  if (place.subnets.length === 0)
    throw new TsnetError(
      'invalid-config',
      `${said} is a network whose list says no subnet: its addresses come from elsewhere`,
      { details: 'allow the prefix that its containers have' },
    )
  return [...new Set(place.subnets)].map(to => ({ to, network, ...(service !== undefined && { service }) }))
}

/** What a network is to lists of its own containers. */
const placeOf = ({ name, ipam, hosts }: Network): Allowable => ({
  name,
  subnets:
    hosts !== undefined
      ? hosts.pools.map(({ subnet }) => subnet)
      : ipam.kind === 'host-local'
        ? ipam.ranges.flat().map(({ subnet }) => subnet)
        : ipam.kind === 'delegated'
          ? subnetsOf(ipam.delegation.config)
          : [],
})

function networksIn(confDir: string = CONF_DIR): NetworkPlace[] {
  const folders = [...new Set([confDir, ...networkFolders()])]
  const lists = folders.flatMap(folder => listNetworks(folder)).map(({ list }) => list)
  return [
    ...lists.map(({ name, plugins }) => ({
      name,
      subnets: plugins.flatMap(({ config }) => subnetsOf(config)),
      isGuarded: plugins.some(({ type, config }) => type === 'tsnet' && isGuarded(config)),
    })),
    ...folders.flatMap(netavarkNetworks).map(({ name, subnets }) => ({ name, subnets, isGuarded: false })),
  ]
}

/** As cni/config reads it. */
const isGuarded = ({ allowDirectRouting, ipMasq }: Record<string, unknown>): boolean =>
  typeof allowDirectRouting === 'boolean' ? !allowDirectRouting : ipMasq === true
