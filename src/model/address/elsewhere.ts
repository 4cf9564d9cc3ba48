/** Addresses that a name of the world does not lead to: whoever answers for it would choose among what is near. */

import { bytesOf, type Cidr, type Ip, parseCidr, within } from './address.ts'
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
    '198.18.0.0/15',
    '224.0.0.0/3',
    '::/16',
    '64:ff9b:1::/48',
    '5f00::/16',
    'fc00::/7',
    'fe80::/10',
    'fec0::/10',
    'ff00::/8',
  ].map(text => parseCidr(text)),
]

/** Of which an IPv4 address is a part, and where it begins: RFC 6052, 2.1, and RFC 3056, 2. */
const TRANSLATED: readonly [prefix: Cidr, at: number][] = [
  [parseCidr('64:ff9b::/96'), 12],
  [parseCidr('2002::/16'), 2],
]

/** Each address of each answer is asked of all of them. */
const isNear = NEAR.map(within)
const isTranslated = TRANSLATED.map(([prefix, at]) => ({ isIn: within(prefix), at }))

/** True for an address of everybody's, neither a private one nor of this link, this host or many. */
export const isElsewhere = (ip: Ip): boolean => isFar(bytesOf(ip))

function isFar(bytes: Uint8Array): boolean {
  const translated = isTranslated.find(({ isIn }) => isIn(bytes))
  if (translated !== undefined) return isFar(bytes.subarray(translated.at, translated.at + 4))
  return !isNear.some(isIn => isIn(bytes))
}
