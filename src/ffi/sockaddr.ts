/** Socket addresses as C sees them: struct sockaddr_in and struct sockaddr_in6 (linux/in.h, linux/in6.h). */

import { bytesOf, familyOf, type HostIp, type Ip, ipFromBytes } from '../model/address/address.ts'
import { ipOfHost, zoneOf } from '../model/address/host.ts'
import { TsnetError } from '../model/errors.ts'
import { libc } from './ffi.ts'

export const AF_INET = 2
export const AF_INET6 = 10

/** The address family of an address. */
export const domainOf = (ip: HostIp): number => (familyOf(ip) === 4 ? AF_INET : AF_INET6)

/** struct sockaddr_in (16 bytes) or sockaddr_in6 (28 bytes). */
export function sockaddr(ip: Ip, port: number): Uint8Array {
  const v4 = familyOf(ip) === 4
  const bytes = new Uint8Array(v4 ? 16 : 28)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, domainOf(ip), true)
  view.setUint16(2, port) // network byte order
  bytes.set(bytesOf(ip), v4 ? 4 : 8)
  return bytes
}

/**
 * The same of an address to listen on: the interface that it names is that of the calling thread's namespace.
 * @throws TsnetError `invalid-config` where it is not there
 */
export function hostSockaddr(host: HostIp, port: number): Uint8Array {
  const bytes = sockaddr(ipOfHost(host), port)
  const zone = zoneOf(host)
  if (zone === undefined) return bytes
  const index = libc.if_nametoindex(zone)
  if (index === 0) throw new TsnetError('invalid-config', `${host}: there is no interface ${zone}`)
  new DataView(bytes.buffer).setUint32(SCOPE_ID_AT, index, true)
  return bytes
}

/** Of sin6_scope_id. */
const SCOPE_ID_AT = 24

/** One end of a connection. */
export interface Endpoint {
  ip: Ip
  port: number
}

/**
 * What a sockaddr_in or sockaddr_in6 says. An IPv4 address that a dual-stack socket shows as
 * `::ffff:a.b.c.d` is that IPv4 address.
 * @throws RangeError for another family
 */
export function readSockaddr(bytes: Uint8Array): Endpoint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const family = view.getUint16(0, true)
  if (family !== AF_INET && family !== AF_INET6) throw new RangeError(`address family ${family}`)
  const ip = family === AF_INET ? bytes.subarray(4, 8) : bytes.subarray(8, 24)
  return { ip: ipFromBytes(isMapped(ip) ? ip.subarray(12) : ip), port: view.getUint16(2) }
}

const isMapped = (ip: Uint8Array): boolean =>
  ip.length === 16 && ip.subarray(0, 10).every(byte => byte === 0) && ip[10] === 0xff && ip[11] === 0xff
