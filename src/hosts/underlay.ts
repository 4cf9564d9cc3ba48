/** Where this host is for the others: its address on the network beneath, and how much fits through there. */

import {
  type Cidr,
  contains,
  familyOf,
  type Ip,
  ipOf,
  isLoopback,
  tryParseIp,
} from '../model/address/address.ts'
import { isLinkLocal } from '../model/address/host.ts'
import { TsnetError } from '../model/errors.ts'
import { type Address, listAddresses } from '../netlink/address.ts'
import { RT_TABLE_MAIN } from '../netlink/constants.ts'
import { getLink } from '../netlink/link/link.ts'
import { type Netlink, openNetlink } from '../netlink/netlink.ts'
import { listRoutes } from '../netlink/route.ts'
import type { Underlay } from './carrier/carrier.ts'

const GLOBAL = 0

/**
 * The address within `wanted`; or the one by which etcd is reached; or, where etcd is on this very host, that of the
 * default route. Beside it the first one of the other family on the same interface.
 * @throws TsnetError `missing`
 */
export function findUnderlay(
  wanted: Cidr | undefined,
  toEtcd: string | undefined,
  own: readonly Cidr[],
): Underlay {
  using nl = openNetlink()
  const isUsable = ({ address, scope, tentative, dadFailed, deprecated }: Address): boolean =>
    scope === GLOBAL &&
    !tentative &&
    !dadFailed &&
    !deprecated &&
    !isLinkLocal(ipOf(address)) &&
    !own.some(subnet => familyOf(subnet) === familyOf(address) && contains(subnet, ipOf(address)))
  const all = listAddresses(nl).filter(isUsable)
  const first =
    wanted === undefined ? (reachedBy(all, toEtcd) ?? ofDefaultRoute(nl, all)) : within(all, wanted)
  if (first === undefined) {
    throw new TsnetError(
      'missing',
      wanted === undefined
        ? 'hosts: it is not clear by which address the other hosts reach this one: there is no default route'
        : `hosts.underlay: this host has no address in ${wanted}`,
      { details: 'give "underlay" of "hosts" a prefix in which each host has one address' },
    )
  }
  const family = familyOf(first.address)
  const other = all.find(({ index, address }) => index === first.index && familyOf(address) !== family)
  const addresses = [first, ...(other === undefined ? [] : [other])].map(({ address }) => ipOf(address))
  const { index, name, mtu } = getLink(nl, { index: first.index })
  return { addresses, mtu, link: name, index }
}

const within = (all: readonly Address[], wanted: Cidr): Address | undefined =>
  all.find(({ address }) => familyOf(address) === familyOf(wanted) && contains(wanted, ipOf(address)))

function reachedBy(all: readonly Address[], toEtcd: string | undefined): Address | undefined {
  const ip: Ip | undefined =
    toEtcd === undefined ? undefined : tryParseIp(toEtcd.replace(/^::ffff:(?=\d+\.)/, ''))
  return ip === undefined || isLoopback(ip) ? undefined : all.find(({ address }) => ipOf(address) === ip)
}

function ofDefaultRoute(nl: Netlink, all: readonly Address[]): Address | undefined {
  for (const family of [4, 6] as const) {
    const routes = listRoutes(nl, { family, table: RT_TABLE_MAIN, onlyDefault: true })
      .filter(({ type }) => type === 'unicast')
      .sort((a, b) => (a.priority ?? 0) - (b.priority ?? 0))
    for (const { index, preferredSource } of routes) {
      const there = all.filter(each => each.index === index && familyOf(each.address) === family)
      const found = there.find(({ address }) => ipOf(address) === preferredSource) ?? there[0]
      if (found !== undefined) return found
    }
  }
  return undefined
}

/** Addresses that are there for so long are this host's. */
const MOVED_MS = 3_000

/**
 * Addresses of this host that change: with its cable one comes and goes while the kernel looks who else has it, and the others
 * would be told of each. So they count once they have been there for a while.
 */
export class Moving {
  #to = ''
  #since = 0

  /** Whether this host has other addresses than before, and not for long: it has to be looked again. */
  isUnderWay(before: Underlay, found: Underlay, now = performance.now()): boolean {
    const to = found.addresses.join()
    if (to === before.addresses.join()) {
      this.#to = ''
      return false
    }
    if (to !== this.#to) {
      this.#to = to
      this.#since = now
    }
    return now - this.#since < MOVED_MS
  }
}
