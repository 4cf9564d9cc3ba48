/**
 * Addresses of this host on which ports are published. A link-local one is the same on every link: only with
 * the interface that it is on, its zone, can it be listened on (RFC 4007, section 11: `fe80::1%eth0`).
 */

import { type HostIp, type Ip, isMulticast, tryParseIp, type ZonedIp } from './address.ts'

/** What a name of an interface can be in a zone. Shorter than IFNAMSIZ, linux/if.h. */
const ZONE = /^[A-Za-z0-9_.-]{1,15}$/

/** An address with or without a zone; undefined for anything else. Whether it can be listened on is not looked at. */
export function tryParseHostIp(text: string): HostIp | undefined {
  const at = text.indexOf('%')
  if (at < 0) return tryParseIp(text)
  const ip = tryParseIp(text.slice(0, at))
  const zone = text.slice(at + 1)
  return ip !== undefined && isLinkLocal(ip) && ZONE.test(zone) ? (`${ip}%${zone}` as ZonedIp) : undefined
}

/** Why a text is no address to listen on, in words that follow it: `is …`; undefined where it is one. */
export function hostIpProblem(text: string): string | undefined {
  const host = tryParseHostIp(text)
  if (host !== undefined) return manysProblem(host) ?? (needsZone(host) ? lacksZone(host) : undefined)
  const [address = '', zone] = text.split('%')
  const ip = tryParseIp(address)
  if (ip === undefined || zone === undefined) return 'is not an IP address'
  if (isLinkLocal(ip)) return 'has no interface behind its percent sign'
  return 'is not link-local (fe80::/10), and has no interface of its own'
}

/** Sockets can be bound to an address of many (RFC 5771, RFC 4291), and no client would be answered from it. */
export function manysProblem(host: HostIp): string | undefined {
  const bare = host.replace(/^::ffff:(?=\d+\.)/, '')
  if (isMulticast(bare as HostIp)) return 'is a multicast address, and not one of a host'
  return bare === '255.255.255.255' ? BROADCAST_PROBLEM : undefined
}

/** Of a subnet's broadcast address as well, which is known by looking at the host. */
export const BROADCAST_PROBLEM = 'is a broadcast address, and not one of a host'

/** What is missing, in words that follow the address. */
export const lacksZone = (ip: HostIp): string =>
  `is link-local: it needs the interface that it is on, such as ${ip}%eth0`

export const ipOfHost = (host: HostIp): Ip => host.split('%')[0] as Ip

/** The interface's name. */
export const zoneOf = (host: HostIp): string | undefined => host.split('%')[1]

/** fe80::/10 */
export const isLinkLocal = (host: HostIp): boolean => /^fe[89ab][0-9a-f]:/.test(host)

/** It cannot be listened on as it is. */
export const needsZone = (host: HostIp): boolean => isLinkLocal(host) && zoneOf(host) === undefined
