/**
 * Sockets of TCP, as the kernel lists and ends them. /proc/net/tcp tells the same, and looks into every slot of the table of
 * all connections of the machine for it.
 *
 * Source: linux/sock_diag.h, linux/inet_diag.h (struct inet_diag_req_v2, inet_diag_msg, inet_diag_bc_op and
 * inet_diag_hostcond).
 */

import { IPPROTO_TCP } from '../ffi/socket.ts'
import { bitsOf, bytesOf, type Family, familyOf, type Ip, ipFromBytes } from '../model/address/address.ts'
import { hasCode } from '../model/errors.ts'
import { attributes, nested, payload, repeated } from './attributes.ts'
import { addressFamily, be16, binary, type Struct, s32, struct, u8, u16, u32, u64 } from './codecs.ts'
import { command } from './command.ts'
import type { Netlink } from './netlink.ts'

const SOCK_DIAG_BY_FAMILY = 20
const SOCK_DESTROY = 21

/** Bits of TCP's states (net/tcp_states.h) in which there is, or shall be, a peer that something can still be sent to. */
const CONNECTED = [1, 2, 3, 4, 5, 8, 9, 11].reduce((bits, state) => bits | (1 << state), 0)

const LISTENING = 1 << 10

const INET_DIAG_BC_D_COND = 8
const COND_SIZE = 12
const ANY_PORT = -1

const address = struct(16, { bytes: [0, binary] })

/** struct inet_diag_sockid, as it stands in either message */
const socketId = struct(48, {
  sourcePort: [0, be16],
  destinationPort: [2, be16],
  source: [4, address],
  destination: [20, address],
  index: [36, u32],
  cookie: [40, u64],
})

const request = payload(
  struct(56, { family: [0, u8], protocol: [1, u8], states: [4, u32], id: [8, socketId] }),
  attributes({
    bytecode: [1, binary],
    storages: [2, nested(attributes({ mapFd: [1, u32] }))], // INET_DIAG_REQ_SK_BPF_STORAGES
  }),
)

const storage = attributes({ mapId: [2, u32], value: [3, binary] })

const socketMessage = payload(
  struct(72, { family: [0, u8], state: [1, u8], id: [4, socketId], uid: [64, u32], inode: [68, u32] }),
  attributes({
    storages: [20, nested(attributes({ each: [1, repeated(nested(storage))] }))], // INET_DIAG_SK_BPF_STORAGES
  }),
)

const condition = struct(COND_SIZE, {
  code: [0, u8],
  yes: [1, u8],
  no: [2, u16],
  family: [4, u8],
  prefixLength: [5, u8],
  port: [8, s32],
})

/** A connection, seen from this host. */
export interface TcpSocket {
  /** Of the socket, which may lead to IPv4 all the same. */
  family: Family
  destinationPort: number
  /** What names it to the kernel. */
  id: Struct<(typeof socketId)['fields']>
  /** What it has in the map that was asked for. */
  stored?: Uint8Array
}

/**
 * The connections of this namespace to an address, also those that are only beginning.
 * @param mapFd a map of sockets (BPF_MAP_TYPE_SK_STORAGE), whose values come along
 * @throws NetlinkError `EPERM`
 * Equivalent to: ss -tn dst ADDRESS
 */
export function connectionsTo(nl: Netlink, address: Ip, mapFd: number): TcpSocket[] {
  const families: Family[] = familyOf(address) === 4 ? [4, 6] : [6]
  return families.flatMap(family =>
    nl
      .dump({
        equivalent: command('ss -tn', ['dst', address]),
        type: SOCK_DIAG_BY_FAMILY,
        payload: [
          request.encode({
            header: { family: addressFamily(family), protocol: IPPROTO_TCP, states: CONNECTED },
            attributes: { bytecode: towards(address), storages: { mapFd } },
          }),
        ],
      })
      .map(message => readSocket(message.payload, family)),
  )
}

/** All connections of this namespace, also those that are only beginning. @throws NetlinkError. Equivalent to: ss -tn */
export const connections = (nl: Netlink): TcpSocket[] =>
  socketsOf(nl, 'ss -tn', CONNECTED).map(({ payload, family }) => readSocket(payload, family))

/** Its two ends; IPv4 that is mapped into IPv6 is IPv4. */
export function endsOf({
  family,
  id,
}: TcpSocket): Record<'source' | 'destination', { ip: Ip; port: number }> {
  const { source, sourcePort, destination, destinationPort } = id
  return {
    source: { ip: ipIn(source.bytes, family), port: sourcePort },
    destination: { ip: ipIn(destination.bytes, family), port: destinationPort },
  }
}

/** Where a socket listens: `0.0.0.0` and `::` where it has no address; the latter may take IPv4 as well. */
export interface TcpListener {
  ip: Ip
  port: number
}

/**
 * Where TCP is listened on in this namespace.
 * @throws NetlinkError `ENOENT` where the kernel was built without it
 * Equivalent to: ss -tln
 */
export const tcpListeners = (nl: Netlink): TcpListener[] =>
  socketsOf(nl, 'ss -tln', LISTENING).map(({ payload, family }) => readListener(payload, family))

/** As they are told, of both families. @param states bits */
const socketsOf = (nl: Netlink, equivalent: string, states: number) =>
  ([4, 6] as const).flatMap(family =>
    nl
      .dump({
        equivalent,
        type: SOCK_DIAG_BY_FAMILY,
        payload: [
          request.encode({
            header: { family: addressFamily(family), protocol: IPPROTO_TCP, states },
            attributes: {},
          }),
        ],
      })
      .map(({ payload }) => ({ payload, family })),
  )

/** @throws MalformedError */
export function readListener(bytes: Uint8Array, family: Family): TcpListener {
  const { source, sourcePort } = socketMessage.decode(bytes).header.id
  return { ip: ipIn(source.bytes, family), port: sourcePort }
}

const ipIn = (bytes: Uint8Array, family: Family): Ip =>
  ipFromBytes(family === 4 ? bytes.subarray(0, 4) : unmapped(bytes))

/** IPv4 that is mapped into IPv6 is IPv4. */
const unmapped = (bytes: Uint8Array): Uint8Array =>
  bytes.every((byte, index) => index >= 12 || byte === (index < 10 ? 0 : 0xff)) ? bytes.subarray(12) : bytes

/** Whose peer has this address: the one condition, which if it does not hold leads past the end. */
function towards(address: Ip): Uint8Array {
  const bytes = bytesOf(address)
  const length = COND_SIZE + bytes.length
  const program = new Uint8Array(length)
  const family = familyOf(address)
  program.set(
    condition.encode({
      code: INET_DIAG_BC_D_COND,
      yes: length,
      no: length + 4,
      family: addressFamily(family),
      prefixLength: bitsOf(family),
      port: ANY_PORT,
    }),
  )
  program.set(bytes, COND_SIZE)
  return program
}

/** @throws MalformedError */
export function readSocket(bytes: Uint8Array, family: Family): TcpSocket {
  const { header, attributes } = socketMessage.decode(bytes)
  const stored = attributes.storages?.each?.[0]?.value
  const { destinationPort } = header.id
  return { family, destinationPort, id: header.id, ...(stored !== undefined && { stored }) }
}

/** INET_DIAG_NOCOOKIE: whichever socket has these addresses and ports. */
const ANY_COOKIE = (1n << 64n) - 1n

/** A connection by its addresses and ports, as far as its own namespace has it. */
export function connectionOf(
  [source, sourcePort]: readonly [Ip, number],
  [destination, destinationPort]: readonly [Ip, number],
): TcpSocket {
  const place = (ip: Ip) => {
    const bytes = new Uint8Array(16)
    bytes.set(bytesOf(ip))
    return { bytes }
  }
  return {
    family: familyOf(source),
    destinationPort,
    id: {
      sourcePort,
      destinationPort,
      source: place(source),
      destination: place(destination),
      index: 0,
      cookie: ANY_COOKIE,
    },
  }
}

/**
 * Ends a connection: whoever has it gets ECONNABORTED, and its peer a reset.
 * @returns false where it had ended already
 * @throws NetlinkError `EOPNOTSUPP` where the kernel was built without it, `EPERM`
 * Equivalent to: ss -K src :PORT dst :PORT
 */
export function destroyConnection(nl: Netlink, { family, id }: TcpSocket): boolean {
  try {
    nl.change({
      equivalent: command('ss -K', ['src', `:${id.sourcePort}`], ['dst', `:${id.destinationPort}`]),
      type: SOCK_DESTROY,
      payload: [
        request.encode({
          header: { family: addressFamily(family), protocol: IPPROTO_TCP, states: CONNECTED, id },
          attributes: {},
        }),
      ],
    })
    return true
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return false
    throw thrown
  }
}
