/**
 * prevResult: what the plugins before us made (ADD), or all that was made (CHECK), in the shape of any
 * version of the spec.
 */

import type { Json } from '../../model/json/json.ts'
import { type ResultParts, readResultParts } from '../../model/json/result.ts'
import { present } from '../../model/present.ts'

/** A result, in the richest of its shapes, that of 1.1.0. */
export interface Result extends ResultParts {
  interfaces: ResultInterface[]
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

/**
 * @returns undefined where there is none
 * @throws TsnetError `invalid-config`
 */
export function readPrevious(config: Json): Result | undefined {
  const result = config.get('prevResult')
  if (!result.present) return undefined
  const interfaces = result.get('interfaces').list().map(readInterface)
  const parts = readResultParts(result)
  for (const [at, { interface: index }] of parts.ips.entries()) {
    if (index !== undefined && index >= interfaces.length) {
      const place = result.get('ips').list()[at]?.get('interface') ?? result
      place.refuse(`is no index of an interface: prevResult has ${interfaces.length}`)
    }
  }
  return { interfaces, ...parts }
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
