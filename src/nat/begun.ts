/** Whom an address has begun to speak with, as connection tracking has it: before any rule has translated that. */

import { familyOf, type Ip } from '../model/address/address.ts'
import { type Protocol, protocolNumbers } from '../model/port-mapping.ts'
import { netfilterHere } from '../netfilter/netfilter.ts'
import { isTracking, listTracked } from './conntrack.ts'
import { header } from './kernel-chains.ts'

export interface Begun {
  to: Ip
  /** By its name, or its number. */
  protocol: string
  port?: number
}

const NAMES = new Map<number, string>([
  ...Object.entries(protocolNumbers).map(([name, number]): [number, Protocol] => [number, name as Protocol]),
  [1, 'icmp'],
  [58, 'ipv6-icmp'],
])

export const nameOfProtocol = (number: number): string => NAMES.get(number) ?? String(number)

/** Answered or not. What a bridge hands from port to port is not among them. @throws NetlinkError */
export function listBegun(address: Ip): Begun[] {
  if (!isTracking()) return []
  const wanted = { header: { family: header(familyOf(address)), version: 1 }, attributes: {} } as const
  return listTracked(netfilterHere(), wanted).flatMap(({ original }) => {
    const { source, destination: to, protocol, destinationPort: port } = original
    if (source !== address || to === undefined || protocol === undefined) return []
    return [{ to, protocol: nameOfProtocol(protocol), ...(port !== undefined && { port }) }]
  })
}
