/**
 * The PROXY protocol: the first bytes that a target gets, which say who the client is and which address it
 * asked for. Both versions of haproxy's doc/proxy-protocol.txt; TCP only.
 */

import type { Endpoint } from '../../ffi/sockaddr.ts'
import { bytesOf, familyOf } from '../../model/address/address.ts'

/** \r\n\r\n\0\r\nQUIT\n */
const SIGNATURE = Buffer.of(13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10)
const VERSION_2_PROXY = 0x21
const TCP_OVER_IPV4 = 0x11
const TCP_OVER_IPV6 = 0x21

/** Both ends have the same family: they are those of one socket. */
export function proxyHeader(version: 1 | 2, client: Endpoint, server: Endpoint): Uint8Array {
  const family = familyOf(client.ip)
  if (version === 1) {
    const { ip, port } = client
    return Buffer.from(`PROXY TCP${family} ${ip} ${server.ip} ${port} ${server.port}\r\n`, 'latin1')
  }
  const addresses = Buffer.concat([bytesOf(client.ip), bytesOf(server.ip), Buffer.alloc(4)])
  addresses.writeUInt16BE(client.port, addresses.length - 4)
  addresses.writeUInt16BE(server.port, addresses.length - 2)
  const transport = family === 4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6
  const head = Buffer.of(VERSION_2_PROXY, transport, 0, addresses.length)
  return Buffer.concat([SIGNATURE, head, addresses])
}
