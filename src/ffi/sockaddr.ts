/** Socket addresses as C sees them: struct sockaddr_in and struct sockaddr_in6 (linux/in.h, linux/in6.h). */

import { bytesOf, familyOf, type Ip } from '../model/address.ts'

export const AF_INET = 2
export const AF_INET6 = 10

/** The address family of an address. */
export const domainOf = (ip: Ip): number => (familyOf(ip) === 4 ? AF_INET : AF_INET6)

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
