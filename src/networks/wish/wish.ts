/**
 * What somebody wants of a network: from words, as options of a command line or another engine have them (options.ts), to
 * plain values. What contradicts itself is refused here; what the host has against it, create.ts finds.
 *
 *     --subnet, --ip-range, …   ranges.ts   the subnets, and the parts of them that are given out
 *     -o KEY=VALUE              options.ts  options of podman and Docker, as these words
 */

import { checkNetworkName } from '../../cni/config/names.ts'
import { familyOf, type Ip } from '../../model/address/address.ts'
import { type Entry, permissionText, readEntry } from '../../model/address/reach.ts'
import { parseInterfaceName } from '../../model/interface-name.ts'
import { shown } from '../../model/json/shown.ts'
import type { AddressRange, Route } from '../../model/network.ts'
import { type Present, present } from '../../model/present.ts'
import { type RangeWords, readRanges } from './ranges.ts'
import { asOption, rate, readIp, readSubnet, refuse, wholeNumber } from './texts.ts'

/** As options come: text, and switches. */
export interface NetworkWords extends RangeWords {
  ipv6?: boolean
  interfaceName?: string
  /** An interface of the host that containers of a network of layer 2 are plugged together with. */
  uplink?: string
  mtu?: string
  internal?: boolean
  layer2?: boolean
  /** Nobody but the host reaches the containers' own addresses; absent: so where they are masqueraded. */
  isolate?: boolean
  /** Others may reach them. */
  direct?: boolean
  /** Containers reach one another; default true. */
  icc?: boolean
  /** What leaves gets the host's address; default true. */
  masquerade?: boolean
  /** `DESTINATION[,GATEWAY[,METRIC]]` */
  route?: string[]
  /** The way out of containers is none of this network's. */
  noDefaultRoute?: boolean
  /** Of the default route. */
  metric?: string
  dns?: string[]
  /** Containers are told each other's names. */
  names?: boolean
  /** Bits a second towards a container, and from it: `100M`. */
  ingressRate?: string
  egressRate?: string
  /** Of this host, one of a family: what leaves gets it. */
  egressAddress?: string[]
  /** Whom containers may reach; `deny` alone: nobody. */
  egress?: string[]
}

/** What a network shall be; what is absent is chosen. */
export interface NetworkWish {
  name: string
  /** Those that were asked for. */
  ranges: AddressRange[]
  /** Families that get a subnet by choice. */
  choose: (4 | 6)[]
  bridge?: string
  uplink?: string
  mtu?: number
  internal: boolean
  layer2: boolean
  allowDirectRouting?: boolean
  portIsolation: boolean
  masquerade: boolean
  routes: Route[]
  /** Containers leave by this network; with a metric where one was asked for. */
  defaultRoute?: { metric?: number }
  nameservers: Ip[]
  names: boolean
  ingressRate?: number
  egressRate?: number
  egressAddresses: Ip[]
  /** Whom containers may reach, as configurations have it; absent: everybody. */
  allow?: string[]
}

/** @throws TsnetError `invalid-environment` naming the option and its value */
export function readWish(name: string, words: NetworkWords): NetworkWish {
  const { internal = false, layer2 = false, masquerade = true, icc = true } = words
  refuseTogether(words)
  const ranges = readRanges(words)
  const has = (family: 4 | 6) => ranges.some(({ subnet }) => familyOf(subnet) === family)
  const wants6 = words.ipv6 === true && !has(6)
  const wants4 = !has(4) && (words.ipv6 === true || !has(6))
  return present({
    name: asOption('the name', () => checkNetworkName(name)),
    ranges,
    choose: layer2 ? [] : ([...(wants4 ? [4] : []), ...(wants6 ? [6] : [])] as (4 | 6)[]),
    bridge:
      words.interfaceName &&
      parseInterfaceName(words.interfaceName, '--interface-name', 'invalid-environment'),
    uplink: words.uplink && parseInterfaceName(words.uplink, '--uplink', 'invalid-environment'),
    mtu: words.mtu === undefined ? undefined : wholeNumber('--mtu', words.mtu, 68, 65_535),
    internal,
    layer2,
    allowDirectRouting: words.isolate ? false : words.direct ? true : undefined,
    portIsolation: !icc,
    masquerade: masquerade && !internal && !layer2,
    routes: (words.route ?? []).map(readRoute),
    defaultRoute:
      internal || layer2 || words.noDefaultRoute
        ? undefined
        : present({ metric: words.metric && wholeNumber('--metric', words.metric, 1, 4_294_967_295) }),
    names: words.names === true,
    nameservers: (words.dns ?? []).map(text => readIp('--dns', text)),
    ingressRate: rate('--ingress-rate', words.ingressRate),
    egressRate: rate('--egress-rate', words.egressRate),
    egressAddresses: readEgressAddresses(words.egressAddress ?? []),
    allow: words.egress && readAllowed(words.egress),
  }) as Present<NetworkWish>
}

/** Options each of which makes the other one pointless. */
function refuseTogether(words: NetworkWords): void {
  const { layer2, internal, isolate, direct, masquerade } = words
  const some = (list: string[] | undefined) => (list ?? []).length > 0
  const given: [option: string, isGiven: boolean][] = [
    ['--subnet', some(words.subnet)],
    ['--gateway', some(words.gateway)],
    ['--ip-range', some(words.ipRange)],
    ['--ipv6', words.ipv6 === true],
    ['--route', some(words.route)],
    ['--metric', words.metric !== undefined],
    ['--no-default-route', words.noDefaultRoute === true],
    ['--names', words.names === true],
    ['--internal', internal === true],
    ['--isolate', isolate === true],
    ['--direct', direct === true],
    ['--no-masquerade', masquerade === false],
    ['--egress-address', some(words.egressAddress)],
    ['--egress', some(words.egress)],
  ]
  const withLayer2 = given.find(([, isGiven]) => isGiven)?.[0]
  if (layer2 && withLayer2 !== undefined)
    throw refuse(`--layer2 gives containers no addresses, so there is nothing for ${withLayer2} to say`)
  if (words.uplink !== undefined && !layer2)
    throw refuse(
      '--uplink is for --layer2, where containers are on the wire of that interface; all other networks leave by the routes of this host',
    )
  if (some(words.egressAddress) && (internal || masquerade === false))
    throw refuse('--egress-address is for what is masqueraded, and nothing is')
  const without = internal ? '--internal' : words.noDefaultRoute ? '--no-default-route' : undefined
  if (without !== undefined && words.metric !== undefined)
    throw refuse(`${without} gives containers no default route, so there is nothing for --metric to say`)
  if (isolate && direct) throw refuse('--isolate and --direct say the opposite of each other')
  if (internal && direct)
    throw refuse('--internal has no way to other machines, so --direct would promise what is not there')
}

/**
 * @param texts of `--egress`: entries, or `deny` alone
 * @returns entries as `egress.allow` has them
 * @throws TsnetError `invalid-environment`
 */
export const readAllowed = (texts: readonly string[], option?: string): string[] =>
  readEntries(texts, option).map(permissionText)

/** As readAllowed. @param option by what they were said */
export function readEntries(texts: readonly string[], option = '--egress'): Entry[] {
  if (texts.length === 1 && texts[0] === 'deny') return []
  return texts.map(text => {
    if (text === 'deny')
      throw refuse(`${option} deny allows nobody, so there is nothing for another entry to say`)
    const read = readEntry(text)
    if (typeof read === 'string') throw refuse(`${option}: ${shown(text)} ${read}`)
    return read
  })
}

/** As podman writes it: destination, gateway, metric, with commas. */
function readRoute(text: string): Route {
  const [destination = '', gateway, metric, ...more] = text.split(',')
  if (more.length > 0)
    throw refuse(
      `--route: ${shown(text)} has more than a destination, a gateway and a metric, such as 10.9.0.0/16,10.1.0.7,100`,
    )
  return present({
    dst: readSubnet('--route', destination),
    gw: gateway ? readIp('--route', gateway) : undefined,
    priority: metric === undefined ? undefined : wholeNumber('--route', metric, 1, 4_294_967_295),
  })
}

function readEgressAddresses(texts: readonly string[]): Ip[] {
  const addresses = texts.map(text => readIp('--egress-address', text))
  if (new Set(addresses.map(familyOf)).size < addresses.length)
    throw refuse(`--egress-address: ${addresses.join(' and ')} are of one family, of which there is one`)
  return addresses
}
