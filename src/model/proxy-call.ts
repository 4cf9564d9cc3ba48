/** What dockerd asks of its userland proxy: one port of an address, and where its clients are taken. */

import { type HostIp, type Ip, tryParseIp } from './address/address.ts'
import { tryParseHostIp } from './address/host.ts'
import { TsnetError } from './errors.ts'
import { shown } from './json/shown.ts'
import type { Protocol } from './port-mapping.ts'

export interface ProxyCall {
  protocol: Protocol
  /** Its family is the port's: `::` does not serve IPv4. A link-local one that dockerd has bound may lack its interface. */
  hostIp: HostIp
  /** 0 where the kernel chose one. */
  hostPort: number
  containerIp: Ip
  containerPort: number
}

const protocols: readonly Protocol[] = ['tcp', 'udp', 'sctp']

export const protocolOf = (word: unknown): Protocol | undefined => protocols.find(each => each === word)

/**
 * A call as it came over a socket; what else there is in it is not looked at.
 * @throws TsnetError `invalid-environment` naming the key and the value
 */
export function readProxyCall(words: unknown): ProxyCall {
  const { protocol, hostIp, hostPort, containerIp, containerPort } = (words ?? {}) as Record<string, unknown>
  return {
    protocol: protocolOf(protocol) ?? refuse('protocol', protocol),
    hostIp: asHostIp(hostIp) ?? refuse('hostIp', hostIp),
    hostPort: asPort(hostPort, 0) ?? refuse('hostPort', hostPort),
    containerIp: asIp(containerIp) ?? refuse('containerIp', containerIp),
    containerPort: asPort(containerPort, 1) ?? refuse('containerPort', containerPort),
  }
}

const asIp = (value: unknown): Ip | undefined => (typeof value === 'string' ? tryParseIp(value) : undefined)

const asHostIp = (value: unknown): HostIp | undefined =>
  typeof value === 'string' ? tryParseHostIp(value) : undefined

const asPort = (value: unknown, least: number): number | undefined =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= 65_535
    ? (value as number)
    : undefined

function refuse(key: string, value: unknown): never {
  throw new TsnetError('invalid-environment', `docker-proxy: ${key}: ${shown(value)} cannot be`)
}
