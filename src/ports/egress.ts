/**
 * Leaving under an address of choice, such as one that a firewall elsewhere knows.
 *
 * The host has to have it, or no answer would come back. What leaves keeps it when it goes from the host later: answers
 * are missing then, rather than that another address shows.
 */

import type { Ip } from '../model/address/address.ts'
import { ipOf } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import type { Network } from '../model/network.ts'
import { listAddresses } from '../netlink/address.ts'
import { openNetlink } from '../netlink/netlink.ts'

/** Those of these addresses that the host does not have. */
export function notHere(addresses: readonly Ip[]): Ip[] {
  if (addresses.length === 0) return []
  using nl = openNetlink()
  const here = new Set(listAddresses(nl).flatMap(each => (each.dadFailed ? [] : [ipOf(each.address)])))
  return addresses.filter(address => !here.has(address))
}

/** @throws TsnetError `missing` */
export function checkEgress({ egress }: Pick<Network, 'egress'>): void {
  // With a host of choice it is that host's to have.
  if (egress === undefined || egress.hosts.length > 0) return
  const [address] = notHere(egress.addresses)
  if (address === undefined) return
  throw new TsnetError(
    'missing',
    `egress: this host has no address ${address}, so no answer would reach it`,
    {
      details: 'give it to an interface that others reach, or choose one of those that `ip address` shows',
    },
  )
}

/** In words, for CHECK. */
export const lostAddresses = (leaveAs: readonly Ip[] = []): string[] =>
  notHere(leaveAs).map(
    address => `the host has no address ${address} any more, under which the network leaves`,
  )
