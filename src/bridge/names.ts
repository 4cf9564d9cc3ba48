/**
 * What the host's side of an attachment is called and known by.
 *
 * Everything here follows from the owner tag alone, so that whoever takes an attachment down finds its
 * link without any record, and can prove that it is the right one before deleting it.
 */

import { randomBytes } from '../ffi/random.ts'

/** Marks a bridge as made by us; bridges without it are somebody else's. */
export const BRIDGE_ALIAS = 'tsnet'

const HOST_ALIAS = 'tsnet:'

/** Marks the host end of an attachment's veth pair. */
export const hostAlias = (owner: string): string => HOST_ALIAS + owner

/** The owner that an alias tells of; undefined for any other. */
export const ownerInAlias = (alias: string | undefined): string | undefined =>
  /^tsnet:([0-9a-f]{16})$/.exec(alias ?? '')?.[1]

/**
 * Names of the host end: the first, and one for the case that another attachment's tag begins alike.
 * @param owner ownerTag: 16 hex digits
 */
export const hostNames = (owner: string): [string, string] => [
  `veth${owner.slice(0, 8)}`,
  `veth${owner.slice(8, 16)}`,
]

/**
 * MAC of the host end. It proves the owner from the link's first moment, since the kernel takes an alias
 * only afterwards. It starts with `fe`, higher than any other, because a bridge without a fixed MAC takes
 * the lowest among its ports: a bridge that is not ours keeps the one it has.
 */
export function hostMac(owner: string): string {
  return ['fe', ...(owner.slice(6, 16).match(/../g) ?? [])].join(':')
}

/** MACs of bridges that we make begin so, which proves them until they have their alias. */
const BRIDGE_MAC_PREFIX = '0e:74:6e:'

/** A MAC for a bridge. Given at creation, it is fixed: neither ports nor udev change it. */
export const newBridgeMac = (): string => BRIDGE_MAC_PREFIX + octets(randomBytes(3))

/** A MAC for a container: locally administered, unicast. */
export function newContainerMac(): string {
  const bytes = randomBytes(6)
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02
  return octets(bytes)
}

const octets = (bytes: Uint8Array): string =>
  Array.from(bytes, octet => octet.toString(16).padStart(2, '0')).join(':')

/** True for a bridge that we made. */
export const isOurBridge = (link: { kind?: string; mac: string; alias?: string }): boolean =>
  link.kind === 'bridge' &&
  (link.alias === BRIDGE_ALIAS || (link.alias === undefined && link.mac.startsWith(BRIDGE_MAC_PREFIX)))

/** True for the host end of this owner's veth pair, whatever else is called like it. */
export const isHostEnd = (link: { kind?: string; mac: string; alias?: string }, owner: string): boolean =>
  link.kind === 'veth' &&
  (link.alias === hostAlias(owner) || (link.alias === undefined && link.mac === hostMac(owner)))

/**
 * True for the host end of any attachment that is a port. It becomes that by the request that gives it its
 * alias; its MAC alone proves nothing, since others begin so by chance.
 */
export const isAnyPort = (link: { kind?: string; alias?: string }): boolean =>
  link.kind === 'veth' && link.alias?.startsWith(HOST_ALIAS) === true
