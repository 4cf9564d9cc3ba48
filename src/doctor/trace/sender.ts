/**
 * Who sends the packet: this host, with any of its addresses; a container of this host, from within; or a stranger, whose
 * packet arrives by an interface of ours that is there for that (tun.ts).
 */

import { errno, errnoName, libc, must } from '../../ffi/ffi.ts'
import { domainOf, type Endpoint, readSockaddr, sockaddr } from '../../ffi/sockaddr.ts'
import {
  optionOf,
  resetOnClose,
  SO_ERROR,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../../ffi/socket.ts'
import { familyOf, type Ip, ipOf, isLoopback, isUnspecified } from '../../model/address/address.ts'
import { ipOfHost, isLinkLocal } from '../../model/address/host.ts'
import { TsnetError } from '../../model/errors.ts'
import { nameOfAttached } from '../../model/network.ts'
import { listAddresses } from '../../netlink/address.ts'
import { openNetlink } from '../../netlink/netlink.ts'
import { routeTo } from '../../netlink/route.ts'
import { openRecorded } from '../../netns/container.ts'
import { inside } from '../../netns/netns.ts'
import { listEntries } from '../../records/records.ts'
import type { Asked, Outcome, Sender } from './packet.ts'
import { strangerSender } from './tun.ts'

type Wanted = Asked & { protocol: 'tcp' | 'udp' }

/** The addresses that clients of loopback have. */
const LOOPBACK: readonly string[] = ['127.0.0.1', '::1']

/** Everything but sending. @throws TsnetError, SystemError */
export function prepare(wanted: Wanted): Sender {
  const { protocol, port, from } = wanted
  const own = from === undefined ? undefined : ownAddresses()
  if (from === undefined || own?.has(from) === true) {
    const to = { ip: from !== undefined && !isGiven(wanted) ? from : localTarget(wanted), port }
    // What is bound is not redirected; a client of loopback is not, and has that address all the same.
    const bound = from === to.ip && LOOPBACK.includes(from) ? undefined : from
    return socketSender(protocol, to, bound, 'by this host')
  }
  const container = containerWith(from)
  const to = { ip: targetFor(wanted, from), port }
  if (container === undefined) return strangerSender(protocol, from, to)
  using netns = openRecorded(container.netns)
  if (netns === undefined)
    throw new TsnetError('not-running', `container ${container.name}, which has ${from}, is gone`)
  return inside(netns, () => socketSender(protocol, to, from, `by container ${container.name}`))
}

const isGiven = ({ hostIp }: Wanted): boolean => hostIp !== undefined && !isUnspecified(ipOfHost(hostIp))

/** As a client on this host would ask. */
function localTarget({ hostIp }: Wanted): Ip {
  if (hostIp === undefined) return '127.0.0.1' as Ip
  const ip = ipOfHost(hostIp)
  if (!isUnspecified(ip)) return ip
  return (familyOf(ip) === 4 ? '127.0.0.1' : '::1') as Ip
}

/** The address of this host that lies towards another one. */
function targetFor(wanted: Wanted, from: Ip): Ip {
  const { hostIp } = wanted
  if (hostIp !== undefined && isGiven(wanted)) {
    const ip = ipOfHost(hostIp)
    if (familyOf(ip) === familyOf(from) && !isLoopback(ip)) return ip
    throw new TsnetError(
      'invalid-environment',
      `--from: the port is on ${ip} alone, where nobody comes from ${from}`,
    )
  }
  using nl = openNetlink()
  const index = routeTo(nl, from)?.index
  const held = listAddresses(nl)
    .filter(each => each.index === index && familyOf(each.address) === familyOf(from))
    .map(({ address }) => ipOf(address))
  // One of the link's own (fe80::/10) is nobody's to ask who is not on it, and no port is led from there.
  const best = held.find(ip => !isLinkLocal(ip)) ?? held[0]
  if (best !== undefined) return best
  throw new TsnetError('invalid-environment', `--from: this host has no address towards ${from}`)
}

function ownAddresses(): Set<Ip> {
  using nl = openNetlink()
  return new Set(listAddresses(nl).map(({ address }) => ipOf(address)))
}

function containerWith(ip: Ip) {
  for (const { entry } of listEntries()) {
    const { attachment } = entry
    if (entry.state === 'attached' && attachment.leases.some(({ address }) => ipOf(address) === ip))
      return { name: nameOfAttached(attachment), netns: attachment.netns }
  }
  return undefined
}

const SOCKADDR_SIZE = 28

function socketSender(protocol: 'tcp' | 'udp', to: Endpoint, from: Ip | undefined, by: string): Sender {
  const type = (protocol === 'tcp' ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC
  const fd = must('socket', libc.socket(domainOf(to.ip), type, 0))
  const family = familyOf(to.ip)
  try {
    const local = sockaddr(from ?? ((family === 4 ? '0.0.0.0' : '::') as Ip), 0)
    must('bind', libc.bind(fd, local, local.length))
    const address = new Uint8Array(SOCKADDR_SIZE)
    must(
      'getsockname',
      libc.getsockname(fd, address, new Uint8Array(new Uint32Array([address.length]).buffer)),
    )
    const sourcePort = readSockaddr(address).port
    return {
      description: `${protocol} from port ${sourcePort}${from === undefined ? '' : ` of ${from}`} to ${to.ip} port ${to.port}, sent ${by}`,
      family,
      to,
      sourcePort,
      send: () => send(fd, protocol, to),
      outcome: () => outcomeOf(fd, protocol),
      [Symbol.dispose]() {
        if (protocol === 'tcp') resetOnClose(fd)
        libc.close(fd)
      },
    }
  } catch (thrown) {
    libc.close(fd)
    throw thrown
  }
}

/** What is in its way at once, such as a rule of OUTPUT that rejects, the outcome tells as well. */
function send(fd: number, protocol: 'tcp' | 'udp', to: Endpoint): void {
  const address = sockaddr(to.ip, to.port)
  libc.connect(fd, address, address.length)
  if (protocol === 'udp') libc.send(fd, new Uint8Array(0), 0, 0)
}

const [POLLIN, POLLOUT, POLLERR] = [1, 4, 8]

function outcomeOf(fd: number, protocol: 'tcp' | 'udp'): Outcome {
  const wanted = protocol === 'tcp' ? POLLOUT : POLLIN
  const poll = new Uint8Array(8) // struct pollfd
  const view = new DataView(poll.buffer)
  view.setInt32(0, fd, true)
  view.setInt16(4, wanted, true)
  if (libc.poll(poll, 1, 0) <= 0) return 'silent'
  if ((view.getInt16(6, true) & POLLERR) !== 0) {
    const code = errnoName(optionOf(fd, SOL_SOCKET, SO_ERROR) || errno())
    return code === 'ECONNREFUSED' || code === 'ECONNRESET' ? 'refused' : 'silent'
  }
  return 'answered'
}
