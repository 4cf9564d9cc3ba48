/**
 * Kernel settings (sysctl) of both sides of a link: which ones, and how they are written.
 */

import { type Cidr, familyOf } from '../model/address/address.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import { inside } from '../netns/netns.ts'
import { readSysctl, setSysctl } from '../netns/sysctl.ts'
import type { Side } from './side.ts'

export interface Setting {
  /** Under /proc/sys, such as `net/ipv6/conf/cni0/accept_ra`. */
  name: string
  value: string
  /** False: the link does its work without it, where /proc/sys is read-only or the kernel has no IPv6. */
  needed: boolean
}

const v4 = (link: string, key: string, value: string, needed: boolean): Setting => ({
  name: `net/ipv4/conf/${link}/${key}`,
  value,
  needed,
})
const v6 = (link: string, key: string, value: string, needed: boolean): Setting => ({
  name: `net/ipv6/conf/${link}/${key}`,
  value,
  needed,
})

const hasV6 = (addresses: Cidr[]): boolean => addresses.some(address => familyOf(address) === 6)

/**
 * A container's router advertisement must not give this host addresses and routes (CVE-2020-13401). Where
 * the gateway is on a bridge of somebody else, this host is the router there; where it is not, that bridge
 * may well be how the host itself learns its routes, and keeps its settings.
 */
export function bridgeSettings(name: string, gateways: Cidr[]): Setting[] {
  const used = hasV6(gateways)
  return [...(used ? [v6(name, 'disable_ipv6', '0', true)] : []), v6(name, 'accept_ra', '0', used)]
}

/**
 * Of a bridge of our own, where nobody else can have its addresses. Without its link-local address, which
 * duplicate address detection holds back for a second, the kernel asks for no neighbour on behalf of others:
 * the first container would be unreachable from outside for so long.
 */
export const newBridgeSettings = (name: string, gateways: Cidr[]): Setting[] => [
  ...bridgeSettings(name, gateways),
  ...(hasV6(gateways) ? [v6(name, 'accept_dad', '0', false)] : []),
]

/** Of a container's interface: the kernel announces its addresses when it comes up, or gets another MAC. */
export const announcing = (name: string): Setting[] => [
  v4(name, 'arp_notify', '1', false),
  v6(name, 'ndisc_notify', '1', false),
]

/**
 * Of the host end of the veth pair. A port needs no address: without IPv6 it neither announces itself to
 * the container nor can it be spoken to from there.
 */
export const hostSettings = (name: string): Setting[] => [
  v6(name, 'accept_ra', '0', false),
  v6(name, 'disable_ipv6', '1', false),
]

/**
 * Of the container's interface. Without an IPv6 address it gets no IPv6 at all: a link-local address would
 * reach the neighbours past every rule that was made for the addresses we know (CVE-2024-32473). Without
 * any address the container is on its own: nothing is set.
 */
export function containerSettings(name: string, addresses: Cidr[], detectDuplicates: boolean): Setting[] {
  if (addresses.length === 0) return []
  return [
    // Tell the neighbours about a new MAC as soon as the interface is up.
    ...(addresses.some(address => familyOf(address) === 4) ? [v4(name, 'arp_notify', '1', false)] : []),
    ...(hasV6(addresses)
      ? [
          v6(name, 'disable_ipv6', '0', true),
          v6(name, 'accept_ra', '0', true),
          v6(name, 'accept_dad', detectDuplicates ? '1' : '0', false),
          v6(name, 'ndisc_notify', '1', false),
          v6(name, 'keep_addr_on_down', '1', false),
        ]
      : [v6(name, 'disable_ipv6', '1', false)]),
  ]
}

/**
 * Of the container's interface in the role of the reference plugin, which leaves the container the IPv6
 * that it has: plugins behind it in the chain may count on it.
 */
export function referenceSettings(name: string, addresses: Cidr[], detectDuplicates: boolean): Setting[] {
  const used = hasV6(addresses)
  if (addresses.length === 0) return []
  return [
    v4(name, 'arp_notify', '1', false),
    ...(detectDuplicates ? [v6(name, 'enhanced_dad', '1', false)] : []),
    v6(name, 'accept_dad', detectDuplicates ? '1' : '0', false),
    ...(used
      ? [
          v6(name, 'disable_ipv6', '0', true),
          v6(name, 'ndisc_notify', '1', false),
          v6(name, 'keep_addr_on_down', '1', false),
        ]
      : []),
  ]
}

/** Of the container's loopback: without IPv6 there the container has none of its own addresses. */
export const loopbackSettings = (addresses: Cidr[]): Setting[] =>
  hasV6(addresses) ? [v6('lo', 'disable_ipv6', '0', true)] : []

/** `sysctl -w net/ipv4/conf/eth0/arp_notify=1` */
export const describeSetting = ({ name, value }: Setting): string => `sysctl -w ${name}=${value}`

/** Writes settings of a link that we just made and that goes, with its settings, when something fails. */
export function applyToNew({ netns, trace }: Pick<Side, 'netns' | 'trace'>, settings: Setting[]): void {
  if (settings.length === 0) return
  inside(netns, () => {
    for (const setting of settings) write(setting, trace)
  })
}

/** Writes settings of what was there before us, each with its undo. */
export function applyToExisting(side: Side, settings: Setting[]): void {
  if (settings.length === 0) return
  const { netns, trace, undo } = side
  for (const { setting, before } of differing(side, settings)) {
    const { name } = setting
    if (before !== undefined)
      undo.push(`setting ${name}`, () => inside(netns, () => void setSysctl(name, before)))
    inside(netns, () => write(setting, trace))
  }
}

/** The settings that have another value, with the one they have; undefined where the kernel has none. */
export const differing = (
  { netns }: Side,
  settings: Setting[],
): { setting: Setting; before: string | undefined }[] =>
  inside(netns, () =>
    settings
      .map(setting => ({ setting, before: readSysctl(setting.name) }))
      .filter(({ setting, before }) => before !== setting.value),
  )

/** @throws TsnetError when a setting that is needed cannot be made */
function write(setting: Setting, trace: (equivalent: string) => void): void {
  const { name, value, needed } = setting
  trace(describeSetting(setting))
  try {
    if (setSysctl(name, value) || !needed) return
  } catch (cause) {
    const readOnly = hasCode(cause, 'EROFS', 'EACCES', 'EPERM')
    if (readOnly && (!needed || readSysctl(name) === value)) return
    throw new TsnetError('kernel', `cannot set ${name} to ${value}: ${messageOf(cause)}`, { cause })
  }
  throw new TsnetError('missing', `cannot set ${name} to ${value}: this kernel has no such setting`, {
    details: 'IPv6 is probably off (ipv6.disable=1): leave IPv6 addresses out of the network',
  })
}
