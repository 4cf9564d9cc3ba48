/**
 * Neighbours: which link-layer address an IP address has (ARP, NDP), and behind which port of a bridge or
 * which end of a VXLAN a link-layer address lives (fdb).
 *
 * Source: linux/neighbour.h (struct ndmsg, enum NDA_*).
 */

import { type Family, familyOf, type Ip } from '../model/address/address.ts'
import { present } from '../model/present.ts'
import { attributes, payload } from './attributes.ts'
import { addressFamily, be16, ip, mac, s32, struct, u8, u16, u32 } from './codecs.ts'
import { command } from './command.ts'
import * as k from './constants.ts'
import { type LinkRef, nameOf } from './link/link.ts'
import type { Message } from './message.ts'
import type { Netlink, Request } from './netlink.ts'

export const neighbourMessage = payload(
  struct(12, {
    family: [0, u8],
    index: [4, s32],
    state: [8, u16],
    flags: [10, u8],
    type: [11, u8],
  }),
  attributes({
    destination: [1, ip],
    mac: [2, mac],
    vlan: [5, u16],
    port: [6, be16],
    vni: [7, u32],
    index: [8, u32],
    master: [9, u32],
  }),
)

/** NUD_*: bit n is the n-th. */
const states = ['incomplete', 'reachable', 'stale', 'delay', 'probe', 'failed', 'noarp', 'permanent'] as const
export type NeighbourState = (typeof states)[number] | 'none'

const stateOf = (bits: number): NeighbourState => states[Math.log2(bits)] ?? 'none'
const bitsOf = (state: NeighbourState): number => (state === 'none' ? 0 : 1 << states.indexOf(state))

/** Who has an IP address. */
export interface Neighbour {
  ip: Ip
  /** The link it is on. */
  index: number
  /** Absent while nobody answered. */
  mac?: string
  state: NeighbourState
  router: boolean
  /** We answer for it. */
  proxy: boolean
}

/** undefined for an entry that is about no IP address. @throws MalformedError */
export function readNeighbour({ payload }: Pick<Message, 'payload'>): Neighbour | undefined {
  const { header, attributes: a } = neighbourMessage.decode(payload)
  if (a.destination === undefined || addressFamily(familyOf(a.destination)) !== header.family)
    return undefined
  return present({
    ip: a.destination,
    index: header.index,
    mac: a.mac,
    state: stateOf(header.state),
    router: (header.flags & k.NTF_ROUTER) !== 0,
    proxy: (header.flags & k.NTF_PROXY) !== 0,
  })
}

/**
 * The neighbours on one link or all.
 * Equivalent to: ip [-4|-6] neighbour show nud all [dev NAME]
 */
export function listNeighbours(nl: Netlink, filter: { family?: Family; link?: LinkRef } = {}): Neighbour[] {
  const { family, link } = filter
  const messages = nl.dump({
    equivalent: () =>
      command(`ip${family ? ` -${family}` : ''} neighbour show nud all`, link && ['dev', nameOf(link)]),
    type: k.RTM_GETNEIGH,
    payload: [
      neighbourMessage.encode({
        header: { family: addressFamily(family) },
        attributes: { index: link?.index },
      }),
    ],
  })
  return messages
    .map(readNeighbour)
    .filter(entry => entry !== undefined)
    .filter(({ index }) => (link?.index ?? index) === index)
}

/** A neighbour to be told to the kernel. */
export interface NewNeighbour {
  ip: Ip
  mac: string
  /** Default: permanent. */
  state?: NeighbourState
}

/**
 * Tells who has an address. @throws NetlinkError `EEXIST`
 * Equivalent to: ip neighbour add IP lladdr MAC dev NAME nud permanent
 */
export const addNeighbour = (nl: Netlink, link: LinkRef, neighbour: NewNeighbour): void =>
  nl.change(neighbourRequest('add', link, neighbour))

/**
 * Tells who has an address, whatever was known before.
 * Equivalent to: ip neighbour replace IP lladdr MAC dev NAME nud permanent
 */
export const replaceNeighbour = (nl: Netlink, link: LinkRef, neighbour: NewNeighbour): void =>
  nl.change(neighbourRequest('replace', link, neighbour))

/**
 * Forgets who has an address. @throws NetlinkError `ENOENT`
 * Equivalent to: ip neighbour delete IP dev NAME
 */
export const deleteNeighbour = (nl: Netlink, link: LinkRef, neighbour: { ip: Ip }): void =>
  nl.change(neighbourRequest('delete', link, neighbour))

/** What each verb of `ip` asks for. */
const verbFlags = { add: k.NLM_F_CREATE | k.NLM_F_EXCL, replace: k.NLM_F_CREATE | k.NLM_F_REPLACE, delete: 0 }

/** One of the changes above as a value, for those who ask for many at once. */
export function neighbourRequest(
  verb: keyof typeof verbFlags,
  link: LinkRef,
  neighbour: { ip: Ip; mac?: string; state?: NeighbourState },
): Request {
  const { ip, mac, state = 'permanent' } = neighbour
  const deleting = verb === 'delete'
  return {
    equivalent: () =>
      command(
        `ip neighbour ${verb}`,
        ip,
        ['lladdr', mac],
        ['dev', nameOf(link)],
        !deleting && ['nud', state],
      ),
    type: deleting ? k.RTM_DELNEIGH : k.RTM_NEWNEIGH,
    flags: verbFlags[verb],
    payload: [
      neighbourMessage.encode({
        header: {
          family: addressFamily(familyOf(ip)),
          index: link.index,
          state: deleting ? 0 : bitsOf(state),
        },
        attributes: { destination: ip, mac },
      }),
    ],
  }
}
