/**
 * Which packets: what an intent means, for each family, in words that both backends speak.
 *
 * Everything is parsed here to numbers, enums and addresses, whatever was checked before: the backends
 * print nothing but what this file returns.
 */

import {
  type Cidr,
  type Family,
  familyOf,
  type HostIp,
  type Ip,
  ipOf,
  isLoopback,
  isUnspecified,
  networkOf,
  parseCidr,
  parseIp,
} from '../model/address/address.ts'
import { ipOfHost, isLinkLocal } from '../model/address/host.ts'
import { TsnetError } from '../model/errors.ts'
import { parseInterfaceName } from '../model/interface-name.ts'
import { shown } from '../model/json/shown.ts'
import type { NatIntent } from '../model/network.ts'
import { describeHostPorts, type PortMapping, type Protocol } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'

/** What an attachment needs, split by family. */
export interface Rules {
  /** 16 hex digits. */
  owner: string
  bridge: string
  /** Other interfaces at which answers may arrive. */
  answersBy: string[]
  families: FamilyRules[]
}

export interface FamilyRules {
  family: Family
  addresses: { ip: Ip; network: Cidr }[]
  /** What leaves by another interface than the bridge, to other networks, gets the host's address. */
  masquerade: boolean
  /**
   * What others send straight to the addresses: let it through, drop `all`, or drop what is `new`. The
   * second is for containers that speak under their own address, which get answers there.
   */
  guard: 'none' | 'all' | 'new'
  /** Ports of one host address first, then those of any. */
  published: Published[]
  /**
   * Ports of the host lead to the addresses: what comes from the container's own subnet has to get our
   * address, answers pass by whichever interface, and what belongs to no connection goes nowhere.
   */
  server: boolean
  /** Of the same container on other networks: what comes from there has to get our address as well. */
  siblings: Ip[]
  /** What comes from the bridge is left to who listens on the host's ports. */
  bridgeServed: boolean
  /** The addresses are somebody else's: nothing but published connections concerns us. */
  guest: boolean
  /** A port is published on 127.0.0.0/8: the bridge has to carry such packets. */
  loopback: boolean
  /** Addresses of the host at which the container asks for names. */
  resolvers: Ip[]
  /** Subnet of a network that others leave by this host: what is marked as such passes. */
  transit?: Cidr
  /** What is masqueraded gets this address. */
  leaveAs?: Ip
  /** The network's subnet on all its hosts: what comes from there by the way to it, or goes there, is the network's own. */
  peers?: Cidr
}

/** A range of host ports that leads to the container. */
export interface Published {
  protocol: Protocol
  /** Absent: every address of the host in this family but 127.0.0.0/8, ::1 and link-local ones. */
  hostIp?: Ip
  hostPort: number
  count: number
  target: Ip
  containerPort: number
}

const PROTOCOLS: readonly string[] = ['tcp', 'udp', 'sctp'] satisfies Protocol[]
const PORT_MAX = 65535

/** What a rule or an element carries, so that it can be found by its owner alone. */
export const commentOf = (owner: string): string => `tsnet:${owner}`

export const isOwnerTag = (text: string): boolean => /^[0-9a-f]{16}$/.test(text)

/**
 * What an intent means.
 * @throws TsnetError `invalid-config`: a value is out of its range; `unsupported-field`: a mapping that the
 *   kernel cannot serve; `conflict`: one host port twice
 */
export function planRules(intent: NatIntent): Rules {
  if (!isOwnerTag(intent.owner)) {
    throw new TsnetError('internal', `owner tag ${shown(intent.owner)} is not 16 hex digits`)
  }
  const addresses = [...new Set(intent.addresses.map(address => parseCidr(address, 'address')))]
  const siblings = (intent.otherAddresses ?? []).map(ip => parseIp(ip, 'address'))
  const mappings = intent.ports.map(parseMapping)
  const held = intent.held?.map(parseMapping) ?? mappings
  const peers = (intent.peers ?? []).map(cidr => networkOf(parseCidr(cidr, 'subnet')))
  const leaveAs = (intent.leaveAs ?? []).map(ip => parseIp(ip, 'address'))
  const resolvers = (intent.resolvers ?? []).map(ip => parseIp(ip, 'resolver'))
  const families = ([4, 6] as const).filter(family => addresses.some(cidr => familyOf(cidr) === family))
  for (const mapping of mappings) {
    if (!families.some(family => serves(family, mapping))) throw unserved(mapping)
  }
  return {
    owner: intent.owner,
    bridge: parseInterfaceName(intent.bridge, 'bridge'),
    answersBy: (intent.answersBy ?? []).map(name => parseInterfaceName(name, 'interface')),
    families: families.map(family => {
      const own = addresses.filter(cidr => familyOf(cidr) === family)
      const target = own.map(ipOf)[0] as Ip
      const served = mappings.filter(mapping => serves(family, mapping))
      return {
        family,
        addresses:
          intent.part === 'ports' || intent.part === 'transit'
            ? []
            : own.map(cidr => ({ ip: ipOf(cidr), network: networkOf(cidr) })),
        masquerade: intent.ipMasq,
        guard: !intent.guardDirect ? 'none' : intent.ipMasq && !intent.leavesElsewhere ? 'all' : 'new',
        server: intent.part === 'guest' || served.length > 0,
        siblings: siblings.filter(ip => familyOf(ip) === family),
        bridgeServed: intent.bridgeServed === true,
        guest: intent.part === 'guest',
        published: publish(
          held.filter(mapping => serves(family, mapping)),
          target,
        ),
        resolvers: resolvers.filter(ip => familyOf(ip) === family),
        ...present({
          transit: intent.part === 'transit' ? own.map(networkOf)[0] : undefined,
          leaveAs: leaveAs.find(ip => familyOf(ip) === family),
          peers: intent.part === undefined ? peers.find(cidr => familyOf(cidr) === family) : undefined,
        }),
        loopback: served.some(({ hostIp }) => hostIp !== undefined && isLoopback(hostIp)),
      }
    }),
  }
}

/** A mapping that rules can serve. */
type Mapping = PortMapping & { hostIp?: Ip }

function parseMapping(mapping: PortMapping): Mapping {
  const { protocol, hostPort, containerPort, count } = mapping
  const wrong = (what: string): TsnetError =>
    new TsnetError('invalid-config', `port mapping ${shown(mapping)}: ${what}`)
  if (!PROTOCOLS.includes(protocol)) throw wrong('protocol is not tcp, udp or sctp')
  if (!isRange(hostPort, count)) throw wrong(`host ports are not within 1 and ${PORT_MAX}`)
  if (!isRange(containerPort, count)) throw wrong(`container ports are not within 1 and ${PORT_MAX}`)
  const hostIp = mapping.hostIp === undefined ? undefined : parseIp(addressIn(mapping.hostIp), 'hostIP')
  const clean = { protocol, hostPort, containerPort, count, ...(hostIp !== undefined && { hostIp }) }
  if (hostIp !== undefined && familyOf(hostIp) === 6 && (isLoopback(hostIp) || isLinkLocal(hostIp))) {
    throw new TsnetError(
      'unsupported-field',
      `hostIP ${hostIp} of ${describeHostPorts(clean)}: the kernel leads nothing from ${hostIp} to a container`,
      { details: 'start the daemon, whose proxy does, or use another address of this host' },
    )
  }
  return clean
}

/** Without the interface of a link-local one. */
const addressIn = (hostIp: HostIp): string => (isLinkLocal(hostIp) ? ipOfHost(hostIp) : hostIp)

const isRange = (first: number, count: number): boolean =>
  Number.isInteger(first) &&
  Number.isInteger(count) &&
  first >= 1 &&
  count >= 1 &&
  first + count - 1 <= PORT_MAX

const serves = (family: Family, { hostIp }: PortMapping): boolean =>
  hostIp === undefined || familyOf(hostIp) === family

function unserved(mapping: PortMapping): TsnetError {
  const family = mapping.hostIp === undefined ? 'IP' : `IPv${familyOf(mapping.hostIp)}`
  return new TsnetError(
    'unsupported-field',
    `${describeHostPorts(mapping)} cannot be published: the container has no ${family} address`,
  )
}

/** Sorts mappings, and joins those that continue each other. @throws TsnetError `conflict` */
function publish(mappings: Mapping[], target: Ip): Published[] {
  const sorted = mappings
    .map(({ hostIp, ...rest }) => ({
      ...rest,
      target,
      ...(hostIp !== undefined && !isUnspecified(hostIp) && { hostIp }),
    }))
    .sort(
      (a: Published, b: Published) =>
        compare(a.hostIp ?? '~', b.hostIp ?? '~') ||
        compare(a.protocol, b.protocol) ||
        a.hostPort - b.hostPort ||
        a.containerPort - b.containerPort,
    )
  const joined: Published[] = []
  for (const next of sorted as Published[]) {
    const last = joined.at(-1)
    const sameKind = last !== undefined && last.hostIp === next.hostIp && last.protocol === next.protocol
    if (sameKind && next.hostPort < last.hostPort + last.count) {
      throw new TsnetError('conflict', `ports: ${describeHostPorts(next)} is published twice`)
    }
    if (
      sameKind &&
      next.hostPort === last.hostPort + last.count &&
      next.containerPort === last.containerPort + last.count
    ) {
      last.count += next.count
    } else {
      joined.push({ ...next })
    }
  }
  return joined
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
