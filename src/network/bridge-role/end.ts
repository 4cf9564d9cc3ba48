/**
 * How an attachment ends that was made in the role `bridge`, or by the reference's plugin itself.
 *
 *     traffic off ─┬─▶ masquerade → spoof guard → conntrack ─┬─▶ addresses
 *                  └─▶ link ─────────────────────────────────┘
 *
 * Of what the reference made there is no record. It is found by what the caller still has: the names of
 * rules follow from the key, the link is in the namespace, or its host end is in prevResult, the addresses
 * are on the link, in prevResult, and in host-local's files. What is missing of these is done without.
 */

import { disconnect, silence } from '../../bridge/bridge.ts'
import { giveBack, heldLeases } from '../../ipam/ipam.ts'
import { type Cidr, cidrOf, familyOf, type Ip, ipOf } from '../../model/address/address.ts'
import { type AttachmentKey, type IpamOptions, ownerTag, type Undertaking } from '../../model/network.ts'
import { sideBySide } from '../../model/side-by-side.ts'
import { everyStep } from '../../model/undo.ts'
import { flushConntrack, withdrawMacGuard, withdrawMasquerade } from '../../nat/nat.ts'
import { listAddresses } from '../../netlink/address.ts'
import { unlessGone } from '../../netlink/link/delete.ts'
import { deleteLink, findLink, type LinkRef } from '../../netlink/link/link.ts'
import { openNetlink } from '../../netlink/netlink.ts'
import { inside, type Netns } from '../../netns/netns.ts'
import type { Context } from '../context.ts'

/** What a caller knows of an attachment that the reference may have made. */
export interface Foreign {
  /** Interfaces of the host that prevResult names. */
  hostInterfaces: { name: string; mac: string }[]
  /** Addresses of the container's interface that prevResult names. */
  addresses: Cidr[]
}

/** Takes down what a record speaks of. @throws the error, or an AggregateError, after having tried all */
export async function takeDownDropIn(undertaking: Undertaking, { trace }: Context = {}): Promise<void> {
  const { leases, ipam, dropIn, macspoofchk, netns } = undertaking
  const owner = ownerTag(undertaking)
  const addresses = leases.map(({ address }) => address)
  const masquerade = dropIn?.masquerade
  await everyStep([
    () => silence(owner, trace),
    () =>
      sideBySide(
        () => disconnect({ owner }, trace),
        () =>
          everyStep([
            async () => masquerade && (await withdrawMasquerade(undertaking, addresses, masquerade)),
            async () => macspoofchk && (await withdrawMacGuard(undertaking)),
            () => flushConntrack(stillHeld(undertaking), []),
          ]),
      ),
  ])
  await giveBack(ipam, undertaking, netns.path)
}

/** Without those that host-local gave to somebody else meanwhile: their connections are not ours to end. */
function stillHeld({ leases, ipam, ...key }: Undertaking): Ip[] {
  const ips = leases.map(({ address }) => ipOf(address))
  if (ipam.kind !== 'host-local') return ips
  const held = heldLeases(ipam, key)
  return ips.filter(ip => held.includes(ip))
}

/**
 * Takes down what the reference made for a key, and what we did if its record is lost. Idempotent.
 * @param netns the container's namespace, if it is there
 */
export async function takeDownForeign(
  key: AttachmentKey,
  ipam: IpamOptions | undefined,
  netns: Netns | undefined,
  foreign: Foreign = { hostInterfaces: [], addresses: [] },
  { trace }: Context = {},
): Promise<void> {
  const owner = ownerTag(key)
  const leases = ipam === undefined ? [] : heldLeases(ipam, key).map(whole)
  const addresses = [...foreign.addresses, ...leases, ...(netns === undefined ? [] : addressesIn(netns, key))]
  await everyStep([
    () => silence(owner, trace),
    () => withdrawMasquerade(key, addresses.length > 0 ? addresses : undefined),
    () => disconnect({ owner }, trace),
    () => (netns === undefined ? undefined : deleteInside(netns, key.ifname)),
    () => deleteHostEnds(foreign.hostInterfaces),
    () => withdrawMacGuard(key),
    () => flushConntrack(addresses.map(ipOf), []),
  ])
  if (ipam !== undefined) await giveBack(ipam, key, netns?.path)
}

const whole = (ip: Ip): Cidr => cidrOf(ip, familyOf(ip) === 4 ? 32 : 128)

/** True when the container has a link of a pair by this name. */
export const hasPair = (netns: Netns, name: string): boolean => findPair(netns, name) !== undefined

const findPair = (netns: Netns, name: string): Required<LinkRef> | undefined =>
  inside(netns, () => {
    using nl = openNetlink()
    const link = findLink(nl, { name })
    return link?.kind === 'veth' ? { index: link.index, name } : undefined
  })

/** RT_SCOPE_LINK: the kernel's own addresses. */
const SCOPE_LINK = 253

function addressesIn(netns: Netns, { ifname }: AttachmentKey): Cidr[] {
  const link = findPair(netns, ifname)
  if (link === undefined) return []
  return inside(netns, () => {
    using nl = openNetlink()
    const own = listAddresses(nl, { link }).filter(({ scope }) => scope !== SCOPE_LINK)
    return own.map(({ address }) => address)
  })
}

function deleteInside(netns: Netns, name: string): void {
  const link = findPair(netns, name)
  if (link === undefined) return
  inside(netns, () => {
    using nl = openNetlink()
    unlessGone(() => deleteLink(nl, link))
  })
}

/** Where the namespace cannot be reached any more. Name and MAC are random, so both together prove it. */
function deleteHostEnds(ends: Foreign['hostInterfaces']): void {
  using nl = openNetlink()
  for (const { name, mac } of ends) {
    const link = findLink(nl, { name })
    if (link?.kind === 'veth' && link.mac === mac.toLowerCase() && link.masterIndex !== undefined) {
      unlessGone(() => deleteLink(nl, link))
    }
  }
}
