/**
 * Routes as bytes.
 *
 * Source: linux/rtnetlink.h (struct rtmsg, struct rtnexthop, struct rtvia, enum RTA_*, RTAX_*).
 */

import { familyOf, type Ip } from '../model/address/address.ts'
import { attributes, nested, payload } from './attributes.ts'
import {
  addressFamily,
  type Codec,
  type InputOf,
  ip,
  MalformedError,
  s32,
  struct,
  u8,
  u16,
  u32,
  type ValueOf,
  writing,
} from './codecs.ts'

/** struct rtvia: a gateway of another family than the route's. */
const via: Codec<Ip> = writing({
  write(to, value) {
    u16.write(to, addressFamily(familyOf(value)))
    ip.write(to, value)
  },
  decode: bytes => ip.decode(bytes.subarray(2)),
})

const nextHop = payload(
  struct(8, {
    length: [0, u16],
    flags: [2, u8],
    hops: [3, u8], // weight less 1
    index: [4, s32],
  }),
  attributes({
    gateway: [5, ip],
    via: [18, via],
  }),
)

/** struct rtnexthop with its attributes, one after the other. */
const nextHops: Codec<ValueOf<typeof nextHop>[], InputOf<typeof nextHop>[]> = writing({
  write(to, hops) {
    for (const hop of hops) {
      const start = to.length
      nextHop.write(to, hop)
      to.set16(start, to.length - start)
    }
  },
  decode(bytes) {
    const hops: ValueOf<typeof nextHop>[] = []
    for (let offset = 0; offset < bytes.length; ) {
      const length = u16.decode(bytes.subarray(offset))
      if (length < 8 || offset + length > bytes.length) {
        throw new MalformedError(`a next hop of ${length} bytes does not fit`)
      }
      hops.push(nextHop.decode(bytes.subarray(offset, offset + length)))
      offset += (length + 3) & ~3
    }
    return hops
  },
})

const metrics = attributes({
  mtu: [2, u32],
  advmss: [8, u32],
})

export const routeMessage = payload(
  struct(12, {
    family: [0, u8],
    destinationLength: [1, u8],
    sourceLength: [2, u8],
    tos: [3, u8],
    table: [4, u8],
    protocol: [5, u8],
    scope: [6, u8],
    type: [7, u8],
    flags: [8, u32],
  }),
  attributes({
    destination: [1, ip],
    source: [2, ip],
    index: [4, u32], // RTA_OIF
    gateway: [5, ip],
    priority: [6, u32],
    preferredSource: [7, ip],
    metrics: [8, nested(metrics)],
    nextHops: [9, nextHops],
    table: [15, u32],
    via: [18, via],
  }),
)
