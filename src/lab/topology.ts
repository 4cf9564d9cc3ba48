/**
 * The places of a world as they are wired now, read from the kernel.
 *
 * A veth end knows its peer's index, and of the peer's namespace the number that its own namespace has
 * given to it; so each place is asked for the numbers of all others.
 */

import { listAddresses } from '../netlink/address.ts'
import { type Link, listLinks } from '../netlink/link/link.ts'
import { netnsNumber } from '../netlink/namespace.ts'
import { sameNamespace } from '../netns/netns.ts'
import type { Pictured, PicturedLink } from './draw.ts'
import { converse } from './links.ts'
import type { Place } from './place.ts'

interface Seen {
  place: Place
  links: Link[]
  addresses: Map<number, string[]>
  /** The places, by the number that this one has for them. */
  numbers: Map<number, Place>
}

function look(place: Place, all: readonly Place[]): Seen {
  return converse(place.netns, nl => {
    const addresses = new Map<number, string[]>()
    for (const { index, address, scope } of listAddresses(nl)) {
      if (scope === 0) addresses.set(index, [...(addresses.get(index) ?? []), address])
    }
    const others = all.filter(other => !sameNamespace(other.netns.id, place.netns.id))
    const numbers = new Map(others.map(other => [netnsNumber(nl, other.netns.fd), other]))
    numbers.delete(-1)
    return { place, links: listLinks(nl).filter(link => link.name !== 'lo'), addresses, numbers }
  })
}

/** The places with their links, addresses and wires. */
export function topologyOf(places: readonly Place[]): Pictured[] {
  const seen = places.map(place => look(place, places))
  const picture = (here: Seen, link: Link): PicturedLink => {
    const { name, kind, masterIndex, peerIndex, peerNetnsId } = link
    const place = peerNetnsId === undefined ? here.place : here.numbers.get(peerNetnsId)
    const there = seen.find(other => other.place === place)
    const peer = kind === 'veth' ? there?.links.find(({ index }) => index === peerIndex) : undefined
    const master = here.links.find(({ index }) => index === masterIndex)
    return {
      name,
      addresses: here.addresses.get(link.index) ?? [],
      ...(kind && { kind }),
      ...(master && { master: master.name }),
      ...(peer && there && { peer: { place: there.place.name, link: peer.name } }),
    }
  }
  return seen.map(here => ({
    name: here.place.name,
    links: here.links.map(link => picture(here, link)),
  }))
}
