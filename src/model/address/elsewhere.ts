/** Addresses that a name of the world does not lead to: whoever answers for it would choose among what is near. */

import { bytesOf, type Cidr, contains, familyOf, type Ip, ipFromBytes, parseCidr } from './address.ts'
import { FLOOR } from './reach.ts'

/** Source: the IANA registries of special-purpose addresses, where they are not globally reachable, and of multicast. */
const NEAR: readonly Cidr[] = [
  ...FLOOR,
  ...[
    '0.0.0.0/8',
    '10.0.0.0/8',
    '100.64.0.0/10',
    '127.0.0.0/8',
    '172.16.0.0/12',
    '192.0.0.0/24',
    '192.168.0.0/16',
    '224.0.0.0/3',
    '::/16',
    '64:ff9b:1::/48',
    'fc00::/7',
    'fe80::/10',
    'fec0::/10',
    'ff00::/8',
  ].map(text => parseCidr(text)),
]

/** RFC 6052, 2.1: behind it, an IPv4 address. */
const TRANSLATED = parseCidr('64:ff9b::/96')

/** True for an address of everybody's, neither a private one nor of this link, this host or many. */
export function isElsewhere(ip: Ip): boolean {
  if (familyOf(ip) === 6 && contains(TRANSLATED, ip)) return isElsewhere(ipFromBytes(bytesOf(ip).slice(12)))
  return !NEAR.some(each => familyOf(each) === familyOf(ip) && contains(each, ip))
}
