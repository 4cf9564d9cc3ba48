/**
 * What every plugin may put into a result, in the shape of any version of the spec: addresses, routes and
 * resolver settings. Before 0.3.0 each family had a section of its own, `ip4` and `ip6`, with its routes.
 */

import { type Cidr, familyOf, type Ip, networkOf } from '../address/address.ts'
import type { Dns, Route } from '../network.ts'
import { present } from '../present.ts'
import { readDns } from './dns.ts'
import type { Json } from './json.ts'
import { readCidr, readIp } from './values.ts'

export interface ResultParts {
  ips: ResultIp[]
  routes: Route[]
  dns?: Dns
}

export interface ResultIp {
  address: Cidr
  gateway?: Ip
  /** Index in `interfaces`. */
  interface?: number
}

/** @throws TsnetError `invalid-config` */
export function readResultParts(result: Json): ResultParts {
  const old = [result.get('ip4'), result.get('ip6')].filter(section => section.present)
  const parts: Omit<ResultParts, 'dns'> = {
    ips: [...old.map(section => readIpSection(section, 'ip')), ...result.get('ips').list().map(readResultIp)],
    routes: [...old, result].flatMap(section => readRoutes(section.get('routes'), 'lenient')),
  }
  return present({ ...parts, dns: readDns(result.get('dns')) })
}

function readResultIp(entry: Json): ResultIp {
  return present({ ...readIpSection(entry, 'address'), interface: entry.get('interface').number(0, 0xffff) })
}

function readIpSection(entry: Json, key: 'address' | 'ip'): ResultIp {
  const address = readCidr(entry.get(key)) ?? entry.get(key).refuse('is missing')
  const gateway = readIp(entry.get('gateway'))
  if (gateway !== undefined && familyOf(gateway) !== familyOf(address)) {
    entry.get('gateway').refuse(`is of another family than ${address}`)
  }
  return present({ address, gateway })
}

/**
 * A list of routes, with the keys of 1.1.0.
 * @param mode `lenient` for what another plugin has made already
 */
export function readRoutes(json: Json, mode: 'strict' | 'lenient'): Route[] {
  return json.list().map(entry => {
    const dst = readCidr(entry.get('dst')) ?? entry.get('dst').refuse('is missing')
    const gw = readIp(entry.get('gw'))
    if (mode === 'strict') {
      // Of IPv6 the kernel takes them, and lists that have them are in use.
      if (networkOf(dst) !== dst && familyOf(dst) === 4)
        entry.get('dst').refuse(`has host bits set; the network is ${networkOf(dst)}`)
      if (gw !== undefined && familyOf(gw) !== familyOf(dst)) {
        entry.get('gw').refuse(`is of another family than ${dst}`)
      }
    }
    const number = (key: string, most = 0xffff_ffff) => entry.get(key).number(0, most)
    return present({
      dst,
      gw,
      mtu: number('mtu'),
      advmss: number('advmss'),
      priority: number('priority'),
      table: number('table'),
      scope: number('scope', 255),
    })
  })
}
