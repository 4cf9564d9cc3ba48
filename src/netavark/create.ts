/** `podman network create -d tsnet`: a network that is made here, or one that is there and is joined. */

import { removeWithMembers } from '../chain/remove.ts'
import { familyOf } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { present } from '../model/present.ts'
import { usesOf } from '../networks/look.ts'
import {
  createNetwork,
  DRIVER,
  findAbandoned,
  type Host,
  isKept,
  listInfos,
  type NetworkWords,
  readOptions,
  readWish,
} from '../networks/networks.ts'
import { bridgesOf } from '../networks/taken.ts'
import { requireRunDirectory } from '../records/run-directory.ts'
import { findNetworkList, type NetworkList, parseNetworkList } from '../runtime/conflist.ts'
import type { PodmanNetwork } from './request.ts'

/** Where podman gives no addresses, and does not ask for any. */
const NO_ADDRESSES = 'none'
/** Where it gives them itself, unless the plugin says who does. */
const PODMANS = ['host-local', DRIVER]

/** @returns the network as podman keeps it @throws TsnetError; nothing is left then */
export async function create(network: PodmanNetwork, host: Host): Promise<object> {
  const { joins } = readOptions(network.options)
  if (joins !== undefined) {
    refuseBeside(network, joins)
    return completed(network, findNetworkList(joins, host.confDir))
  }
  const wish = wishFor(network)
  requireRunDirectory()
  await makeRoom(network, host)
  return completed(network, await make(network, wish, host))
}

/** The list that a container of such a network joins; made anew where it was lost. @throws TsnetError */
export async function listFor(network: PodmanNetwork, host: Host): Promise<NetworkList> {
  const { joins } = readOptions(network.options)
  if (joins !== undefined) return findNetworkList(joins, host.confDir)
  const found = listInfos(host).find(({ name }) => name === network.name)
  if (found === undefined) return make(network, wishFor(network), host)
  if (found.madeFor?.id === network.id) return found.list
  throw new TsnetError(
    'conflict',
    `${found.file} is another network ${network.name} than podman's; remove one of them, or have podman's join it: podman network create -d tsnet -o tsnet.network=${network.name} NAME`,
  )
}

async function make(
  { id }: PodmanNetwork,
  wish: ReturnType<typeof readWish>,
  host: Host,
): Promise<NetworkList> {
  const { list } = await createNetwork(wish, host, { madeFor: { runtime: 'podman', id } })
  return parseNetworkList(JSON.stringify(list))
}

/** Takes away lists of networks that podman has removed: that of this name, which it would not make again, and all others. */
async function makeRoom({ name }: PodmanNetwork, host: Host): Promise<void> {
  const before = listInfos(host).find(each => each.name === name)
  const isOver = before?.madeFor?.runtime === 'podman' && !isKept(before.madeFor, host)
  const abandoned = findAbandoned(host).filter(each => each.name !== name)
  for (const each of [...(isOver ? [before] : []), ...abandoned]) await removeWithMembers(each, host)
}

/** Joining takes a network as it is. */
function refuseBeside(
  { subnets, routes, nameservers, bridge, internal, ipv6, ipam }: PodmanNetwork,
  joins: string,
) {
  const given: [option: string, isGiven: boolean][] = [
    ['--subnet', subnets.length > 0],
    ['--route', routes.length > 0],
    ['--dns', nameservers.length > 0],
    ['--interface-name', bridge !== undefined],
    ['--internal', internal],
    ['--ipv6', ipv6],
    ['--ipam-driver', ipam !== undefined],
  ]
  const option = given.find(([, isGiven]) => isGiven)?.[0]
  if (option === undefined) return
  throw new TsnetError(
    'invalid-environment',
    `-o tsnet.network=${joins} joins a network as it is, so there is nothing for ${option} to say`,
  )
}

function wishFor(network: PodmanNetwork): ReturnType<typeof readWish> {
  const { name, subnets, routes, nameservers, ipv6, internal, bridge, ipam } = network
  const { called, words: options } = readOptions(network.options)
  if (called !== undefined)
    throw new TsnetError('invalid-environment', `-o tsnet.name: it is called ${name}, as podman calls it`)
  const layer2 = ipam === NO_ADDRESSES
  if (!layer2 && ipam !== undefined && !PODMANS.includes(ipam))
    throw new TsnetError(
      'invalid-environment',
      `--ipam-driver: ${ipam} is none of tsnet's: its networks give addresses of their subnets, or with none none at all`,
    )
  const words: NetworkWords = present({
    subnet: subnets.map(({ subnet }) => subnet),
    gateway: subnets.flatMap(({ gateway }) => gateway ?? []),
    ipRange: subnets.flatMap(({ part }) => (part === undefined ? [] : `${part.first}-${part.last}`)),
    ipv6,
    internal,
    layer2,
    names: network.names && !layer2,
    interfaceName: bridge,
    route: routes,
    dns: nameservers,
    ...options,
  })
  return readWish(name, words)
}

function completed({ raw, internal, names }: PodmanNetwork, list: NetworkList): object {
  const uses = usesOf(list)
  const [bridge] = bridgesOf(list.plugins)
  const isLayer2 = list.plugins.every(({ config }) => config.ipam === undefined && config.hosts === undefined)
  return {
    ...raw,
    ...present({ network_interface: bridge }),
    ipv6_enabled: uses.some(({ subnet }) => familyOf(subnet) === 6),
    internal,
    // podman takes aliases for containers only where names are told.
    dns_enabled: names && list.plugins.some(({ config }) => Boolean(config.names)),
    ipam_options: { driver: isLayer2 ? NO_ADDRESSES : DRIVER },
    subnets: uses.map(({ subnet, gateway, first, last }) => ({
      subnet,
      gateway,
      ...(rangeIsGiven(list) && { lease_range: { start_ip: first, end_ip: last } }),
    })),
  }
}

const rangeIsGiven = ({ plugins }: NetworkList): boolean =>
  plugins.some(({ config }) => JSON.stringify(config.ipam ?? {}).includes('"rangeStart"'))
