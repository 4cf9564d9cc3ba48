/**
 * What netavark and podman send, from JSON to plain values. Keys that we do not know are of later versions.
 *
 * Source: netavark, src/network/types.rs, `Network` and `NetworkPluginExec`.
 */

import { checkContainerId, checkNetworkName } from '../cni/config/names.ts'
import { readProtocol } from '../cni/config/ports.ts'
import { type Cidr, type Ip, ipOf, lastOf } from '../model/address/address.ts'
import { parseInterfaceName } from '../model/interface-name.ts'
import { Json } from '../model/json/json.ts'
import { readCidr, readHostIp, readIp, readMac } from '../model/json/values.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import { DRIVER } from '../networks/networks.ts'

export interface Subnet {
  subnet: Cidr
  gateway?: Ip
  /** First and last address that containers get. */
  part?: { first: Ip; last: Ip }
}

export interface PodmanNetwork {
  name: string
  id: string
  /** Interface of the host: the bridge. */
  bridge?: string
  subnets: Subnet[]
  /** `DESTINATION,GATEWAY[,METRIC]` */
  routes: string[]
  ipv6: boolean
  internal: boolean
  names: boolean
  nameservers: Ip[]
  options: Record<string, string>
  /** Who gives addresses. */
  ipam?: string
  /** All of it as it came, since podman keeps what the plugin answers. */
  raw: Record<string, unknown>
}

export interface PodmanContainer {
  id: string
  name?: string
  network: PodmanNetwork
  ports: PortMapping[]
  ifname: string
  ips: readonly Ip[]
  mac?: string
  aliases: string[]
}

/** Of a SHA-256, as podman makes them. */
const ID = /^[0-9a-f]{64}$/

/** @throws TsnetError naming the key and the value */
export function readNetwork(json: Json): PodmanNetwork {
  const id = textOf(json.get('id'))
  if (!ID.test(id)) json.get('id').refuse('is not an id of 64 hex digits')
  const driver = json.get('driver')
  if (textOf(driver) !== DRIVER) driver.refuse(`is not ${DRIVER}: this network is another driver's`)
  const bridge = json.get('network_interface').text()
  return present({
    name: checkNetworkName(textOf(json.get('name'))),
    id,
    bridge: bridge && parseInterfaceName(bridge, 'network_interface'),
    subnets: json.get('subnets').list().map(readSubnet),
    routes: json.get('routes').list().map(readRoute),
    ipv6: flagOf(json.get('ipv6_enabled')),
    internal: flagOf(json.get('internal')),
    names: flagOf(json.get('dns_enabled')),
    nameservers: json.get('network_dns_servers').list().map(ipIn),
    options: textsOf(json.get('options')),
    ipam: json.get('ipam_options').get('driver').text(),
    raw: json.object(),
  })
}

/** @throws TsnetError naming the key and the value */
export function readContainer(json: Json): PodmanContainer {
  const own = json.get('network_options')
  const options = own.get('options')
  const [option] = Object.keys(options.object())
  if (option !== undefined)
    options
      .exactly(option)
      .refuse('is an option for one container, of which tsnet knows none', 'unsupported-field')
  return present({
    id: checkContainerId(textOf(json.get('container_id'))),
    name: json.get('container_name').text(),
    network: readNetwork(json.get('network').present ? json.get('network') : missing(json.get('network'))),
    ports: json.get('port_mappings').list().flatMap(readPort),
    ifname: parseInterfaceName(textOf(own.get('interface_name')), 'interface_name'),
    ips: [...new Set(own.get('static_ips').list().map(ipIn))],
    mac: readMac(own.get('static_mac')),
    aliases: own.get('aliases').list().map(textOf),
  })
}

function readSubnet(json: Json): Subnet {
  const subnet = readCidr(json.get('subnet')) ?? missing(json.get('subnet'))
  const part = json.get('lease_range')
  const [first, last] = [readIp(part.get('start_ip')), readIp(part.get('end_ip'))]
  return present({
    subnet,
    gateway: readIp(json.get('gateway')),
    part: (first ?? last) && { first: first ?? ipOf(subnet), last: last ?? lastOf(subnet) },
  })
}

function readRoute(json: Json): string {
  const destination = readCidr(json.get('destination')) ?? missing(json.get('destination'))
  const metric = json.get('metric').number(0, 0xffff_ffff)
  return [destination, ipIn(json.get('gateway')), ...(metric ? [metric] : [])].join(',')
}

/** One for each protocol. */
function readPort(json: Json): PortMapping[] {
  const hostIp = readHostIp(json.get('host_ip'))
  const hostPort = portOf(json.get('host_port'))
  const containerPort = portOf(json.get('container_port'))
  const count = json.get('range').number(0, PORT_MAX) || 1
  if (Math.max(hostPort, containerPort) + count - 1 > PORT_MAX)
    json.get('range').refuse(`ends behind port ${PORT_MAX}`)
  const protocols = json.get('protocol')
  const words = (protocols.text() ?? '').split(',')
  return words.map(word => {
    const protocol = readProtocol(new Json(word, protocols.path))
    return present({ protocol, hostIp, hostPort, containerPort, count })
  })
}

const PORT_MAX = 65_535

const portOf = (json: Json): number => json.number(1, PORT_MAX) ?? missing(json)
const textOf = (json: Json): string => json.text() ?? missing(json)
const flagOf = (json: Json): boolean => json.flag() ?? missing(json)
const ipIn = (json: Json): Ip => readIp(json) ?? missing(json)
const missing = (json: Json): never => json.refuse('is missing')

/** Names are data here. */
const textsOf = (json: Json): Record<string, string> =>
  Object.fromEntries(Object.keys(json.object()).map(name => [name, json.exactly(name).text() ?? '']))
