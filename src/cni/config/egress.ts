/** `egress`: under which address what leaves the network does so. */

import { type Family, familyOf, type Ip, isLoopback, isUnspecified } from '../../model/address/address.ts'
import { isLinkLocal } from '../../model/address/host.ts'
import type { Json } from '../../model/json/json.ts'
import { readIp } from '../../model/json/values.ts'
import type { EgressOptions, Network } from '../../model/network.ts'

/** @throws TsnetError naming the key and the value */
export function readEgress(
  config: Json,
  { ipMasq, ipam }: Pick<Network, 'ipMasq' | 'ipam'>,
): EgressOptions | undefined {
  const egress = config.get('egress')
  if (!egress.present) return undefined
  egress.object()
  const addresses = [readAddress(egress.get('address'), 4), readAddress(egress.get('address6'), 6)].filter(
    address => address !== undefined,
  )
  if (addresses.length === 0) egress.refuse('says no address')
  if (ipam.kind === 'none') egress.refuse('cannot be without an ipam section', 'unsupported-field')
  if (!ipMasq) {
    egress.refuse(
      'needs ipMasq: without, what leaves the network has the address of its container',
      'unsupported-field',
    )
  }
  return { addresses }
}

function readAddress(place: Json, family: Family): Ip | undefined {
  const address = readIp(place)
  if (address === undefined) return undefined
  if (familyOf(address) !== family) place.refuse(`is no IPv${family} address`)
  if (isLoopback(address) || isUnspecified(address) || isLinkLocal(address))
    place.refuse('is no address that others could answer to')
  return address
}
