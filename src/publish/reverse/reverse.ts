/**
 * Publications in reverse: a port of this host's loopback appears on the loopback of one container.
 *
 *     this host                        │  container
 *     service on 127.0.0.1:5432  ◀── proxy ◀── 127.0.0.1:5432, [::1]:5432  ◀── its processes
 *                     dialled from here │  listened on in its network namespace
 *
 * A socket belongs to the namespace in which it was made, so the proxy needs nobody inside, and nothing is opened
 * between the two: no address, no rule, no port of the host. Whoever is not in that namespace has no way to its loopback;
 * whoever is reaches the one port and nothing else of the host. A list of whom the container may reach does not see it, as it
 * is not the container that speaks to the host. There is nothing to claim: the host's port is its service's.
 *
 * An open socket keeps a namespace alive. So one whose container does not run has none: it is listened on again where the
 * container is when it is back, and whoever was connected was in it and is gone. What is led elsewhere on the host
 * (`--replace`) keeps its listeners.
 */

import { libc } from '../../ffi/ffi.ts'
import { domainOf, sockaddr } from '../../ffi/sockaddr.ts'
import { SOCK_CLOEXEC, socketKinds } from '../../ffi/socket.ts'
import type { Ip } from '../../model/address/address.ts'
import { ipOfHost } from '../../model/address/host.ts'
import { hasCode, TsnetError } from '../../model/errors.ts'
import { describeHostPorts, type PortMapping, portRange } from '../../model/port-mapping.ts'
import { present } from '../../model/present.ts'
import { type Container, calledAll, type Publication } from '../../model/publication/publication.ts'
import { openRecorded } from '../../netns/container.ts'
import { inside } from '../../netns/netns.ts'
import { holderOf, probePorts } from '../../ports/probe.ts'
import type { Counters } from '../../proxy/proxy.ts'
import { isListenedOn } from '../../runtime/runtime.ts'
import type { Fronted } from '../front/front.ts'

const LOOPBACK_4 = '127.0.0.1' as Ip
const LOOPBACK_6 = '::1' as Ip

/** The proxy's part; undefined while there is nowhere to listen. @throws TsnetError as loopbackOf */
export function reversePart(publication: Publication): Fronted | undefined {
  const { id, protocol, count, waitMs, maxConnections, maxSessions, sessionIdleMs } = publication
  const [container] = publication.containers
  if (container === undefined) return undefined
  return {
    id,
    protocol,
    hostIps: loopbackOf(container),
    hostPort: portInside(publication),
    count,
    targets: targetsInReverse(publication),
    within: container.netns,
    options: { waitMs, ...present({ maxConnections, maxSessions, sessionIdleMs }) },
    redirect: false,
  }
}

/** Where on this host its clients are taken to. */
export const targetsInReverse = ({ hostIp = LOOPBACK_4, hostPort }: Publication) => [
  { ip: ipOfHost(hostIp), port: hostPort },
]

const portInside = ({ target }: Publication): number => ('port' in target ? target.port : 0)

/**
 * The addresses of a container's loopback that there are: many have no IPv6.
 * @throws TsnetError `not-running`, `invalid-netns` where it has none
 */
export function loopbackOf(container: Container): Ip[] {
  const found = within(container, () => [LOOPBACK_4, LOOPBACK_6].filter(hasAddress))
  if (found.length > 0) return found
  throw new TsnetError(
    'invalid-netns',
    `${calledAll([container])} has no address of loopback to listen on: its lo has lost them`,
  )
}

function within<T extends readonly unknown[] | undefined>(container: Container, work: () => T): T {
  using netns = openRecorded(container.netns)
  if (netns === undefined) throw new TsnetError('not-running', `${calledAll([container])} has just ended`)
  return inside<unknown>(netns, work) as T
}

/** By binding to it: of this thread's namespace. */
function hasAddress(ip: Ip): boolean {
  const [type, number] = socketKinds.udp
  const fd = libc.socket(domainOf(ip), type | SOCK_CLOEXEC, number)
  if (fd < 0) return false
  const address = sockaddr(ip, 0)
  const isOurs = libc.bind(fd, address, address.length) === 0
  libc.close(fd)
  return isOurs
}

/** Nothing in the container listens where it shall. @throws TsnetError `conflict` naming the port and its holder */
export function requireFreeWithin(publication: Publication): void {
  const { protocol, count, containers } = publication
  const first = portInside(publication)
  const [container] = containers
  if (container === undefined) return
  for (const hostIp of loopbackOf(container)) {
    for (let hostPort = first; hostPort < first + count; hostPort++) {
      const mapping = { protocol, hostIp, hostPort, containerPort: hostPort, count: 1 }
      within(container, () => probeWithin(container, mapping))
    }
  }
}

function probeWithin(container: Container, mapping: PortMapping): undefined {
  try {
    probePorts([mapping])
  } catch (thrown) {
    if (!hasCode(thrown, 'conflict')) throw thrown
    const holder = holderOf(mapping.protocol, mapping.hostPort)
    const isOurs = holder?.pid === String(process.pid)
    const by =
      holder === undefined
        ? ''
        : ` by ${isOurs ? 'tsnet publish --reverse' : `${holder.name} (pid ${holder.pid})`}`
    throw new TsnetError(
      'conflict',
      `port ${describeHostPorts(mapping)} of ${calledAll([container])} is already in use${by}; choose another port of the container or stop it`,
    )
  }
}

/** Towards the container is what comes from the host, whoever is whose client. */
export function countersFor({ reverse }: Publication, counters: Counters | undefined): Counters | undefined {
  if (!reverse || counters === undefined) return counters
  const { bytesIn, bytesOut, datagramsIn, datagramsOut } = counters
  return {
    ...counters,
    bytesIn: bytesOut,
    bytesOut: bytesIn,
    datagramsIn: datagramsOut,
    datagramsOut: datagramsIn,
  }
}

/** That nobody on this host listens where it is dialled; undefined where somebody does, or none can tell. */
export function silenceOfHost({
  protocol,
  hostIp = LOOPBACK_4,
  hostPort,
  count,
}: Pick<Publication, 'protocol' | 'hostIp' | 'hostPort' | 'count'>): string | undefined {
  const ip = ipOfHost(hostIp)
  for (let port = hostPort; port < hostPort + count; port++) {
    if (isListenedOn(protocol, ip, port) !== false) return undefined
  }
  const what = describeHostPorts({ protocol, hostIp, hostPort, count })
  const other = ip === LOOPBACK_6 ? LOOPBACK_4 : LOOPBACK_6
  const elsewhere = isListenedOn(protocol, other, hostPort) ? `; somebody does on ${other}` : ''
  return `nothing on this host listens on ${what}${elsewhere}`
}

/** `127.0.0.1:5432/tcp ← web:5432`, as the daemon's log has it. */
export const describeReverse = (publication: Publication): string =>
  `${describeHostPorts(publication)} ← ${calledAll(publication.containers)}:${portRange(portInside(publication), publication.count)}`
