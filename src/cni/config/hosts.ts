/** The `hosts` section: a network over many hosts, and how they find each other. */

import { familyOf, lengthOf, networkOf } from '../../model/address/address.ts'
import { parseDuration } from '../../model/duration.ts'
import { messageOf } from '../../model/errors.ts'
import {
  carriers,
  type EtcdOptions,
  type HostPool,
  type HostsNetwork,
  type HostsOptions,
} from '../../model/hosts/hosts.ts'
import { Json } from '../../model/json/json.ts'
import { readRoutes } from '../../model/json/result.ts'
import { readCidr } from '../../model/json/values.ts'
import { type BridgeOptions, type IpamOptions, LEASES_FOLDER } from '../../model/network.ts'
import { present } from '../../model/present.ts'
import { readBridge } from './bridge.ts'
import { readEgress } from './egress.ts'
import { readPath } from './path.ts'

/** IANA's. */
const VXLAN_PORT = 4789
const KEYS = '/tsnet'
const ROUTES_KEPT = '1h'
const PREFIX_KEPT = '1d'
/** Of leases that others have to notice. */
const KEPT_MIN_MS = 3_000

/** Of a plugin as it stands in a list. @throws TsnetError naming the key and the value */
export function readHostsOf(plugin: object): HostsNetwork | undefined {
  const config = new Json(plugin, '')
  const bridge = readBridge(config)
  const hosts = readHosts(config, bridge)
  if (hosts === undefined) return undefined
  const ipMasq = config.get('ipMasq').flag() ?? false
  const egress = readEgress(config, { hosts, ipMasq, ipam: { kind: 'host-local' } })
  const isByHost = egress !== undefined && egress.hosts.length > 0
  return { ...hosts, ...(isByHost && { leaving: { ...egress, bridge: bridge.name } }) }
}

/** @throws TsnetError naming the key and the value */
export function readHosts(config: Json, bridge: BridgeOptions): HostsOptions | undefined {
  const hosts = config.get('hosts')
  if (!hosts.present) return undefined
  hosts.object()
  const engine = hosts.get('engine').text()
  if (engine !== 'etcd') hosts.get('engine').refuse('is not "etcd", the only one that is known')
  if (!bridge.isGateway && !bridge.isDefaultGateway) {
    hosts.refuse(
      'needs a bridge with isGateway or isDefaultGateway: the host leads to the other hosts',
      'unsupported-field',
    )
  }
  const carrier = carriers.find(known => known === (hosts.get('carrier').text() ?? 'vxlan'))
  if (carrier === undefined) return hosts.get('carrier').refuse(`is neither "${carriers.join('" nor "')}"`)
  const pools = readPools(hosts)
  return present({
    etcd: readEtcd(hosts),
    pools,
    carrier,
    port: hosts.get('port').number(1, 65_535) ?? VXLAN_PORT,
    underlay: readCidr(hosts.get('underlay')),
    ...readKept(hosts),
  })
}

function readKept(hosts: Json): Pick<HostsOptions, 'routesKeptS' | 'prefixKeptS'> {
  const seconds = (key: string, usual: string): number => {
    const place = hosts.get(key)
    let ms: number
    try {
      ms = parseDuration(place.text() ?? usual, key)
    } catch (thrown) {
      return place.refuse(messageOf(thrown).replace(/^.*? is /, 'is '))
    }
    return ms < KEPT_MIN_MS ? place.refuse('is less than 3s') : Math.round(ms / 1_000)
  }
  const routesKeptS = seconds('routesKept', ROUTES_KEPT)
  const prefixKeptS = seconds('prefixKept', PREFIX_KEPT)
  if (prefixKeptS < routesKeptS) {
    hosts
      .get('prefixKept')
      .refuse('is less than routesKept: others would be led to a prefix that is given away')
  }
  return { routesKeptS, prefixKeptS }
}

function readPools(hosts: Json): HostPool[] {
  const pools = [
    ...readPool(hosts, 'subnet', 'hostPrefix', 4, 24),
    ...readPool(hosts, 'subnet6', 'hostPrefix6', 6, 64),
  ]
  return pools.length > 0 ? pools : hosts.get('subnet').refuse('is missing')
}

/** With room for a gateway and some containers in a prefix. */
const PREFIX_MAX = { 4: 29, 6: 120 }

function readPool(hosts: Json, key: string, lengthKey: string, family: 4 | 6, usual: number): HostPool[] {
  const place = hosts.get(key)
  const subnet = readCidr(place)
  const length = hosts.get(lengthKey)
  if (subnet === undefined) return length.present ? length.refuse(`cannot be without ${key}`) : []
  if (familyOf(subnet) !== family) {
    // One of the other family alone may stand under the plain name.
    return place.refuse(`is no prefix of IPv${family}${family === 4 ? '; those of IPv6 are subnet6' : ''}`)
  }
  if (networkOf(subnet) !== subnet)
    place.refuse(`has bits behind its prefix; it would be ${networkOf(subnet)}`)
  const hostPrefix = length.number(1, PREFIX_MAX[family]) ?? usual
  if (hostPrefix <= lengthOf(subnet)) {
    length.present
      ? length.refuse(`does not divide ${subnet}: it has to be more than ${lengthOf(subnet)}`)
      : place.refuse(`is too small to be divided into prefixes of /${hostPrefix}; say how with ${lengthKey}`)
  }
  return [{ subnet, hostPrefix }]
}

function readEtcd(hosts: Json): EtcdOptions {
  const list = hosts.get('endpoints').list()
  if (list.length === 0)
    hosts.get('endpoints').refuse('is missing: client URLs of etcd, such as ["https://10.0.0.1:2379"]')
  const endpoints = list.map(readEndpoint)
  const options = {
    endpoints,
    keys: readKeys(hosts.get('prefix')),
    ...present({
      ca: readPath(hosts.get('ca')),
      cert: readPath(hosts.get('cert')),
      key: readPath(hosts.get('key')),
      user: hosts.get('user').text(),
      passwordFile: readPath(hosts.get('passwordFile')),
    }),
  }
  if ((options.cert === undefined) !== (options.key === undefined)) {
    hosts
      .get(options.cert === undefined ? 'cert' : 'key')
      .refuse('is missing: a certificate is of no use without its key')
  }
  if ((options.user === undefined) !== (options.passwordFile === undefined)) {
    hosts
      .get(options.user === undefined ? 'user' : 'passwordFile')
      .refuse('is missing: a user has a password, and the other way round')
  }
  return options
}

function readEndpoint(place: Json): string {
  const text = place.text() ?? place.refuse('is empty')
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isPlain =
    url !== undefined &&
    ['http:', 'https:'].includes(url.protocol) &&
    url.pathname === '/' &&
    url.search + url.hash + url.username + url.password === ''
  if (!isPlain) return place.refuse('is not a client URL of etcd, such as https://10.0.0.1:2379')
  return url.origin
}

function readKeys(place: Json): string {
  const text = place.text() ?? KEYS
  return /^\/[\w./-]{0,200}$/.test(text) ? text : place.refuse('is not a beginning of keys, such as /tsnet')
}

/** Addresses come from the prefix of the host, whatever it is: what would say otherwise is refused. */
export function readHostsIpam(config: Json): IpamOptions {
  const ipam = config.get('ipam')
  const type = ipam.get('type').text()
  if (type !== undefined && type !== 'host-local') {
    ipam
      .get('type')
      .refuse('cannot be beside "hosts", of which each gives out its own prefix', 'unsupported-field')
  }
  for (const key of ['subnet', 'ranges', 'rangeStart', 'rangeEnd', 'gateway']) {
    if (ipam.get(key).present)
      ipam.get(key).refuse('cannot be beside "hosts": the subnet is said there', 'unsupported-field')
  }
  const ranges = config.get('runtimeConfig').get('ipRanges')
  if (ranges.list().length > 0) ranges.refuse('cannot be beside "hosts"', 'unsupported-field')
  const resolvConf = readPath(ipam.get('resolvConf'))
  return {
    kind: 'host-local',
    ranges: [],
    dataDir: readPath(ipam.get('dataDir')) ?? LEASES_FOLDER,
    routes: readRoutes(ipam.get('routes'), 'strict'),
    ...(resolvConf !== undefined && { resolvConf }),
  }
}
