/**
 * Lets packets with loopback addresses over the interface that leads to a container, as the reference
 * plugin portmap does. What is changed is written down first, and taken back when no container is reached
 * that way any more; the guard in the rules stands before and goes after.
 */

import { type Cidr, type Ip, ipOf, lengthOf } from '../model/address/address.ts'
import { hasCode } from '../model/errors.ts'
import { mapOf, text } from '../model/json/shape.ts'
import { isLoopbackRouted, routeLoopback } from '../nat/loopback.ts'
import { findLink } from '../netlink/link/link.ts'
import { type Netlink, openNetlink } from '../netlink/netlink.ts'
import { routeTo } from '../netlink/route.ts'
import { readSysctl, writeSysctl } from '../netns/sysctl.ts'
import { readKept, writeKept } from '../records/state-files.ts'

const FILE = 'localnet.json'

/** Values of route_localnet before us, by interface. */
type Before = Record<string, string>

const settingOf = (ifname: string): string => `net/ipv4/conf/${ifname}/route_localnet`

/** The interface over which the host reaches a container; undefined where none but a default route leads there. */
export function interfaceTo(address: Cidr): string | undefined {
  using nl = openNetlink()
  const index = indexTo(nl, ipOf(address))
  return index === undefined ? undefined : findLink(nl, { index })?.name
}

function indexTo(nl: Netlink, ip: Ip): number | undefined {
  try {
    const route = routeTo(nl, ip)
    return route !== undefined && lengthOf(route.destination) > 0 ? route.index : undefined
  } catch (thrown) {
    // There is no way, or none that leads anywhere.
    if (hasCode(thrown, 'ENETUNREACH', 'EHOSTUNREACH', 'EACCES', 'EINVAL')) return undefined
    throw thrown
  }
}

/** @throws TsnetError `kernel` */
export function openLocalnet(address: Cidr): void {
  const ifname = interfaceTo(address)
  if (ifname === undefined || isLoopbackRouted(ifname)) return
  const before = readKept<Before>(FILE, mapOf(text)) ?? {}
  writeKept(FILE, { ...before, [ifname]: before[ifname] ?? readSysctl(settingOf(ifname)) ?? '0' })
  routeLoopback(ifname)
}

/** Takes back what was changed. Idempotent. */
export function closeLocalnet(): void {
  const before = readKept<Before>(FILE, mapOf(text))
  if (before === undefined) return
  for (const [ifname, value] of Object.entries(before)) writeSysctl(settingOf(ifname), value)
  writeKept(FILE, undefined)
}

/** True where loopback addresses are let over the interface to a container, or nothing leads there. */
export function isLocalnetOpen(address: Cidr): boolean {
  const ifname = interfaceTo(address)
  return ifname === undefined || isLoopbackRouted(ifname)
}
