/**
 * What an IPAM plugin answers to ADD, in the shape of any version of the spec, as an allocation.
 */

import { familyOf, parseCidr, parseIp } from '../model/address.ts'
import { messageOf, TsnetError } from '../model/errors.ts'
import type { Dns, Lease, Route } from '../model/network.ts'
import { present } from '../model/present.ts'

/** What an IPAM gives to one attachment. */
export interface Allocation {
  /** One from each range set, in their order. */
  leases: Lease[]
  routes: Route[]
  dns?: Dns
}

/**
 * Reads a result. Before 0.3.0 each family has a section of its own, `ip4` and `ip6`, with its routes.
 * @throws TsnetError `delegate` when it is none, or has no address
 */
export function readPluginResult(plugin: string, stdout: string): Allocation {
  try {
    const result = objectOf(JSON.parse(stdout), 'result')
    const sections = [member(result, 'ip4'), member(result, 'ip6')]
      .filter(given)
      .map(it => objectOf(it, 'ip4'))
    const ips = listOf(member(result, 'ips'), 'ips')
    const leases = [
      ...sections.map(section => readLease(section, 'ip')),
      ...ips.map(ip => readLease(objectOf(ip, 'ips'), 'address')),
    ]
    if (leases.length === 0) throw new Error('it has no addresses')
    const routes = [...sections, result].flatMap(section => listOf(member(section, 'routes'), 'routes'))
    const dns = member(result, 'dns')
    return present({ leases, routes: routes.map(readRoute), dns: given(dns) ? readDns(dns) : undefined })
  } catch (cause) {
    throw new TsnetError(
      'delegate',
      `ipam: the result of plugin ${plugin} is of no use: ${messageOf(cause)}`,
      { cause },
    )
  }
}

function readLease(entry: Record<string, unknown>, key: 'ip' | 'address'): Lease {
  const address = parseCidr(textOf(member(entry, key), key), key)
  const text = member(entry, 'gateway')
  if (!given(text) || text === '') return { address }
  const gateway = parseIp(textOf(text, 'gateway'), 'gateway')
  if (familyOf(gateway) !== familyOf(address))
    throw new Error(`gateway: ${gateway} is of another family than ${address}`)
  return { address, gateway }
}

function readRoute(value: unknown): Route {
  const entry = objectOf(value, 'routes')
  const gw = member(entry, 'gw')
  const route: Route = { dst: parseCidr(textOf(member(entry, 'dst'), 'dst'), 'dst') }
  if (given(gw) && gw !== '') route.gw = parseIp(textOf(gw, 'gw'), 'gw')
  for (const key of ['mtu', 'advmss', 'priority', 'table', 'scope'] as const) {
    const number = member(entry, key)
    if (!given(number)) continue
    if (!Number.isInteger(number) || (number as number) < 0) throw new Error(`routes: ${key} is not a number`)
    route[key] = number as number
  }
  return route
}

function readDns(value: unknown): Dns {
  const dns = objectOf(value, 'dns')
  const words = (key: string) => listOf(member(dns, key), key).map(word => textOf(word, key))
  const domain = member(dns, 'domain')
  const lists = { nameservers: words('nameservers'), search: words('search'), options: words('options') }
  return given(domain) ? { ...lists, domain: textOf(domain, 'domain') } : lists
}

const given = (value: unknown): boolean => value !== undefined && value !== null

/** The member with this name in any case: the plugins are written for Go's JSON. */
function member(object: Record<string, unknown>, key: string): unknown {
  return Object.entries(object).findLast(([name]) => name.toLowerCase() === key.toLowerCase())?.[1]
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${what} is not an object`)
  return value as Record<string, unknown>
}

function listOf(value: unknown, what: string): unknown[] {
  if (!given(value)) return []
  if (!Array.isArray(value)) throw new Error(`${what} is not a list`)
  return value
}

function textOf(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new Error(`${what} is not a string`)
  return value
}
