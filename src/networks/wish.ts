/**
 * What somebody wants of a network: from words, as options of a command line or another engine have them, to plain
 * values. What contradicts itself is refused here; what the host has against it, create.ts finds.
 */

import { checkNetworkName } from '../cni/config/names.ts'
import {
  type Cidr,
  contains,
  familyOf,
  type Ip,
  ipOf,
  lastOf,
  networkOf,
  overlaps,
  parseCidr,
  stepFrom,
  tryParseIp,
} from '../model/address/address.ts'
import { messageOf, TsnetError } from '../model/errors.ts'
import { parseInterfaceName } from '../model/interface-name.ts'
import { shown } from '../model/json/shown.ts'
import type { AddressRange, Route } from '../model/network.ts'
import { type Present, present } from '../model/present.ts'

/** As options come: text, and switches. */
export interface NetworkWords {
  subnet?: string[]
  gateway?: string[]
  ipRange?: string[]
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
  dns?: string[]
  /** Containers are told each other's names. */
  names?: boolean
  /** Bits a second towards a container, and from it: `100M`. */
  ingressRate?: string
  egressRate?: string
  /** Of this host, one of a family: what leaves gets it. */
  egressAddress?: string[]
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
  nameservers: Ip[]
  names: boolean
  ingressRate?: number
  egressRate?: number
  egressAddresses: Ip[]
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
    names: words.names === true,
    nameservers: (words.dns ?? []).map(text => readIp('--dns', text)),
    ingressRate: rate('--ingress-rate', words.ingressRate),
    egressRate: rate('--egress-rate', words.egressRate),
    egressAddresses: readEgressAddresses(words.egressAddress ?? []),
  }) as Present<NetworkWish>
}

const refuse = (message: string) => new TsnetError('invalid-environment', message)

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
    ['--names', words.names === true],
    ['--internal', internal === true],
    ['--isolate', isolate === true],
    ['--direct', direct === true],
    ['--no-masquerade', masquerade === false],
    ['--egress-address', some(words.egressAddress)],
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
  if (isolate && direct) throw refuse('--isolate and --direct say the opposite of each other')
  if (internal && direct)
    throw refuse('--internal has no way to other machines, so --direct would promise what is not there')
}

function readRanges({ subnet = [], gateway = [], ipRange = [] }: NetworkWords): AddressRange[] {
  const subnets = subnet.map(text => readSubnet('--subnet', text))
  subnets.forEach((one, index) => {
    const other = subnets.slice(0, index).find(each => overlaps(each, one))
    if (other !== undefined) throw refuse(`--subnet: ${one} overlaps with ${other}`)
  })
  const gateways = gateway.map(text => readIp('--gateway', text))
  const parts = ipRange.map(text => readSubnet('--ip-range', text))
  const owner = (option: string, ip: Ip, what: string) =>
    subnets.find(each => contains(each, ip)) ??
    ((): never => {
      throw refuse(
        subnets.length === 0
          ? `${option}: ${what} needs the --subnet that it is in`
          : `${option}: ${what} is in no subnet of the network (${subnets.join(', ')})`,
      )
    })()
  for (const ip of gateways) checkGateway(ip, owner('--gateway', ip, ip))
  for (const part of parts) {
    const whole = owner('--ip-range', ipOf(part), part)
    if (!contains(whole, lastOf(part))) throw refuse(`--ip-range: ${part} is not within ${whole}`)
  }
  return subnets.map(each => {
    const ofIt = gateways.filter(ip => contains(each, ip))
    const within = parts.filter(part => contains(each, ipOf(part)))
    if (ofIt.length > 1) throw refuse(`--gateway: ${each} has one gateway, not ${ofIt.join(' and ')}`)
    if (within.length > 1) throw refuse(`--ip-range: ${each} has one range, not ${within.join(' and ')}`)
    return present({ subnet: each, gateway: ofIt[0], ...(within[0] && endsOf(within[0], each)) })
  })
}

function checkGateway(ip: Ip, subnet: Cidr): void {
  const isNetwork = ip === ipOf(subnet)
  const isBroadcast = familyOf(ip) === 4 && ip === lastOf(subnet)
  if (isNetwork || isBroadcast)
    throw refuse(
      `--gateway: ${ip} is the ${isNetwork ? 'network' : 'broadcast'} address of ${subnet}, and no host's`,
    )
}

/** First and last address of a part, without those of the subnet that no container can have. */
function endsOf(part: Cidr, subnet: Cidr): Pick<AddressRange, 'rangeStart' | 'rangeEnd'> {
  const [first, last] = [ipOf(part), lastOf(part)]
  const isEnd = familyOf(subnet) === 4 && last === lastOf(subnet)
  return {
    rangeStart: first === ipOf(subnet) ? stepFrom(first, 1n) : first,
    rangeEnd: isEnd ? stepFrom(last, -1n) : last,
  }
}

function readEgressAddresses(texts: readonly string[]): Ip[] {
  const addresses = texts.map(text => readIp('--egress-address', text))
  if (new Set(addresses.map(familyOf)).size < addresses.length)
    throw refuse(`--egress-address: ${addresses.join(' and ')} are of one family, of which there is one`)
  return addresses
}

/** `10.1.2.3/16` is as good as its network: Docker takes it so. */
function readSubnet(option: string, text: string): Cidr {
  return networkOf(asOption(option, () => parseCidr(text, option)))
}

function readIp(option: string, text: string): Ip {
  const ip = tryParseIp(text)
  if (ip === undefined) throw refuse(`${option}: ${shown(text)} is not an IP address`)
  return ip
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

const UNITS: Record<string, number> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 }

/** Bits a second; units are powers of a thousand, as `tc` and the sellers of links have them. */
function rate(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, number = '', unit = ''] = /^(\d{1,15}(?:\.\d{1,3})?)([kmgt]?)(?:bit)?$/i.exec(text) ?? []
  const bits = Number(number) * (UNITS[unit.toLowerCase()] ?? Number.NaN)
  if (number === '' || !(bits >= 8_000))
    throw refuse(`${option}: ${shown(text)} is no number of bits a second, such as 100M, of 8k or more`)
  return Math.round(bits)
}

function wholeNumber(option: string, text: string, least: number, most: number): number {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (number >= least && number <= most) return number
  throw refuse(`${option}: ${shown(text)} is not a whole number from ${least} to ${most}`)
}

/** What a reader of configurations refuses, was an option here. */
function asOption<T>(option: string, read: () => T): T {
  try {
    return read()
  } catch (thrown) {
    throw refuse(messageOf(thrown).replace(/^name: /, `${option}: `))
  }
}
