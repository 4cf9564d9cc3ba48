/**
 * What an IPAM plugin answers to ADD, in the shape of any version of the spec, as an allocation.
 */

import { messageOf, TsnetError } from '../model/errors.ts'
import { Json } from '../model/json/json.ts'
import { readResultParts } from '../model/json/result.ts'
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
 * Reads a result.
 * @throws TsnetError `delegate` when it is none, or has no address
 */
export function readPluginResult(plugin: string, stdout: string): Allocation {
  try {
    const result = new Json(JSON.parse(stdout), 'result')
    const { ips, ...rest } = readResultParts(result)
    if (ips.length === 0) result.get('ips').refuse('is no list of addresses')
    // Of an interface an IPAM plugin knows nothing, and the gateway is for the bridge to agree with.
    return { leases: ips.map(({ address, gateway }) => present({ address, gateway })), ...rest }
  } catch (cause) {
    const text = `ipam: the result of plugin ${plugin} is of no use: ${messageOf(cause)}`
    throw new TsnetError('delegate', text, { cause })
  }
}
