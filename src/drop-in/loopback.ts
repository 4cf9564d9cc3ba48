/** The loopback interface of a container: up while it is attached, and checked for what it must not have. */

import { type Cidr, ipOf, isLoopback } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import { listAddresses } from '../netlink/address.ts'
import { changeLink, getLink } from '../netlink/link/link.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { openContainer, refuseOwn } from '../netns/container.ts'
import { inside, type Netns, tryOpenNetns } from '../netns/netns.ts'
import type { Context } from '../network/context.ts'

const LOOPBACK = { name: 'lo' }

/**
 * Brings the loopback interface up.
 * @returns its addresses: the first of IPv4, then the first of IPv6
 * @throws TsnetError `invalid-netns`; `conflict` when it has an address of another kind
 */
export function attachLoopback(path: string, { trace, allowOwnNetns }: Context = {}): Cidr[] {
  using netns = openContainer(path, allowOwnNetns)
  return inside(netns, () => {
    using nl = openNetlink(trace)
    const link = getLink(nl, LOOPBACK)
    refuseForeign(listAddresses(nl, { link }).map(({ address }) => address))
    if (!link.up) changeLink(nl, link, { up: true })
    return ([4, 6] as const).flatMap(family => {
      const [first] = listAddresses(nl, { link, family })
      return first === undefined ? [] : [first.address]
    })
  })
}

function refuseForeign(addresses: Cidr[]): void {
  const foreign = addresses.find(address => !isLoopback(ipOf(address)))
  if (foreign === undefined) return
  throw new TsnetError(
    'conflict',
    `loopback interface found with non-loopback address ${shown(ipOf(foreign))}; nothing was changed`,
  )
}

/**
 * Takes the loopback interface down. Idempotent; nothing happens where the namespace is gone.
 * @throws TsnetError `invalid-netns` for our own namespace
 */
export function detachLoopback(path: string, { trace, allowOwnNetns }: Context = {}): void {
  using netns = tryOpenNetns(path)
  if (netns === undefined) return
  if (!allowOwnNetns) refuseOwn(netns, '; its loopback interface stays up')
  inside(netns, () => {
    using nl = openNetlink(trace)
    const link = getLink(nl, LOOPBACK)
    if (link.up) changeLink(nl, link, { up: false })
  })
}

/** @throws TsnetError `mismatch` when the loopback interface is down */
export function checkLoopback(path: string, { allowOwnNetns }: Context = {}): void {
  using netns = openContainer(path, allowOwnNetns)
  if (!isUp(netns)) throw new TsnetError('mismatch', 'loopback interface is down')
}

const isUp = (netns: Netns): boolean =>
  inside(netns, () => {
    using nl = openNetlink()
    return getLink(nl, LOOPBACK).up
  })
