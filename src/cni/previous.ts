/**
 * prevResult: what the plugins before us made (ADD), or all that was made (CHECK), in the shape of any
 * version of the spec.
 */

import { type Cidr, familyOf, type Ip } from '../model/address.ts'
import type { Dns, Route } from '../model/network.ts'
import { readDns } from './dns.ts'
import { readRoutes } from './ipam-config.ts'
import type { Json } from './json.ts'
import { readCidr, readIp } from './values.ts'

/** A result, in the richest of its shapes, that of 1.1.0. */
export interface Result {
  interfaces: ResultInterface[]
  ips: ResultIp[]
  routes: Route[]
  dns?: Dns
}

export interface ResultInterface {
  name: string
  /** As it came: not every interface has one of six octets. */
  mac?: string
  mtu?: number
  /** Path of the namespace; absent for the host's. */
  sandbox?: string
  socketPath?: string
  pciID?: string
}

export interface ResultIp {
  address: Cidr
  gateway?: Ip
  /** Index in `interfaces`. */
  interface?: number
}

/**
 * @returns undefined where there is none
 * @throws TsnetError `invalid-config`
 */
export function readPrevious(config: Json): Result | undefined {
  const result = config.get('prevResult')
  if (!result.present) return undefined
  const old = [result.get('ip4'), result.get('ip6')].filter(section => section.present)
  const dns = readDns(result.get('dns'), 'lenient')
  return {
    interfaces: result.get('interfaces').list().map(readInterface),
    ips: [...old.map(section => readIpSection(section, 'ip')), ...result.get('ips').list().map(readResultIp)],
    routes: [
      ...old.flatMap(section => readRoutes(section.get('routes'), 'lenient')),
      ...readRoutes(result.get('routes'), 'lenient'),
    ],
    ...(dns === undefined ? {} : { dns }),
  }
}

function readInterface(entry: Json): ResultInterface {
  const mtu = entry.get('mtu').number(0, 0xffff_ffff)
  const made: ResultInterface = { name: entry.get('name').text() ?? entry.get('name').refuse('is missing') }
  for (const key of ['mac', 'sandbox', 'socketPath', 'pciID'] as const) {
    const text = entry.get(key).text()
    if (text !== undefined) made[key] = text
  }
  return mtu === undefined ? made : { ...made, mtu }
}

function readResultIp(entry: Json): ResultIp {
  const index = entry.get('interface').number(0, 0xffff)
  return { ...readIpSection(entry, 'address'), ...(index === undefined ? {} : { interface: index }) }
}

function readIpSection(entry: Json, key: 'address' | 'ip'): ResultIp {
  const address = readCidr(entry.get(key)) ?? entry.get(key).refuse('is missing')
  const gateway = readIp(entry.get('gateway'))
  if (gateway !== undefined && familyOf(gateway) !== familyOf(address)) {
    entry.get('gateway').refuse(`is of another family than ${address}`)
  }
  return { address, ...(gateway === undefined ? {} : { gateway }) }
}
