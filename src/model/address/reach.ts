/**
 * What a container may reach: a list of whom it may begin to speak with, as plain values.
 *
 *     10.2.0.0/16            all of it
 *     192.0.2.7:5432         TCP; /udp and /sctp are said
 *     [2001:db8::/32]:8000-8100/udp
 *     host, host:8080        this host's own addresses
 *     dns                    the name service of the network
 *     example.org:443        whatever addresses the name service of the network tells of a name
 *     *.example.org          and of all names below one
 *     network:back:5432      the subnets of a network of this host, by its name
 */

import { type Protocol, protocolNumbers } from '../port-mapping.ts'
import {
  bitsOf,
  type Cidr,
  cidrOf,
  contains,
  familyOf,
  type Ip,
  ipOf,
  lengthOf,
  networkOf,
  parseCidr,
  tryParseIp,
} from './address.ts'
import { type NamePattern, readNamePattern } from './name-pattern.ts'

/** A protocol with ports. */
type Service = { protocol: Protocol; first: number; last: number }

/** What an entry of a list lets a container reach. */
export interface Permission {
  /** `host`: the host's own addresses; `dns`: where the network tells names. */
  to: Cidr | NamePattern | 'host' | 'dns'
  /** Absent: every protocol. */
  service?: Service
  /** What was written was a network of this host, and this is one of its subnets. */
  network?: string
}

/** An entry that means the subnets of a network of this host. */
export interface NetworkEntry {
  to: 'network'
  network: string
  service?: Service
}

/** An entry as it was written. */
export type Entry = Permission | NetworkEntry

/** True for an entry whose addresses are those of names. */
export const isOfNames = <E extends Entry>(
  entry: E,
): entry is Exclude<E, NetworkEntry> & { to: NamePattern } =>
  !(isOfAddresses(entry) || entry.to === 'host' || entry.to === 'dns' || isOfNetwork(entry))

export const isOfAddresses = <E extends Entry>(entry: E): entry is E & { to: Cidr } => entry.to.includes('/')

export const isOfNetwork = (entry: Entry): entry is NetworkEntry => entry.to === 'network'

/** Absent: everything may be reached. */
export interface Reach {
  /** Empty: nobody. */
  allow: Permission[]
}

/** As it was written. */
export interface AskedReach {
  allow: Entry[]
}

/** Permissions that one entry was written for: of a network one for each of its subnets. */
export type OfEntry = [Permission, ...Permission[]]

/** Permissions by the entries that they were written as. */
export function byEntry(allow: readonly Permission[]): OfEntry[] {
  const groups = new Map<Permission | string, OfEntry>()
  for (const each of allow) {
    const key = each.network === undefined ? each : permissionText(each)
    const there = groups.get(key)
    if (there === undefined) groups.set(key, [each])
    else there.push(each)
  }
  return [...groups.values()]
}

/**
 * Addresses at which clouds tell secrets of a machine to whoever asks from it. What is wider does not mean them: an entry has
 * to lie within one of these.
 *
 * Source: the instance metadata documentation of AWS (also of ECS and EKS), Azure, Google Cloud, Oracle and Alibaba Cloud;
 * cloud-init's of Scaleway; OpenStack's specification of IPv6 metadata. Those of Linode and of Alibaba over IPv6 are in lists of
 * others.
 */
export const FLOOR: readonly Cidr[] = [
  '169.254.0.0/16',
  '100.100.100.200/32',
  '168.63.129.16/32',
  '192.0.0.192/32',
  'fd00:ec2::/32',
  'fd20:ce::254/128',
  'fd00:c1::a9fe:a9fe/128',
  'fd00:100::100:200/128',
  'fd00:42::42/128',
  'fd00:a9fe:a9fe::1/128',
  'fe80::a9fe:a9fe/128',
].map(text => parseCidr(text))

/** True for an entry that means addresses of the floor. */
export const isOfFloor = (to: Cidr): boolean =>
  FLOOR.some(
    each => familyOf(each) === familyOf(to) && lengthOf(to) >= lengthOf(each) && contains(each, ipOf(to)),
  )

/** True for an address of the floor. */
export const isSecret = (ip: Ip): boolean =>
  FLOOR.some(each => familyOf(each) === familyOf(ip) && contains(each, ip))

const PORT_MAX = 65_535
const PORTS = String.raw`:(\d{1,5})(?:-(\d{1,5}))?(?:\/([a-z]+))?$`
const ENTRY = new RegExp(String.raw`^(?:\[([^\]]*)\]|([^:]*))${PORTS}`)
const NETWORK = new RegExp(`^network:([^:]*)(?:${PORTS}|$)`)
/** As CNI has it. */
const NETWORK_NAME = /^[A-Za-z0-9][\w.-]{0,127}$/

/** An entry, or what is wrong with it, to be said behind its text. */
export function readEntry(text: string): Entry | string {
  if (text === 'dns') return { to: 'dns' }
  if (text.startsWith('network:')) return readNetworkEntry(text)
  const whole = placeOf(text)
  if (typeof whole === 'object') return whole.problem
  if (whole !== undefined) return { to: whole }
  const [, bracketed, plain, ...ports] = ENTRY.exec(text) ?? []
  const service = serviceOf(ports)
  if (service === undefined) return NOT_AN_ENTRY
  if (plain === 'dns') return 'has a port of its own: say "dns"'
  const to = placeOf(bracketed ?? plain ?? '', bracketed === undefined)
  if (to === undefined) return NOT_AN_ENTRY
  if (typeof to === 'object') return to.problem
  return typeof service === 'string' ? service : { to, service }
}

function readNetworkEntry(text: string): NetworkEntry | string {
  const [whole, network = '', ...ports] = NETWORK.exec(text) ?? []
  if (whole === undefined || !NETWORK_NAME.test(network))
    return 'is no network, perhaps with a port: network:back, network:back:5432, network:back:53/udp'
  const service = serviceOf(ports)
  if (typeof service === 'string') return service
  return { to: 'network', network, ...(service !== undefined && { service }) }
}

/** What stands behind an address; what is wrong with it; undefined where nothing does. */
function serviceOf([first, last = first, protocol = 'tcp']: (string | undefined)[]):
  | Service
  | string
  | undefined {
  if (first === undefined) return undefined
  if (!Object.hasOwn(protocolNumbers, protocol))
    return `has a protocol that is none of ${Object.keys(protocolNumbers).join(', ')}`
  const [from, till] = [Number(first), Number(last)]
  if (from < 1 || till > PORT_MAX || from > till) return `has no ports within 1-${PORT_MAX}, the lower first`
  return { protocol: protocol as Protocol, first: from, last: till }
}

const NOT_AN_ENTRY =
  'is no address, prefix, name, network, "host" or "dns", perhaps with a port: 192.0.2.7, 10.2.0.0/16:443, [2001:db8::1]:53/udp, example.org:443, network:back:5432'

/** @param mayBeName false within brackets, which are for addresses */
function placeOf(
  text: string,
  mayBeName = true,
): Cidr | NamePattern | 'host' | { problem: string } | undefined {
  if (text === 'host') return 'host'
  const ip = tryParseIp(text)
  if (ip !== undefined) return cidrOf(ip, bitsOf(familyOf(ip)))
  try {
    return networkOf(parseCidr(text))
  } catch {
    return mayBeName ? readNamePattern(text) : undefined
  }
}

/**
 * What keeps an entry from meaning anything on a network, to be said behind its text; undefined: nothing does.
 * @param names of its name service; absent: it has none
 */
export function lackOf(entry: Entry, names: { forward?: boolean } | undefined): string | undefined {
  if (entry.to === 'dns' && names === undefined)
    return 'is the name service of the network, which has none: see "names"'
  if (isOfNames(entry) && (names === undefined || names.forward === false))
    return `is a name, and the network's name service ${names === undefined ? 'is not there' : 'asks nobody else'}: see "names"`
  return undefined
}

/** As readEntry takes it. */
export function permissionText({ to, service, network }: Entry): string {
  const place =
    network !== undefined
      ? `network:${network}`
      : to.includes(':')
        ? to.replace(/\/128$/, '')
        : to.replace(/\/32$/, '')
  if (service === undefined) return place
  const { protocol, first, last } = service
  const ports = first === last ? `${first}` : `${first}-${last}`
  const isOfV6 = network === undefined && to.includes(':')
  return `${isOfV6 ? `[${place}]` : place}:${ports}/${protocol}`
}

/** The entry that permissions were written as. */
export const entryText = ([first]: OfEntry): string => permissionText(first)
