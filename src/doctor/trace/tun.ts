/**
 * A packet that arrives: written to a tun device, it comes to the rules as from the wire. The device is gone when its
 * descriptor is, whatever ends this process.
 *
 * Source: linux/if_tun.h; RFC 791, 8200, 9293, 768.
 */

import { closeSync, openSync, writeSync } from 'node:fs'
import { addressOf, libc, must } from '../../ffi/ffi.ts'
import type { Endpoint } from '../../ffi/sockaddr.ts'
import { bytesOf, type Cidr, familyOf, type Ip } from '../../model/address/address.ts'
import { hasCode, TsnetError } from '../../model/errors.ts'
import { addAddress } from '../../netlink/address.ts'
import { changeLink, getLink } from '../../netlink/link/link.ts'
import { openNetlink } from '../../netlink/netlink.ts'
import { writeSysctl } from '../../netns/sysctl.ts'
import type { Sender } from './packet.ts'

const TUNSETIFF = 0x400454ca
const IFF_TUN = 0x0001
const IFF_NO_PI = 0x1000
const NAME = 'tsnet-trace'

/** Loose: what the stranger would come by is another interface. */
const LOOSE = '2'

/** The address of hosts that have none, RFC 7600. */
const DUMMY = '192.0.0.8/32' as Cidr

/** A port that clients' systems choose. */
const FIRST_PORT = 49_152
const PORTS = 16_384

/** @throws TsnetError `missing`: this kernel has no tun */
export function strangerSender(protocol: 'tcp' | 'udp', from: Ip, to: Endpoint): Sender {
  const fd = openTun()
  try {
    using nl = openNetlink()
    writeSysctl(`net/ipv4/conf/${NAME}/rp_filter`, LOOSE)
    const link = getLink(nl, { name: NAME })
    // To an interface without any address nobody is let who would be answered by another one.
    if (familyOf(from) === 4) addAddress(nl, link, { address: DUMMY, noPrefixRoute: true })
    changeLink(nl, link, { up: true })
    const sourcePort = FIRST_PORT + Math.floor(Math.random() * PORTS)
    const packet = packetOf(protocol, { ip: from, port: sourcePort }, to)
    return {
      description: `${protocol} from ${from} port ${sourcePort} to ${to.ip} port ${to.port}, as it would arrive (by ${NAME}: rules that name another interface do not see it, and answers go to ${from})`,
      family: familyOf(from),
      to,
      sourcePort,
      send: () => void writeSync(fd, packet),
      // The answer goes to whom the packet was said to be from.
      outcome: () => 'silent',
      [Symbol.dispose]: () => closeSync(fd),
    }
  } catch (thrown) {
    closeSync(fd)
    throw thrown
  }
}

function openTun(): number {
  let fd: number
  try {
    fd = openSync('/dev/net/tun', 'r+')
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT', 'ENODEV', 'ENXIO', 'EPERM', 'EACCES')) throw cause
    const message =
      '--from: this kernel has no tun device, so nobody can be played who is neither this host nor a container'
    throw new TsnetError('missing', message, {
      details: 'modprobe tun; or send from an address of this host',
      cause,
    })
  }
  try {
    const request = new Uint8Array(40) // struct ifreq
    request.set(Buffer.from(NAME))
    new DataView(request.buffer).setInt16(16, IFF_TUN | IFF_NO_PI, true)
    must('ioctl', libc.ioctl(fd, TUNSETIFF, Number(addressOf(request))))
    return fd
  } catch (thrown) {
    closeSync(fd)
    throw thrown
  }
}

const NUMBERS = { tcp: 6, udp: 17 } as const
const HOPS = 64
const SYN = 0x02

/** A SYN, or a datagram without content. */
export function packetOf(protocol: 'tcp' | 'udp', from: Endpoint, to: Endpoint): Uint8Array {
  const transport = protocol === 'tcp' ? segment(from.port, to.port) : datagram(from.port, to.port)
  const [source, destination] = [bytesOf(from.ip), bytesOf(to.ip)]
  const pseudo = new Uint8Array([...source, ...destination, 0, NUMBERS[protocol], 0, transport.length])
  const sum = checksum(pseudo, transport)
  new DataView(transport.buffer).setUint16(protocol === 'tcp' ? 16 : 6, sum || 0xffff)
  return familyOf(from.ip) === 4
    ? packet4(NUMBERS[protocol], source, destination, transport)
    : packet6(NUMBERS[protocol], source, destination, transport)
}

function segment(from: number, to: number): Uint8Array {
  const bytes = new Uint8Array(20)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, from)
  view.setUint16(2, to)
  view.setUint32(4, Math.floor(Math.random() * 0xffffffff))
  view.setUint8(12, (bytes.length / 4) << 4)
  view.setUint8(13, SYN)
  view.setUint16(14, 0xffff)
  return bytes
}

function datagram(from: number, to: number): Uint8Array {
  const bytes = new Uint8Array(8)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, from)
  view.setUint16(2, to)
  view.setUint16(4, bytes.length)
  return bytes
}

function packet4(
  protocol: number,
  source: Uint8Array,
  destination: Uint8Array,
  transport: Uint8Array,
): Uint8Array {
  const header = new Uint8Array(20)
  const view = new DataView(header.buffer)
  view.setUint8(0, 0x45)
  view.setUint16(2, header.length + transport.length)
  view.setUint8(8, HOPS)
  view.setUint8(9, protocol)
  header.set(source, 12)
  header.set(destination, 16)
  view.setUint16(10, checksum(header))
  return new Uint8Array([...header, ...transport])
}

function packet6(
  protocol: number,
  source: Uint8Array,
  destination: Uint8Array,
  transport: Uint8Array,
): Uint8Array {
  const header = new Uint8Array(40)
  const view = new DataView(header.buffer)
  view.setUint8(0, 0x60)
  view.setUint16(4, transport.length)
  view.setUint8(6, protocol)
  view.setUint8(7, HOPS)
  header.set(source, 8)
  header.set(destination, 24)
  return new Uint8Array([...header, ...transport])
}

/** RFC 1071, of parts of an even length each. */
function checksum(...parts: Uint8Array[]): number {
  let sum = 0
  for (const part of parts)
    for (let at = 0; at < part.length; at += 2) sum += ((part[at] ?? 0) << 8) | (part[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
