/** Addresses, prefixes and MACs out of JSON: parsed, and printed anew in one form. */

import { type Cidr, type HostIp, type Ip, ipOf, parseCidr, parseIp, tryParseIp } from '../address/address.ts'
import { hostIpProblem, tryParseHostIp } from '../address/host.ts'
import { messageOf } from '../errors.ts'
import type { Json } from './json.ts'

/** An address. As in Go, `::ffff:192.0.2.1` is 192.0.2.1. */
export function readIp(json: Json): Ip | undefined {
  const text = json.text()
  return text === undefined ? undefined : (tryIp(text) ?? json.refuse('is not an IP address'))
}

/** An address of this host to listen on; a link-local one with its interface. */
export function readHostIp(json: Json): HostIp | undefined {
  const text = json.text()
  if (text === undefined) return undefined
  const problem = hostIpProblem(text)
  if (problem !== undefined) return json.refuse(problem)
  return tryIp(text) ?? tryParseHostIp(text)
}

/** An address that may have a prefix length behind it, which nobody needs. */
export function readIpOrCidr(json: Json): Ip | undefined {
  const text = json.text()
  if (text === undefined) return undefined
  if (!text.includes('/')) return readIp(json)
  return asJson(json, () => unmapped(ipOf(parseCidr(text))))
}

/** An address with its prefix length, such as 10.1.0.0/16. */
export function readCidr(json: Json): Cidr | undefined {
  const text = json.text()
  return text === undefined ? undefined : asJson(json, () => parseCidr(text))
}

const tryIp = (text: string): Ip | undefined => {
  const ip = tryParseIp(text)
  return ip === undefined ? undefined : unmapped(ip)
}

const unmapped = (ip: Ip): Ip => {
  const embedded = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(ip)?.[1]
  return embedded === undefined ? ip : parseIp(embedded)
}

function asJson<T>(json: Json, parse: () => T): T {
  try {
    return parse()
  } catch (thrown) {
    return json.refuse(messageOf(thrown).replace(/^.*? is /, 'is '))
  }
}

/**
 * A hardware address of six octets, lower case with colons. The three notations are those of Go's
 * net.ParseMAC. The kernel takes neither a group address nor all zeros for an interface.
 */
export function readMac(json: Json): string | undefined {
  const text = json.text()
  if (text === undefined) return undefined
  const octets = /^([0-9a-f]{2}([:-]))([0-9a-f]{2}\2){4}[0-9a-f]{2}$/i.test(text)
  const words = /^([0-9a-f]{4}\.){2}[0-9a-f]{4}$/i.test(text)
  if (!octets && !words) return json.refuse('is not a MAC address of six octets')
  const mac = (text.toLowerCase().match(/[0-9a-f]{2}/g) ?? []).join(':')
  if ((Number.parseInt(mac, 16) & 1) === 1)
    return json.refuse('is a group address, not that of one interface')
  if (mac === '00:00:00:00:00:00') return json.refuse('is no address for an interface')
  return mac
}
