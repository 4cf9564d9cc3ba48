/**
 * Ethernet frames, made by hand, sent and overheard.
 *
 * Source: RFC 791, 826, 768, 792, 4443, 4861, 8200; linux/if_packet.h (struct sockaddr_ll).
 */

import type { Place } from 'tsnet/lab'
import { libc, must } from '../../src/ffi/ffi.ts'
import { bytesOf, type Ip } from '../../src/model/address/address.ts'
import { getLink } from '../../src/netlink/link/link.ts'
import { openNetlink } from '../../src/netlink/netlink.ts'

const AF_PACKET = 17
const SOCK_RAW = 3
const SOCK_CLOEXEC = 0x80000
const ETH_P_ALL = 0x0003
const MSG_DONTWAIT = 0x40

export const BROADCAST = 'ff:ff:ff:ff:ff:ff'

const octets = (mac: string): number[] => mac.split(':').map(octet => Number.parseInt(octet, 16))
const be16 = (value: number): number[] => [value >> 8, value & 0xff]
const be32 = (value: number): number[] => [...be16(value >>> 16), ...be16(value & 0xffff)]
const ip = (text: string): number[] => [...bytesOf(text as Ip)]

function checksum(bytes: number[]): number[] {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return be16(~sum & 0xffff)
}

/** A frame with text at its end, by which it is known again. */
export const frame = (
  { from, to = BROADCAST }: { from: string; to?: string },
  type: number,
  payload: number[],
  mark: string,
): Uint8Array =>
  Uint8Array.from([...octets(to), ...octets(from), ...be16(type), ...payload, ...Buffer.from(mark)])

export const arp = (mac: string, address: string, operation: 1 | 2 = 2): number[] => [
  ...be16(1),
  ...be16(0x0800),
  6,
  4,
  ...be16(operation),
  ...octets(mac),
  ...ip(address),
  ...octets(BROADCAST),
  ...ip('10.1.0.1'),
]

export function ipv4(
  source: string,
  destination: string,
  protocol: number,
  payload: number[],
  room: number,
): number[] {
  const header = [
    0x45,
    0,
    ...be16(20 + payload.length + room),
    0,
    1,
    0,
    0,
    64,
    protocol,
    0,
    0,
    ...ip(source),
    ...ip(destination),
  ]
  header.splice(10, 2, ...checksum(header))
  return [...header, ...payload]
}

export const ipv6 = (
  source: string,
  destination: string,
  next: number,
  payload: number[],
  room: number,
): number[] => [
  0x60,
  0,
  0,
  0,
  ...be16(payload.length + room),
  next,
  255,
  ...ip(source),
  ...ip(destination),
  ...payload,
]

export const udp = (source: number, destination: number, room: number): number[] => [
  ...be16(source),
  ...be16(destination),
  ...be16(8 + room),
  0,
  0,
]

/** ICMP or ICMPv6 with a body; the checksum is left out, since nobody is to believe it. */
export const icmp = (type: number, body: number[]): number[] => [type, 0, 0, 0, ...body]

/** A neighbour advertisement or solicitation for an address. */
export const neighbour = (type: 135 | 136, target: string): number[] =>
  icmp(type, [...be32(type === 136 ? 0x20000000 : 0), ...ip(target)])

/** A socket for frames on an interface, and what to bind or send to. */
function packetSocket(ifname: string): { fd: number; address: Uint8Array } {
  using nl = openNetlink()
  const { index } = getLink(nl, { name: ifname })
  const fd = must('socket', libc.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, be16swapped(ETH_P_ALL)))
  const address = new Uint8Array(20)
  const view = new DataView(address.buffer)
  view.setUint16(0, AF_PACKET, true)
  view.setUint16(2, ETH_P_ALL)
  view.setInt32(4, index, true)
  must('bind', libc.bind(fd, address, address.length))
  return { fd, address }
}

const be16swapped = (value: number): number => ((value & 0xff) << 8) | (value >> 8)

export function sendFrame(place: Place, ifname: string, bytes: Uint8Array): void {
  place.inside(() => {
    const { fd } = packetSocket(ifname)
    must('send', libc.send(fd, bytes, bytes.length, 0))
    libc.close(fd)
  })
}

/** Everything that comes by an interface. */
export class Ear implements Disposable {
  readonly #fd: number
  #heard = ''

  constructor(place: Place, ifname: string) {
    this.#fd = place.inside(() => packetSocket(ifname).fd)
  }

  /** Whether a frame with this text came by. */
  heard(mark: string): boolean {
    const buffer = new Uint8Array(2048)
    for (;;) {
      const length = libc.recv(this.#fd, buffer, buffer.length, MSG_DONTWAIT)
      if (length < 0) return this.#heard.includes(mark)
      this.#heard += Buffer.from(buffer.subarray(0, length)).toString('latin1')
    }
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd)
  }
}
