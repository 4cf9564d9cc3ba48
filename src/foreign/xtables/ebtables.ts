/**
 * Matches that ebtables puts into rules of nf_tables, each with a struct of its own; a rule that asks for a header tests
 * the protocol of the frame before.
 *
 * Source: linux/netfilter_bridge/ebt_ip.h, ebt_ip6.h, ebt_mark_m.h; net/bridge/netfilter/ebt_*.c.
 */

import type { Test } from '../rule.ts'
import { among, be16, given, hasBits, masked, one, open, type Reader, sourceOf } from './parts.ts'
import type { Struct } from './struct.ts'

/** What is asked for, and of that what must not be; the same for both families. */
const ASKS = {
  source: 1,
  destination: 2,
  class: 4,
  protocol: 8,
  sourcePort: 16,
  destinationPort: 32,
} as const
/** Types of ICMP and IGMP, which nothing that is published is. */
const TYPES = 64 | 128

interface Header {
  /** In bytes: of an address, and where both stand in the header. */
  length: number
  source: number
  destination: number
  /** Where the header names what is in it. */
  protocol: number
  class: { at: number } | 'open'
}

const V4: Header = { length: 4, source: 12, destination: 16, protocol: 9, class: { at: 1 } }
const V6: Header = { length: 16, source: 8, destination: 24, protocol: 6, class: 'open' }

/** Both addresses, both masks, class, protocol, what is asked for and inverted, and from a to b of both ports. */
const headerReader =
  (header: Header): Reader =>
  info => {
    const { length } = header
    const at = 4 * length
    const [asked, inverted] = [info.u8(at + 2), info.u8(at + 3)]
    const tests: Test[] = []
    const ask = (bit: number, test: (not: boolean) => Test): void => {
      if (asked & bit) tests.push(test((inverted & bit) !== 0))
    }
    const address = (offset: number, place: number) => (not: boolean) => {
      const part = { ...sourceOf('network', length, offset), mask: info.bytes(2 * length + place, length) }
      return among(part, [one(info.bytes(place, length))], not)
    }
    ask(ASKS.source, address(header.source, 0))
    ask(ASKS.destination, address(header.destination, length))
    ask(ASKS.class, not =>
      header.class === 'open'
        ? open('ip6 --ip6-tclass')
        : among(sourceOf('network', 1, header.class.at), [one(info.bytes(at, 1))], not),
    )
    ask(ASKS.protocol, not =>
      among(sourceOf('network', 1, header.protocol), [one(info.bytes(at + 1, 1))], not),
    )
    ask(ASKS.sourcePort, not => among(sourceOf('transport', 2, 0), [portsAt(info, at + 4)], not))
    ask(ASKS.destinationPort, not => among(sourceOf('transport', 2, 2), [portsAt(info, at + 8)], not))
    if (asked & TYPES) tests.push(given(false, 'icmp'))
    return tests
  }

const portsAt = (info: Struct, at: number) => ({ from: be16(info.u16(at)), to: be16(info.u16(at + 2)) })

const MARK_OR = 2

/** A mark and a mask of 64 bits each, of which the kernel compares 32; inverted; which way. */
const mark: Reader = info => {
  const not = info.u8(16) !== 0
  const [value, mask] = [info.u32(0), info.u32(8)]
  return [info.u8(17) & MARK_OR ? hasBits('meta mark', mask, not) : masked('meta mark', value, mask, not)]
}

/** In frames that are no IP. */
const never =
  (name: string): Reader =>
  () => [given(false, name)]

export const ebtablesReaders: Record<string, Reader> = {
  ip: headerReader(V4),
  ip6: headerReader(V6),
  mark_m: mark,
  arp: never('arp'),
  vlan: never('vlan'),
  stp: never('stp'),
  '802_3': never('802_3'),
}
