/** Whether other people's rules let through what ours lead to a container, in words for whoever asked for that. */

import {
  type Accepts,
  asOnePicture,
  describeObstacle,
  guardOfLoopback,
  type HangingBy,
  type Obstacle,
  obstacleBetween,
  obstacleToEgress,
  obstacleToFramesBetween,
  obstacleToPortFrames,
  obstacleToPorts,
  obstacleToProxy,
  obstacleToProxyFrames,
  obstacleToQuestion,
  obstacleToRequests,
  obstacleToSentFrames,
  type Question,
} from '../foreign/foreign.ts'
import {
  type Cidr,
  type Family,
  familiesOf,
  familyOf,
  type Ip,
  ipOf,
  isUnspecified,
  networkOf,
} from '../model/address/address.ts'
import { ipOfHost } from '../model/address/host.ts'
import { messageOf } from '../model/errors.ts'
import type { NatBackend, NatIntent, Network } from '../model/network.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import { surroundings } from '../model/surroundings.ts'
import { iptablesVariant } from '../nat/nat.ts'

/** What is judged of an intent. */
export type Judged = Pick<NatIntent, 'bridge' | 'addresses' | 'ports'>

/** What is in the way of the kernel in a family. */
export interface Prospect {
  family: Family
  /** A sentence. */
  obstacle: string
  /** Nobody gets through. */
  isSure: boolean
  /** It serves better all the same: that is not sure, and the proxy has no way at all. */
  isBetter: boolean
}

/**
 * A publication of somebody else's container, as the kernel would serve it. Where the rules of others cannot be
 * read, that is what is in its way, and nobody knows whether it is.
 * @returns families in which something is in its way
 */
export const judgePublished = (backend: NatBackend, judged: Judged): Prospect[] =>
  familiesOf(judged.addresses).flatMap(family => judgeFamily(backend, judged, family) ?? [])

function judgeFamily(backend: NatBackend, judged: Judged, family: Family): Prospect | undefined {
  try {
    const ports = portsOf(judged, family)
    const obstacle = obstacleToPorts(ports, guestAccepts(backend, family))
    if (obstacle === undefined) return undefined
    const closed = obstacleToProxy(ports)
    const sentence = describeObstacle(obstacle)
    return {
      family,
      obstacle: closed === undefined ? sentence : `${sentence}; and ${describeObstacle(closed)}`,
      isSure: obstacle.certainty === 'all',
      isBetter: obstacle.certainty !== 'all' && closed?.certainty === 'all',
    }
  } catch (thrown) {
    return { family, obstacle: unread(thrown), isSure: false, isBetter: false }
  }
}

const unread = (thrown: unknown): string =>
  `whether rules of others let it through is not known: ${messageOf(thrown)}`

/**
 * An attachment of ours: its ports, and what it sends to the world.
 * @param egress it has a way out through this host
 * @returns a sentence; undefined: nothing is in its way
 */
export const judgeAttached = (backend: NatBackend, judged: Judged, egress: boolean): string | undefined =>
  said(() => [
    first(judged, family => obstacleToPorts(portsOf(judged, family), ownAccepts(backend, family))),
    egress
      ? first(judged, family => obstacleToEgress(containersOf(judged, family), ownAccepts(backend, family)))
      : undefined,
  ])

/**
 * Ports that the drop-in portmap leads to a container. The answers are for the plugin firewall, which comes
 * after it.
 * @returns a sentence; undefined: nothing is in their way
 */
export const judgeMapped = (judged: Judged): string | undefined =>
  said(() => [first(judged, family => obstacleToRequests(portsOf(judged, family)))])

/** What containers send whose packets the drop-in firewall has let through, or is going to. */
export const judgeLetThrough = (judged: Judged, isDone: boolean): string | undefined =>
  said(() => [
    first(judged, family =>
      obstacleToEgress(
        containersOf(judged, family),
        isDone ? undefined : { variant: iptablesVariant(family), isFirst: true },
      ),
    ),
  ])

/**
 * Ports that a process of this host, such as the proxy, listens on.
 * @returns a sentence; undefined: nothing is in their way
 */
export const judgeProxied = (ports: readonly PortMapping[]): string | undefined =>
  said(() => ([4, 6] as const).map(family => obstacleToProxy(listenedOn(ports, family))))

const listenedOn = (ports: readonly PortMapping[], family: Family) =>
  ports
    .filter(port => serves(port, family))
    .flatMap(port =>
      endsOf(port).map(offset => ({
        family,
        protocol: port.protocol,
        hostPort: port.hostPort + offset,
        ...concrete(port),
        bridge: LOOPBACK,
      })),
    )

/**
 * What containers of one network send each other, where the kernel has bridged packets pass rules as well.
 * @returns a sentence; undefined: nothing drops all of it for sure
 */
export const judgeBridged = (bridge: string, address: Cidr): string | undefined =>
  said(() => {
    const family = familyOf(address)
    const obstacle = obstacleBetween({
      family,
      network: networkOf(address),
      container: ipOf(address),
      bridge,
    })
    return [obstacle?.certainty === 'all' ? obstacle : undefined]
  })

/**
 * The same attachment, below the routed hooks: in the family bridge, at ingress and egress.
 * @param by where it hangs
 * @param speaks to the world, under the host's address, and to its neighbours
 * @returns a sentence; undefined: nothing drops its frames
 */
export const judgeFrames = (
  judged: Judged,
  by: HangingBy,
  { ipMasq, egress, beside }: { ipMasq: boolean; egress: boolean; beside: boolean },
): string | undefined =>
  said(() => [
    first(judged, family => obstacleToPortFrames(portsOf(judged, family), by)),
    egress
      ? first(judged, family => obstacleToSentFrames(containersOf(judged, family), by, ipMasq))
      : undefined,
    first(judged, family => {
      const [sent] = containersOf(judged, family)
      return beside && sent ? obstacleToFramesBetween(sent, by) : undefined
    }),
  ])

/**
 * What a container asks a port of this host.
 * @returns a sentence; undefined: nothing drops all of it for sure
 */
export const judgeQuestion = (question: Omit<Question, 'family'>): string | undefined =>
  said(() => {
    const obstacle = obstacleToQuestion({ ...question, family: familyOf(question.hostIp) })
    return [obstacle?.certainty === 'all' ? obstacle : undefined]
  })

/** As judgeProxied, below the routed hooks. */
export const judgeProxiedFrames = (ports: readonly PortMapping[]): string | undefined =>
  said(() => ([4, 6] as const).map(family => obstacleToProxyFrames(listenedOn(ports, family))))

/** No client of another host comes by it. */
const LOOPBACK = 'lo'

/** Ports of this host's loopback; of a family the address that everybody means where none stands here. */
export interface LoopbackPorts {
  on: readonly (Family | Ip)[]
  hostPort: number
  count: number
}

/**
 * Rules that may keep somebody of this host from ports of TCP on loopback: whoever is led elsewhere does not pass them.
 * @returns a sentence; undefined: there are none
 */
export const judgeLoopback = ({ on, hostPort, count }: LoopbackPorts): string | undefined =>
  said(() => [
    guardOfLoopback(
      on.flatMap(each =>
        endsOf({ count }).map(offset => ({
          ...(typeof each === 'number' ? { family: each } : { family: familyOf(each), hostIp: each }),
          protocol: 'tcp',
          hostPort: hostPort + offset,
        })),
      ),
    ),
  ])

function said(find: () => (Obstacle | undefined)[]): string | undefined {
  try {
    const found = asOnePicture(find).filter(each => each !== undefined)
    return found.length === 0 ? undefined : found.map(describeObstacle).join('; and ')
  } catch (thrown) {
    return unread(thrown)
  }
}

/** True where containers of a network speak to the world through this host. */
export const hasWayOut = ({ bridge, ipMasq }: Pick<Network, 'bridge' | 'ipMasq'>): boolean =>
  ipMasq || bridge.isDefaultGateway

/** Tells the caller what is done all the same. */
export const warn = (about: string, obstacle: string): void =>
  surroundings().complain(`tsnet: warning: ${about}: ${obstacle}\n`)

/** Ours stand at the end of FORWARD; with nftables they let nothing through there for containers of others. */
const guestAccepts = (backend: NatBackend, family: Family): Accepts | undefined =>
  backend === 'iptables' ? { variant: iptablesVariant(family) } : undefined

const ownAccepts = (backend: NatBackend, family: Family): Accepts =>
  backend === 'iptables' ? { variant: iptablesVariant(family) } : { variant: 'nft', onlyIfDropping: true }

const addressOf = ({ addresses }: Judged, family: Family): Cidr | undefined =>
  addresses.find(address => familyOf(address) === family)

/** The surest obstacle of both families. */
function first(judged: Judged, find: (family: Family) => Obstacle | undefined): Obstacle | undefined {
  const found = ([4, 6] as const).flatMap(family =>
    addressOf(judged, family) === undefined ? [] : (find(family) ?? []),
  )
  return found.find(({ certainty }) => certainty === 'all') ?? found[0]
}

function containersOf(judged: Judged, family: Family) {
  const address = addressOf(judged, family)
  return address === undefined
    ? []
    : [{ family, container: ipOf(address), network: networkOf(address), bridge: judged.bridge }]
}

/** Both ends of each range. */
function portsOf(judged: Judged, family: Family) {
  return containersOf(judged, family).flatMap(target =>
    judged.ports
      .filter(port => serves(port, family))
      .flatMap(port =>
        endsOf(port).map(offset => ({
          ...target,
          protocol: port.protocol,
          hostPort: port.hostPort + offset,
          containerPort: port.containerPort + offset,
          ...concrete(port),
        })),
      ),
  )
}

/** The offsets of the first and the last port of a range. */
const endsOf = ({ count }: Pick<PortMapping, 'count'>): number[] => [...new Set([0, count - 1])]

/** The address of a port, where it is one of several. */
const concrete = ({ hostIp }: PortMapping) =>
  hostIp === undefined || isUnspecified(ipOfHost(hostIp)) ? {} : { hostIp: ipOfHost(hostIp) }

const serves = ({ hostIp }: PortMapping, family: Family): boolean =>
  hostIp === undefined || familyOf(ipOfHost(hostIp)) === family
