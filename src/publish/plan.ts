/**
 * From a request to publications: who serves which part of the traffic.
 *
 *     auto    the kernel's DNAT for what comes from outside, the proxy for loopback and all else
 *     nat     the kernel alone: fastest, clients keep their address, nothing on loopback
 *     proxy   the proxy alone: the host's INPUT firewall applies
 *     redirect  as auto, and the kernel leads clients of loopback past the proxy (front.ts)
 *
 * Over the bridge or from inside the namespace (`--via`): auto is the bridge wherever the container has an
 * address there, even while its service listens on the container's loopback alone. What listens may change at
 * any moment, and over the bridge clients keep their address; `--via netns` is for those who know.
 *
 * Rules can only lead to an address behind a bridge. What they cannot do (several containers, a socket
 * path, PROXY protocol, limits on who and how many) is the proxy's alone.
 */

import {
  type Cidr,
  type Family,
  familiesOf,
  familyOf,
  type Ip,
  ipOf,
  isLoopback,
} from '../model/address/address.ts'
import { isLinkLocal } from '../model/address/host.ts'
import { TsnetError } from '../model/errors.ts'
import { type NatIntent, ownerTag } from '../model/network.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import type { Container, Publication } from '../model/publication/publication.ts'
import type { Target } from '../proxy/proxy.ts'
import type { Fronted } from './front/front.ts'
import { redirectPlan } from './front/redirect-plan.ts'
import { needOfRelay } from './relay.ts'
import { reversePart, targetsInReverse } from './reverse/reverse.ts'

/** What the kernel has to do: let connections reach the container, and lead the ports there. */
interface NatPart {
  guests: NatIntent[]
  ports: NatIntent
  /** The port of the bridge that is to be in hairpin mode. */
  bridgePort?: string
}

/**
 * The kernel's part; undefined where all of it is the proxy's.
 * @param answers true for families in which the container's answers find out of it, to any client
 * @throws TsnetError for `--mode nat` where all of it is the proxy's
 */
export function natPart(publication: Publication, answers: (family: Family) => boolean): NatPart | undefined {
  if (publication.mode === 'proxy') return undefined
  const obstacle = natObstacle(publication, answers)
  if (obstacle !== undefined) {
    if (publication.mode !== 'nat') return undefined
    throw new TsnetError('invalid-environment', `--mode nat: ${obstacle}; use --mode auto or proxy`)
  }
  const [container] = publication.containers
  if (container?.bridge === undefined) return undefined
  const { hostIp } = publication
  const family = hostIp && familyOf(hostIp)
  const addresses = container.addresses.filter(
    address => (family === undefined || familyOf(address) === family) && answers(familyOf(address)),
  )
  const { bridge, bridgePort, isolated, otherAddresses } = container
  const intent = { bridge, addresses, ipMasq: false, guardDirect: false }
  const bridgeServed = isolated && publication.mode !== 'nat'
  return {
    guests: targetsAmong(addresses).map(address => ({
      ...intent,
      addresses: [address],
      owner: guestOwner(container, address),
      ports: [],
      part: 'guest',
      ...present({ otherAddresses }),
    })),
    ports: {
      ...intent,
      owner: publication.id,
      ports: [portsOf(publication)],
      part: 'ports',
      ...(bridgeServed && { bridgeServed }),
    },
    ...present({ bridgePort }),
  }
}

/** The addresses to which rules lead: the first of each family. */
const targetsAmong = (addresses: readonly Cidr[]): Cidr[] =>
  familiesOf(addresses).flatMap(family => addresses.find(address => familyOf(address) === family) ?? [])

/** Who the rules stand for that admit clients to an address of a container. */
const guestOwner = ({ netns: { dev, ino } }: Container, address: Cidr): string =>
  ownerTag({ network: 'guest', containerId: `${dev}:${ino}`, ifname: address })

/** False where the rules that a publication has are for other containers than it has now. */
export const rulesFit = ({ nat, containers }: Publication): boolean =>
  nat === undefined ||
  nat.guests.every(({ owner, addresses: [address] }) =>
    containers.some(container => address !== undefined && guestOwner(container, address) === owner),
  )

function natObstacle(publication: Publication, answers: (family: Family) => boolean): string | undefined {
  const { containers, service, target, via, hostIp } = publication
  const [container] = containers
  if (service !== undefined) return 'rules do not follow the containers of a service'
  if (containers.length > 1) return 'rules cannot share the load of several containers'
  if ('socket' in target) return 'rules cannot lead to a socket path'
  if (via === 'netns') return 'rules cannot reach into a namespace'
  const need = needOfRelay(publication.protocol, publication)
  if (need !== undefined) return need
  if (hostIp !== undefined && (isLoopback(hostIp) || isLinkLocal(hostIp)))
    return `the kernel does not lead from ${hostIp} to a container`
  if (container?.bridge === undefined)
    return `container ${container?.name} has no address behind a bridge of this host`
  if (hostIp !== undefined && !container.addresses.some(address => familyOf(address) === familyOf(hostIp))) {
    return `container ${container.name} has no IPv${familyOf(hostIp)} address`
  }
  const families = hostIp === undefined ? familiesOf(container.addresses) : [familyOf(hostIp)]
  if (!families.some(answers))
    return `container ${container.name} has no default route over ${container.bridge}, so its answers would not reach the clients`
  return undefined
}

/** The host ports as rules and claims know them. */
export function portsOf({ protocol, hostIp, hostPort, count, target }: Publication): PortMapping {
  const containerPort = 'port' in target ? target.port : 1
  return { protocol, hostPort, containerPort, count, ...(hostIp !== undefined && { hostIp }) }
}

/** What it claims of the host's ports. */
export const claimedBy = (publication: Publication): PortMapping[] =>
  publication.reverse ? [] : [portsOf(publication)]

/** The proxy's part; undefined for `--mode nat`, and in reverse while the container does not run. @throws TsnetError as reversePart */
export function proxyPart(publication: Publication): Fronted | undefined {
  if (publication.reverse) return reversePart(publication)
  const { mode } = publication
  if (mode === 'nat') return undefined
  const { id, protocol, hostIp, hostPort, count, allow, deny, waitMs } = publication
  const { maxConnections, maxSessions, sessionIdleMs, proxyProtocol } = publication
  return {
    id,
    protocol,
    hostPort,
    count,
    ...(hostIp !== undefined && { hostIps: [hostIp] }),
    targets: targetsOf(publication),
    options: {
      allow,
      deny,
      waitMs,
      ...present({ maxConnections, maxSessions, sessionIdleMs, proxyProtocol }),
    },
    ...(mode !== 'auto' && { redirect: mode === 'redirect' }),
  }
}

/** @throws TsnetError for `--mode redirect` of what takes somebody between client and container */
export function checkRedirect(publication: Publication): void {
  const part = publication.mode === 'redirect' ? proxyPart(publication) : undefined
  const plan = part && redirectPlan(part)
  if (typeof plan === 'string')
    throw new TsnetError('invalid-environment', `--mode redirect: ${plan}; use --mode auto or proxy`)
}

/** Where the proxy takes clients, one for each container, those of other hosts last. @throws TsnetError for a way that does not exist */
export const targetsOf = (publication: Publication): Target[] =>
  publication.reverse
    ? targetsInReverse(publication)
    : [
        ...publication.containers.map(container => targetIn(container, publication)),
        ...(publication.service?.away ?? []).flatMap(({ addresses }) => targetAway(addresses, publication)),
      ]

/** Over the network that it shares with this host. */
function targetAway(addresses: readonly Ip[], { target }: Publication): Target[] {
  const ip = addresses.find(each => familyOf(each) === 4) ?? addresses[0]
  return ip === undefined || 'socket' in target ? [] : [{ ip, port: target.port }]
}

function targetIn(container: Container, { target, via }: Publication): Target {
  const address = container.addresses[0]
  if ('socket' in target) {
    if (container.pid === undefined) {
      throw new TsnetError(
        'invalid-environment',
        `${container.reference} names no process, so ${target.socket} cannot be found in it`,
      )
    }
    return { root: `/proc/${container.pid}/root`, path: target.socket }
  }
  if (via !== 'netns' && address !== undefined) return { ip: ipOf(address), port: target.port }
  if (via === 'bridge') {
    throw new TsnetError(
      'invalid-environment',
      `--via bridge: container ${container.name} has no address behind a bridge of this host; use --via netns`,
    )
  }
  const own = [container.ownAddress, ...container.addresses.map(ipOf)].filter(each => each !== undefined)
  return { netns: container.netns.path, own: [...new Set(own)], port: target.port }
}
