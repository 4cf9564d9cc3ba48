/** What a network is, and who is on it: of lists of any plugin, as far as they tell. */

import { join } from 'node:path'
import { readHostLocal } from '../cni/config/ipam.ts'
import { normalise, type PoolRange } from '../ipam/ipam.ts'
import { type Cidr, contains, type Ip, numberOf, tryParseIp } from '../model/address/address.ts'
import { Json } from '../model/json/json.ts'
import { type IpamOptions, nameOfAttached } from '../model/network.ts'
import { present } from '../model/present.ts'
import { listEntries, type NamedEntry } from '../records/records.ts'
import { listNetworks, type NetworkList } from '../runtime/conflist.ts'
import { namesIn } from '../runtime/folder.ts'
import { subnetsOf } from '../runtime/network-folders.ts'
import { isAlive, type Known, listKnown } from './known.ts'
import { MARK, type MadeFor, type MadeList } from './list.ts'
import type { Host } from './places.ts'
import { addressesIn } from './result.ts'
import { bridgesOf, uplinksOf } from './taken.ts'

/** What its file says. */
export interface NetworkInfo {
  name: string
  file: string
  /** Made by `tsnet network create`; absent: by somebody else. */
  created?: string
  /** Another engine's network that it was made for, and goes with. */
  madeFor?: MadeFor
  /** The types of its plugins, in their order. */
  plugins: string[]
  bridge?: string
  /** An interface of the host that is plugged into it. */
  uplink?: string
  subnets: Cidr[]
}

export interface SubnetUse {
  subnet: Cidr
  gateway: Ip
  first: Ip
  last: Ip
  /** Addresses from `first` to `last`, the gateway's not counted; of IPv6 rounded. */
  size: number
  used: number
}

export interface Member {
  /** As its runtime calls it, or else its id. */
  name: string
  containerId: string
  ifname: string
  addresses: string[]
  mac?: string
  netns?: string
  /** As they were asked for when it joined. */
  ports: MemberPort[]
  /** False where its namespace or its interface is gone, and nobody has taken it off the network yet. */
  alive: boolean
}

export interface MemberPort {
  hostIp?: string
  hostPort: number
  containerPort: number
  count: number
  protocol: string
}

export interface NetworkDetails extends NetworkInfo {
  cniVersion: string
  pools: SubnetUse[]
  attachments: Member[]
  /** The plugins as they stand in the list. */
  configuration: object[]
}

/** The networks of a folder, in the order in which runtimes read it. */
export const listInfos = (
  host: Host,
  onDamage?: (file: string, thrown: unknown) => void,
): (NetworkInfo & { list: NetworkList })[] =>
  firstOfName(listNetworks(host.confDir, onDamage)).map(({ file, list }) => ({
    ...infoOf(file, list),
    list,
  }))

/** What a runtime means by a name is the first list of it. */
const firstOfName = <T extends { list: NetworkList }>(lists: T[]): T[] =>
  lists.filter((each, index) => lists.findIndex(({ list }) => list.name === each.list.name) === index)

function infoOf(file: string, list: NetworkList): NetworkInfo {
  const { plugins, text, name } = list
  const [bridge] = bridgesOf(plugins)
  const [uplink] = uplinksOf(plugins)
  const subnets = [...new Set(plugins.flatMap(({ config }) => subnetsOf(config)))]
  return {
    name,
    file,
    ...present({ ...markOf(text), bridge, uplink }),
    plugins: plugins.map(({ type }) => type),
    subnets,
  }
}

function markOf(list: string): Pick<NetworkInfo, 'created' | 'madeFor'> {
  const mark = new Json(JSON.parse(list), '').exactly(MARK).value as
    | Partial<MadeList[typeof MARK]>
    | undefined
  if (typeof mark?.created !== 'string') return {}
  const { runtime, id } = mark.for ?? {}
  const isKnown = (runtime === 'docker' || runtime === 'podman') && typeof id === 'string'
  return { created: mark.created, ...(isKnown && { madeFor: { runtime, id } }) }
}

export function describeNetwork(
  { list, ...info }: NetworkInfo & { list: NetworkList },
  host: Host,
): NetworkDetails {
  return {
    ...info,
    cniVersion: list.cniVersion,
    pools: usesOf(list),
    attachments: membersOf(host, info.name),
    configuration: list.plugins.map(({ config }) => config),
  }
}

/** What is used of the subnets of a list. */
export const usesOf = ({ plugins, name }: NetworkList): SubnetUse[] =>
  plugins.flatMap(({ config }) => poolsOf(config, name))

/** Of host-local's addresses, ours or the reference's: the only ones that are known from files. */
function poolsOf(config: Record<string, unknown>, network: string): SubnetUse[] {
  const ipam = hostLocalIn(config)
  if (ipam?.kind !== 'host-local') return []
  const leased = namesIn(join(ipam.dataDir, network)).flatMap(name => tryParseIp(name) ?? [])
  return rangesIn(ipam).map(({ subnet, gateway, start, end }) => {
    const isWithin = (ip: Ip) =>
      contains(subnet, ip) && numberOf(start) <= numberOf(ip) && numberOf(ip) <= numberOf(end)
    const size = numberOf(end) - numberOf(start) + 1n - (isWithin(gateway) ? 1n : 0n)
    return {
      subnet,
      gateway,
      first: start,
      last: end,
      size: Number(size),
      used: leased.filter(isWithin).length,
    }
  })
}

/** Where a plugin's addresses come from, if that is host-local. */
export function hostLocalIn(config: Record<string, unknown>): IpamOptions | undefined {
  try {
    const json = new Json(config, '')
    return json.get('ipam').get('type').text() === 'host-local' ? readHostLocal(json, '1.0.0') : undefined
  } catch {
    return undefined // an ADD says what is wrong with it
  }
}

function rangesIn({ ranges }: Extract<IpamOptions, { kind: 'host-local' }>): PoolRange[] {
  try {
    return normalise(ranges).flat()
  } catch {
    return []
  }
}

/** Who is on a network, by what runtimes and we wrote down. */
export function membersOf(host: Host, network: string): Member[] {
  const records = listEntries().filter(({ entry }) => entry.attachment.network === network)
  return listKnown(host)
    .filter(known => known.network === network)
    .map(known => memberOf(known, records.find(isRecordOf(known))))
}

const isRecordOf =
  ({ containerId, ifname }: Known) =>
  ({ entry: { attachment } }: NamedEntry): boolean =>
    attachment.containerId === containerId && attachment.ifname === ifname

function memberOf(known: Known, record: NamedEntry | undefined): Member {
  const { containerId, ifname, netns, names, cached } = known
  const { entry } = record ?? {}
  const mac = entry?.state === 'attached' ? entry.attachment.containerInterface.mac : known.mac
  return present({
    name: names.at(-1) ?? nameOfAttached(entry?.attachment ?? known),
    containerId,
    ifname,
    addresses:
      entry === undefined
        ? cachedAddresses(cached?.result)
        : entry.attachment.leases.map(({ address }) => address),
    mac,
    netns: netns === '' ? undefined : netns,
    ports: entry === undefined ? [] : entry.attachment.ports.map(({ ...port }) => port),
    alive: isAlive(known),
  })
}

function cachedAddresses(result: Record<string, unknown> | undefined): string[] {
  try {
    return result === undefined ? [] : addressesIn(result)
  } catch {
    return [] // what another plugin answered
  }
}
