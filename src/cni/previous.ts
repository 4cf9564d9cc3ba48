/**
 * prevResult: what the plugins before us made (ADD), or all that was made (CHECK), in the shape of any
 * version of the spec.
 */

import { type Cidr, familyOf, type Ip } from '../model/address.ts'
import type { Json } from '../model/json.ts'
import type { Dns, Route } from '../model/network.ts'
import { present } from '../model/present.ts'
import { readDns } from './dns.ts'
import { readRoutes } from './ipam-config.ts'
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
  const lists: Omit<Result, 'dns'> = {
    interfaces: result.get('interfaces').list().map(readInterface),
    ips: [...old.map(section => readIpSection(section, 'ip')), ...result.get('ips').list().map(readResultIp)],
    routes: [
      ...old.flatMap(section => readRoutes(section.get('routes'), 'lenient')),
      ...readRoutes(result.get('routes'), 'lenient'),
    ],
  }
  return present({ ...lists, dns: readDns(result.get('dns'), 'lenient') })
}

function readInterface(entry: Json): ResultInterface {
  return present({
    name: entry.get('name').text() ?? entry.get('name').refuse('is missing'),
    mac: entry.get('mac').text(),
    mtu: entry.get('mtu').number(0, 0xffff_ffff),
    sandbox: entry.get('sandbox').text(),
    socketPath: entry.get('socketPath').text(),
    pciID: entry.get('pciID').text(),
  })
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
