/**
 * What people write to publish a port: Docker's `-p` grammar, and a socket path in place of the container
 * port.
 *
 *     [hostIP:][hostPort[-end]:]containerPort[-end][/protocol]
 *     [hostIP:][hostPort]:/path/of/a.sock
 *
 * No address is every address of both families; `0.0.0.0` is every one of IPv4 alone, `[::]` of IPv6 alone.
 * A link-local address is followed by its interface: `[fe80::1%eth0]`. Host port 0 is any free one, as none is.
 *
 * Source: docker/cli's port specification, `docker run --help`; messages name the part that is wrong.
 */

import type { HostIp } from '../address/address.ts'
import { hostIpProblem, tryParseHostIp } from '../address/host.ts'
import { TsnetError } from '../errors.ts'
import { shown, shownPath } from '../json/shown.ts'
import type { Protocol } from '../port-mapping.ts'

export interface PortRange {
  first: number
  count: number
}

/** A parsed specification; which host port it gets may still be open. */
export interface PortSpec {
  protocol: Protocol
  /** Absent: all addresses of the host. `0.0.0.0` and `::`: all of their family. */
  hostIp?: HostIp
  /**
   * Absent: any free port. More ports than the container has: any free one of them. Else one for one.
   */
  host?: PortRange
  container: PortRange | { socket: string }
}

const PORT_MAX = 65535

/** @throws TsnetError `invalid-environment`, quoting the specification */
export function parsePortSpec(text: string): PortSpec {
  const fail = (why: string): never => {
    throw new TsnetError(
      'invalid-environment',
      `port ${shownPath(text)}: ${why}; write it as [hostIP:][hostPort:]containerPort[/protocol], such as 8080:80`,
    )
  }
  const socket = /^(?:(.*):)?(\/.*)$/.exec(text)
  if (socket?.[2] !== undefined && !/^\/(tcp|udp|sctp)$/i.test(socket[2])) {
    return {
      protocol: 'tcp',
      ...hostPart(socket[1] ?? '', fail),
      container: { socket: socketPath(socket[2], fail) },
    }
  }
  const slash = text.indexOf('/')
  const protocol = protocolOf(slash < 0 ? 'tcp' : text.slice(slash + 1), fail)
  const ports = slash < 0 ? text : text.slice(0, slash)
  const colon = ports.lastIndexOf(':')
  const container = rangeOf(ports.slice(colon + 1), 'container port', fail)
  if (container === undefined) return fail('it names no container port')
  const host = hostPart(colon < 0 ? '' : ports.slice(0, colon), fail)
  if (host.host !== undefined && host.host.count !== container.count && container.count !== 1) {
    fail(`${host.host.count} host ports cannot lead to ${container.count} container ports`)
  }
  return { protocol, ...host, container }
}

type Fail = (why: string) => never

const ADDRESS_ALONE = /^(\[[^\]]*\]|\d+\.\d+\.\d+\.\d+)$/

/** `8080`, `127.0.0.1:8080`, `[::1]:8080`, `::1:8080`, `127.0.0.1:`, `0`, or nothing. */
function hostPart(text: string, fail: Fail): Pick<PortSpec, 'hostIp' | 'host'> {
  if (ADDRESS_ALONE.test(text))
    fail(`no host port follows the address ${text}; nothing between two colons is any free one`)
  const colon = text.lastIndexOf(':')
  const port = text.slice(colon + 1)
  const host = rangeOf(/^0+$/.test(port) ? '' : port, 'host port', fail)
  const address = colon < 0 ? '' : text.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  const problem = address === '' ? undefined : hostIpProblem(address)
  if (problem !== undefined) fail(`${shown(address)} ${problem}`)
  const hostIp = tryParseHostIp(address)
  return {
    ...(hostIp !== undefined && { hostIp }),
    ...(host !== undefined && { host }),
  }
}

function rangeOf(text: string, what: string, fail: Fail): PortRange | undefined {
  if (text === '') return undefined
  const [, first = '', last = first] =
    /^(\d+)(?:-(\d+))?$/.exec(text) ?? fail(`${what} ${shown(text)} is not a number`)
  for (const port of [first, last].map(Number)) {
    if (port < 1 || port > PORT_MAX) fail(`${what} ${port} is not between 1 and ${PORT_MAX}`)
  }
  if (Number(last) < Number(first)) fail(`${what} range ${text} ends before it begins`)
  return { first: Number(first), count: Number(last) - Number(first) + 1 }
}

function protocolOf(text: string, fail: Fail): Protocol {
  const protocol = text.toLowerCase()
  if (protocol === 'tcp' || protocol === 'udp' || protocol === 'sctp') return protocol
  return fail(`protocol ${shown(text)} is not tcp, udp or sctp`)
}

/** sizeof(sun_path) without its NUL, linux/un.h. */
const SOCKET_PATH_MAX = 107

function socketPath(path: string, fail: Fail): string {
  if (Buffer.byteLength(path) > SOCKET_PATH_MAX || path.includes('\0')) {
    fail(`the socket path is longer than ${SOCKET_PATH_MAX} bytes`)
  }
  return path
}
