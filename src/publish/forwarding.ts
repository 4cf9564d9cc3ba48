/** A published port of an attachment as the proxy serves it. */

import { copyDescriptor, openProcess } from '../ffi/pidfd.ts'
import { familyOf, type Ip, ipOf } from '../model/address/address.ts'
import { type Attachment, nameOfAttached, type Undertaking } from '../model/network.ts'
import { describeHostPorts, type PortMapping, portsOutside } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import { EVERY_IPV4 } from '../ports/reserved.ts'
import type { Publication } from '../proxy/proxy.ts'
import type { Ports } from './front/front.ts'

export interface Forwarding {
  publication: Publication
  /** What it is for. */
  mapping: PortMapping
  /** Where the runtime listens on IPv4's addresses: those of IPv6. */
  beside?: Publication
  /** It is for IPv6's addresses alone. */
  isBeside?: true
}

const EVERY_IPV6 = '::' as Ip

/** By which the proxy knows a published port of an attachment. */
export const forwardingId = (owner: string, mapping: PortMapping): string =>
  `${owner}:${describeHostPorts(mapping)}`

/** Undefined for an attachment without an address. */
export function forwardingOf(
  owner: string,
  { leases, portsReserved }: Attachment,
  mapping: PortMapping,
): Forwarding | undefined {
  const addresses = leases.map(lease => ipOf(lease.address))
  const address = addresses.find(each => familyOf(each) === 4) ?? addresses[0]
  if (address === undefined) return undefined
  const { protocol, hostIp, hostPort, count, containerPort } = mapping
  const id = forwardingId(owner, mapping)
  const publication: Publication = {
    id,
    protocol,
    hostPort,
    count,
    targets: [{ ip: address, port: containerPort }],
    ...present({ hostIps: hostIp === undefined ? undefined : [hostIp] }),
  }
  if (portsReserved !== true || hostIp !== undefined) return { publication, mapping }
  return {
    // What a runtime that reserves ports listens on.
    publication: { ...publication, hostIps: [EVERY_IPV4] },
    mapping,
    beside: { ...publication, id: `${id} [::]`, hostIps: [EVERY_IPV6] },
  }
}

/** In words: the port, and whose it is. */
export const describeForwarding = (attachment: Undertaking | undefined, mapping: PortMapping): string =>
  `${describeHostPorts(mapping)} → ${attachment === undefined ? 'a container' : nameOfAttached(attachment)}`

/** Ports of the host that the proxy holds for an owner. */
export const hostPortsOf = (owner: string, { protocol, hostIps, hostPort, count }: Publication) => ({
  owner,
  protocol,
  ...present({ hostIp: hostIps?.[0] }),
  hostPort,
  count,
})

/** What is not served of some ports. */
export const unserved = (
  served: ReadonlyMap<string, Forwarding>,
  mappings: readonly PortMapping[],
): PortMapping[] =>
  mappings.flatMap(mapping =>
    portsOutside(
      mapping,
      [...served.values()].flatMap(({ mapping: { protocol, hostIp, hostPort, count }, isBeside }) =>
        !isBeside && protocol === mapping.protocol && hostIp === mapping.hostIp ? [{ hostPort, count }] : [],
      ),
    ),
  )

/** Copies of the sockets that a publication needs, where what is served has them. @throws SystemError */
export function copySockets(
  front: Ports,
  { protocol, hostIps, hostPort, count }: Publication,
  served: readonly Forwarding[],
): number[][] | undefined {
  const whole = served
    .map(({ publication }) => publication)
    .find(
      each =>
        each.protocol === protocol &&
        each.hostIps?.join() === hostIps?.join() &&
        hostPort >= each.hostPort &&
        hostPort + count <= each.hostPort + each.count,
    )
  if (whole === undefined) return undefined
  using self = openProcess(process.pid)
  const first = hostPort - whole.hostPort
  return front
    .sockets(whole.id)
    .map(sockets => sockets.slice(first, first + count).map(fd => copyDescriptor(self, fd)))
}
