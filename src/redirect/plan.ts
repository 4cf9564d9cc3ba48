/** What is redirected, as values: a range of ports on loopback addresses, and the container's ports behind it. */

import { type Family, familyOf, type Ip } from '../model/address/address.ts'
import { ADDRESS_BITS, FIXED_BITS, KEY, PORT_BITS, TARGET, wideBytes } from './layout.ts'

/** Ports of this host's loopback addresses that lead to those of one container. */
export interface RedirectPlan {
  /**
   * The loopback addresses that are published; of a family all of them where it stands here itself.
   * `::ffff:127.0.0.1` is one of IPv4.
   */
  on: readonly (Family | Ip)[]
  hostPort: number
  count: number
  /** The first port, at an address that this host reaches. */
  target: { ip: Ip; port: number }
}

/** Ports that have their upper `length` bits in common. */
export interface PortPrefix {
  port: number
  length: number
}

/** A range of ports in as few prefixes as there can be, at most 30. */
export function portPrefixes(first: number, count: number): PortPrefix[] {
  const prefixes: PortPrefix[] = []
  for (let port = first, left = count; left > 0; ) {
    let size = port === 0 ? 1 << PORT_BITS : port & -port
    while (size > left) size >>= 1
    prefixes.push({ port, length: PORT_BITS - Math.log2(size) })
    port += size
    left -= size
  }
  return prefixes
}

/** The keys under which a plan stands in `targets`, for clients of one network namespace. */
export function keysOf({ on, hostPort, count }: RedirectPlan, cookie: bigint): Uint8Array[] {
  return on.flatMap(each => {
    if (typeof each === 'number')
      return portPrefixes(hostPort, count).map(prefix => keyOf(cookie, each, prefix))
    // An address stands behind the port, so there is no prefix for several.
    return Array.from({ length: count }, (_, i) => {
      const prefix = { port: hostPort + i, length: PORT_BITS }
      return keyOf(cookie, familyOf(each), prefix, each)
    })
  })
}

function keyOf(cookie: bigint, family: Family, { port, length }: PortPrefix, address?: Ip): Uint8Array {
  const key = new Uint8Array(KEY.size)
  const view = new DataView(key.buffer)
  const bits = FIXED_BITS + length + (address === undefined ? 0 : ADDRESS_BITS)
  view.setUint32(KEY.prefix, bits, true)
  view.setBigUint64(KEY.cookie, cookie, true)
  view.setUint16(KEY.family, family, true)
  view.setUint16(KEY.port, port)
  if (address !== undefined) key.set(wideBytes(address), KEY.address)
  return key
}

/** What stands there. @param slot where it is counted */
export function targetValue({ hostPort, target: { ip, port } }: RedirectPlan, slot: number): Uint8Array {
  const value = new Uint8Array(TARGET.size)
  const view = new DataView(value.buffer)
  value.set(wideBytes(ip), TARGET.address)
  view.setUint16(TARGET.delta, port - hostPort, true)
  view.setUint16(TARGET.family, familyOf(ip), true)
  view.setUint32(TARGET.count, slot, true)
  return value
}
