/**
 * The addresses of the bridge, which are the containers' gateways.
 */

import { type Cidr, familyOf, lastOf, lengthOf, overlaps } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import {
  type Address,
  addAddress,
  deleteAddress,
  listAddresses,
  type NewAddress,
} from '../netlink/address.ts'
import type { LinkRef } from '../netlink/link/link.ts'
import type { Netlink } from '../netlink/netlink.ts'
import type { BridgePlan } from './plan/plan.ts'
import type { Side } from './side.ts'

export interface GatewayChange {
  add: Cidr[]
  /** Those that stand against a gateway, as they are. */
  remove: Address[]
}

/** RT_SCOPE_LINK: the kernel's own addresses. */
export const SCOPE_LINK = 253

/**
 * Compares the addresses of a link with the gateways it is to have. As with the reference plugin, an IPv4
 * address stands against every other one, an IPv6 address against those whose prefix overlaps its own.
 * @param link undefined: it does not exist yet
 * @throws TsnetError `conflict` unless forceAddress is set
 */
export function compareGateways(nl: Netlink, link: LinkRef | undefined, plan: BridgePlan): GatewayChange {
  const { gateways, forceAddress, name } = plan
  if (gateways.length === 0) return { add: [], remove: [] }
  const held = link === undefined ? [] : listAddresses(nl, { link })
  const add = gateways.filter(gateway => !held.some(({ address }) => address === gateway))
  const remove = held.filter(
    other => !gateways.includes(other.address) && add.some(gateway => standsAgainst(other, gateway)),
  )
  const [first] = remove
  if (first !== undefined && !forceAddress) {
    const wanted = add.find(gateway => standsAgainst(first, gateway))
    throw new TsnetError(
      'conflict',
      `"${plan.gatewayVlan?.name ?? name}" already has an IP address different from ${wanted}`,
      {
        details: `it has ${first.address}; give the network that subnet, another bridge, or set forceAddress`,
      },
    )
  }
  return { add, remove }
}

function standsAgainst({ address, scope }: Address, gateway: Cidr): boolean {
  if (familyOf(address) !== familyOf(gateway)) return false
  return familyOf(gateway) === 4 || (scope !== SCOPE_LINK && overlaps(address, gateway))
}

/** Carries out what compareGateways found. */
export function changeGateways({ nl, undo }: Side, link: LinkRef, { add, remove }: GatewayChange): void {
  for (const old of remove) {
    deleteAddress(nl, link, old)
    undo.push(`address ${old.address}`, () => addAddress(nl, link, old))
  }
  for (const address of add) {
    // Nobody else is asked: without any port there is nobody, and the first container must not wait.
    addAddress(nl, link, newAddress(address, true))
    undo.push(`address ${address}`, () => deleteAddress(nl, link, { address }))
  }
}

/** An address as `ip address add ADDRESS broadcast +` makes it. */
export function newAddress(address: Cidr, noDad: boolean): NewAddress {
  if (familyOf(address) === 6) return { address, noDad }
  return lengthOf(address) > 30 ? { address } : { address, broadcast: lastOf(address) }
}
