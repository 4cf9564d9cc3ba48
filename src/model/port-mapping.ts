/**
 * A published port, or a range of them, as a plain value.
 */

import { familyOf, type Ip, isUnspecified } from './address.ts'

export type Protocol = 'tcp' | 'udp' | 'sctp'

/** As they stand in packets. Source: linux/in.h. */
export const protocolNumbers: Record<Protocol, number> = { tcp: 6, udp: 17, sctp: 132 }

/** `count` consecutive host ports, each going to the container port at the same distance. */
export interface PortMapping {
  protocol: Protocol
  /** Address of this host; absent: every address of both families; `0.0.0.0`, `::`: every one of that family. */
  hostIp?: Ip
  /** First host port, 1–65535. */
  hostPort: number
  /** First container port, 1–65535. */
  containerPort: number
  /** How many ports, at least 1; the last ones stay within 65535. */
  count: number
}

/** `8080-8089/tcp`, as messages name a mapping's host side. */
export function describeHostPorts(mapping: PortMapping): string {
  const host =
    mapping.hostIp === undefined
      ? ''
      : `${mapping.hostIp.includes(':') ? `[${mapping.hostIp}]` : mapping.hostIp}:`
  return `${host}${portRange(mapping.hostPort, mapping.count)}/${mapping.protocol}`
}

/** `8080` or `8080-8089`. */
export const portRange = (first: number, count: number): string =>
  count === 1 ? String(first) : `${first}-${first + count - 1}`

/** True when a host address stands for another: an absent one for all, an unspecified one for all of its family. */
export const coversAddress = (all: Ip | undefined, one: Ip | undefined): boolean =>
  all === undefined ||
  all === one ||
  (one !== undefined && isUnspecified(all) && familyOf(all) === familyOf(one))
