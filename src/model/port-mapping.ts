/**
 * A published port, or a range of them, as a plain value.
 */

import { familyOf, type HostIp, isUnspecified } from './address/address.ts'

export type Protocol = 'tcp' | 'udp' | 'sctp'

/** As they stand in packets. Source: linux/in.h. */
export const protocolNumbers: Record<Protocol, number> = { tcp: 6, udp: 17, sctp: 132 }

/** `count` consecutive host ports, each going to the container port at the same distance. */
export interface PortMapping {
  protocol: Protocol
  /** Address of this host; absent: every address of both families; `0.0.0.0`, `::`: every one of that family. */
  hostIp?: HostIp
  /** First host port, 1–65535. */
  hostPort: number
  /** First container port, 1–65535. */
  containerPort: number
  /** How many ports, at least 1; the last ones stay within 65535. */
  count: number
}

/** A mapping's host side. */
export interface HostPorts extends Pick<PortMapping, 'protocol' | 'hostPort' | 'count'> {
  hostIp?: HostIp | undefined
}

/** `8080-8089/tcp`, as messages name them. */
export function describeHostPorts({ protocol, hostIp, hostPort, count }: HostPorts): string {
  const host = hostIp === undefined ? '' : `${hostIp.includes(':') ? `[${hostIp}]` : hostIp}:`
  return `${host}${portRange(hostPort, count)}/${protocol}`
}

/** `8080` or `8080-8089`. */
export const portRange = (first: number, count: number): string =>
  count === 1 ? String(first) : `${first}-${first + count - 1}`

/** True when a host address stands for another: an absent one for all, an unspecified one for all of its family. */
export const coversAddress = (all: HostIp | undefined, one: HostIp | undefined): boolean =>
  all === undefined ||
  all === one ||
  (one !== undefined && isUnspecified(all) && familyOf(all) === familyOf(one))

/** True when one packet could belong to both. */
export function portsMeet(a: PortMapping, b: PortMapping): boolean {
  const addresses = coversAddress(a.hostIp, b.hostIp) || coversAddress(b.hostIp, a.hostIp)
  const ports = a.hostPort < b.hostPort + b.count && b.hostPort < a.hostPort + a.count
  return a.protocol === b.protocol && addresses && ports
}

/** The host ports of a mapping, as far as they are in none of these ranges; in their order, each as long as it can be. */
export function portsOutside(
  mapping: PortMapping,
  ranges: readonly Pick<PortMapping, 'hostPort' | 'count'>[],
): PortMapping[] {
  const end = mapping.hostPort + mapping.count
  const outside: PortMapping[] = []
  let next = mapping.hostPort
  const passTo = (hostPort: number) => {
    const containerPort = mapping.containerPort + next - mapping.hostPort
    if (hostPort > next) outside.push({ ...mapping, hostPort: next, containerPort, count: hostPort - next })
  }
  for (const range of ranges.toSorted((a, b) => a.hostPort - b.hostPort)) {
    passTo(Math.min(range.hostPort, end))
    next = Math.max(next, range.hostPort + range.count)
  }
  passTo(end)
  return outside
}
