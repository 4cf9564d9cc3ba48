/**
 * Addresses of links.
 *
 * Source: linux/if_addr.h (struct ifaddrmsg, enum IFA_*).
 */

import {
  type Cidr,
  cidrOf,
  type Family,
  familyOf,
  type Ip,
  ipOf,
  lengthOf,
} from '../model/address/address.ts'
import { present } from '../model/present.ts'
import { attributes, payload } from './attributes.ts'
import { addressFamily, ip, MalformedError, struct, u8, u32, zstr } from './codecs.ts'
import { command } from './command.ts'
import * as k from './constants.ts'
import { type LinkRef, nameOf } from './link/link.ts'
import type { Message } from './message.ts'
import type { Netlink, Request } from './netlink.ts'

export const addressMessage = payload(
  struct(8, {
    family: [0, u8],
    prefixLength: [1, u8],
    flags: [2, u8],
    scope: [3, u8],
    index: [4, u32],
  }),
  attributes({
    address: [1, ip], // the peer's, where there is one
    local: [2, ip], // our own; IPv6 leaves it out unless there is a peer
    label: [3, zstr],
    broadcast: [4, ip],
    flags: [8, u32], // more of them than the header has room for
    priority: [9, u32], // metric of the prefix route
  }),
)

/** An address on a link. What is optional and absent is not so, or not there. */
export interface Address {
  /** Our own address; with a peer the length is that of the peer's prefix. */
  address: Cidr
  /** The link it is on. */
  index: number
  /** The other end of a point-to-point link. */
  peer?: Ip
  broadcast?: Ip
  /** IPv4: the link's name, or that and `:something`. */
  label?: string
  /** 0 global, 253 link, 254 host. */
  scope: number
  /** Has no lifetime. */
  permanent: boolean
  /** IPv6: nobody is asked whether the address is taken. */
  noDad: boolean
  /** No route to the prefix comes with it. */
  noPrefixRoute: boolean
  /** IPv6: not usable yet, duplicate address detection is running. */
  tentative: boolean
  /** IPv6: somebody else has it. */
  dadFailed: boolean
  deprecated: boolean
  /** IPv4: another address of the same subnet came first. */
  secondary: boolean
}

/** An address to be added. */
export interface NewAddress {
  address: Cidr
  peer?: Ip
  broadcast?: Ip
  label?: string
  scope?: number
  noDad?: boolean
  noPrefixRoute?: boolean
  /** Metric of the prefix route. */
  priority?: number
}

/** @throws MalformedError */
export function readAddress({ payload }: Pick<Message, 'payload'>): Address {
  const { header, attributes: a } = addressMessage.decode(payload)
  const own = a.local ?? a.address
  if (own === undefined) throw new MalformedError('an address message without address')
  const flags = a.flags ?? header.flags
  const has = (bit: number): boolean => (flags & bit) !== 0
  return present({
    address: cidrOf(own, header.prefixLength),
    index: header.index,
    peer: a.address === own ? undefined : a.address,
    broadcast: a.broadcast,
    label: a.label,
    scope: header.scope,
    permanent: has(k.IFA_F_PERMANENT),
    noDad: has(k.IFA_F_NODAD),
    noPrefixRoute: has(k.IFA_F_NOPREFIXROUTE),
    tentative: has(k.IFA_F_TENTATIVE),
    dadFailed: has(k.IFA_F_DADFAILED),
    deprecated: has(k.IFA_F_DEPRECATED),
    secondary: familyOf(own) === 4 && has(k.IFA_F_SECONDARY),
  })
}

/**
 * The addresses of one link or of all.
 * Equivalent to: ip [-4|-6] address show [dev NAME]
 * @throws NetlinkError `ENODEV` when the link does not exist
 */
export function listAddresses(nl: Netlink, filter: { link?: LinkRef; family?: Family } = {}): Address[] {
  const { link, family } = filter
  const messages = nl.dump({
    equivalent: () => command(`ip${family ? ` -${family}` : ''} address show`, link && ['dev', nameOf(link)]),
    type: k.RTM_GETADDR,
    payload: [
      addressMessage.encode({
        header: { family: addressFamily(family), ...(link && { index: link.index }) },
        attributes: {},
      }),
    ],
  })
  return messages.map(readAddress).filter(({ index }) => (link?.index ?? index) === index)
}

/**
 * Adds an address.
 * Equivalent to: ip address add ADDRESS dev NAME …
 * @throws NetlinkError `EEXIST`; `EACCES` for IPv6 on a link where it is disabled
 */
export const addAddress = (nl: Netlink, link: LinkRef, address: NewAddress): void =>
  nl.change({ ...request('add', link, address), flags: k.NLM_F_CREATE | k.NLM_F_EXCL })

/**
 * Adds an address, or gives the one that is there these flags.
 * Equivalent to: ip address replace ADDRESS dev NAME …
 */
export const replaceAddress = (nl: Netlink, link: LinkRef, address: NewAddress): void =>
  nl.change({ ...request('replace', link, address), flags: k.NLM_F_CREATE | k.NLM_F_REPLACE })

/**
 * Deletes an address. @throws NetlinkError `EADDRNOTAVAIL`
 * Equivalent to: ip address delete ADDRESS dev NAME
 */
export const deleteAddress = (
  nl: Netlink,
  link: LinkRef,
  address: Pick<NewAddress, 'address' | 'peer'>,
): void => nl.change(request('delete', link, address))

function request(verb: 'add' | 'replace' | 'delete', link: LinkRef, wanted: NewAddress): Request {
  const { address, peer, broadcast, label, scope, noDad, noPrefixRoute, priority } = wanted
  const flags = (noDad ? k.IFA_F_NODAD : 0) | (noPrefixRoute ? k.IFA_F_NOPREFIXROUTE : 0)
  const own = ipOf(address)
  return {
    equivalent: () =>
      command(
        `ip address ${verb}`,
        ...(peer === undefined ? [address] : [own, ['peer', cidrOf(peer, lengthOf(address))]]),
        ['broadcast', broadcast],
        ['dev', nameOf(link)],
        ['label', label],
        ['scope', scope],
        ['metric', priority],
        noDad && 'nodad',
        noPrefixRoute && 'noprefixroute',
      ),
    type: verb === 'delete' ? k.RTM_DELADDR : k.RTM_NEWADDR,
    payload: [
      addressMessage.encode({
        header: {
          family: addressFamily(familyOf(own)),
          prefixLength: lengthOf(address),
          scope: scope ?? k.RT_SCOPE_UNIVERSE,
          index: link.index,
        },
        attributes: {
          address: peer ?? own,
          local: own,
          label,
          broadcast,
          flags: verb === 'delete' ? undefined : flags,
          priority,
        },
      }),
    ],
  }
}
