/** `egress`: by which host, and under which address, what leaves the network does so, and whom its containers may reach. */

import { type Family, familyOf, type Ip, isLoopback, isUnspecified } from '../../model/address/address.ts'
import { isLinkLocal } from '../../model/address/host.ts'
import { isHostName } from '../../model/address/host-name.ts'
import { type AskedReach, lackOf, readEntry } from '../../model/address/reach.ts'
import type { EgressOptions } from '../../model/hosts/hosts.ts'
import type { Json } from '../../model/json/json.ts'
import { readIp } from '../../model/json/values.ts'
import type { Network } from '../../model/network.ts'

const OTHERWISE = ['own', 'none'] as const

/** @throws TsnetError naming the key and the value */
export function readEgress(
  config: Json,
  network: Pick<Network, 'hosts' | 'ipMasq'> & { ipam: Pick<Network['ipam'], 'kind'> },
): EgressOptions | undefined {
  const egress = config.get('egress')
  if (!egress.present) return undefined
  egress.object()
  const hosts = readHostsOf(egress.get('host'))
  const addresses = [readAddress(egress.get('address'), 4), readAddress(egress.get('address6'), 6)].filter(
    address => address !== undefined,
  )
  const otherwise = OTHERWISE.find(known => known === (egress.get('otherwise').text() ?? 'none'))
  if (otherwise === undefined) {
    return egress.get('otherwise').refuse('is neither "own" (by its own host) nor "none" (not at all)')
  }
  if (hosts.length + addresses.length === 0) {
    if (egress.get('allow').present) return undefined
    egress.refuse('says neither a host nor an address, nor what is allowed')
  }
  if (network.ipam.kind === 'none') egress.refuse('cannot be without an ipam section', 'unsupported-field')
  if (!network.ipMasq) {
    egress.refuse(
      'needs ipMasq: without, what leaves the network has the address of its container',
      'unsupported-field',
    )
  }
  if (hosts.length > 0 && network.hosts === undefined) {
    egress.get('host').refuse('needs a network of many hosts, see "hosts"', 'unsupported-field')
  }
  if (hosts.length === 0 && egress.get('otherwise').present) {
    egress.get('otherwise').refuse('says what happens without the host of "egress", and there is none')
  }
  return { hosts, addresses, otherwise }
}

/**
 * `egress.allow`: whom containers may reach; an empty list is nobody.
 * @throws TsnetError naming the key and the value
 */
export function readReach(
  config: Json,
  network: Pick<Network, 'names'> & { ipam: Pick<Network['ipam'], 'kind'> },
): AskedReach | undefined {
  const reach = readAllow(config.get('egress').get('allow'), network)
  // What a container is known by has to be its own.
  if (reach !== undefined && config.get('macspoofchk').flag() === false)
    config.get('macspoofchk').refuse('cannot be off where egress.allow says whom containers may reach')
  return reach
}

/** @param place a list of entries, as model/address/reach.ts has them */
export function readAllow(
  place: Json,
  { names, ipam }: Pick<Network, 'names'> & { ipam: Pick<Network['ipam'], 'kind'> },
): AskedReach | undefined {
  if (!place.present) return undefined
  const allow = place.list().map(each => {
    const read = readEntry(each.text() ?? each.refuse('is empty'))
    if (typeof read === 'string') return each.refuse(read)
    const lack = lackOf(read, names)
    if (lack !== undefined) each.refuse(lack)
    return read
  })
  if (ipam.kind === 'none') place.refuse('cannot be without an ipam section', 'unsupported-field')
  return { allow }
}

/** A name or an id, or a list of them: the first that is there is taken. */
function readHostsOf(place: Json): string[] {
  const places = Array.isArray(place.value) ? place.list() : place.present ? [place] : []
  const names = places.map(each => {
    const name = each.text() ?? each.refuse('is empty')
    return isHostName(name) ? name : each.refuse('is neither the name of a host nor its id')
  })
  return [...new Set(names)]
}

function readAddress(place: Json, family: Family): Ip | undefined {
  const address = readIp(place)
  if (address === undefined) return undefined
  if (familyOf(address) !== family) place.refuse(`is no IPv${family} address`)
  if (isLoopback(address) || isUnspecified(address) || isLinkLocal(address))
    place.refuse('is no address that others could answer to')
  return address
}
