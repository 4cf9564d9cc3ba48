/**
 * What is asked for in reverse (`publish --reverse`): a port of this host's loopback appears on the container's.
 *
 *     [hostIP:][hostPort[-end]:]containerPort[-end][/protocol]     hostIP is 127.0.0.1, or what is said of loopback
 *
 * The host's side is where the proxy dials, and the container's where it listens. So what chooses a host port, says
 * who may be a client, or how the kernel leads makes no sense here, and is refused.
 */

import { type Ip, isLoopback } from '../address/address.ts'
import { TsnetError } from '../errors.ts'
import { shown } from '../json/shown.ts'
import type { PortSpec } from './port-spec.ts'

/** Of a request, what may have no meaning in reverse. */
interface Words {
  ports: string[]
  service?: string
  mode?: string
  via?: string
  proxyProtocol?: string
  allow?: string[]
  deny?: string[]
}

const LOOPBACK = '127.0.0.1' as Ip

/** @throws TsnetError `invalid-environment` naming the option that has no meaning in reverse */
export function checkReverse(words: Words): void {
  const { service, mode, via, proxyProtocol, allow = [], deny = [], ports } = words
  if (service !== undefined)
    throw refuse('its listeners are in containers of this host; name these in place of --service')
  if (mode !== undefined && mode !== 'auto' && mode !== 'proxy')
    throw refuse(`only the proxy reaches into a container; leave out --mode ${mode}`)
  if (via !== undefined && via !== 'auto')
    throw refuse(`the host is dialled from the host; leave out --via ${via}`)
  if (proxyProtocol !== undefined)
    throw refuse('all clients are the container’s own; leave out --proxy-protocol')
  if (allow.length + deny.length > 0)
    throw refuse('all clients are the container’s own, on its loopback; leave out --allow and --deny')
  if (ports.length === 0) throw refuse('name the ports, such as 5432:5432')
}

/** A specification with both of its sides. @throws TsnetError `invalid-environment` */
export function inReverse(spec: PortSpec, written: string): PortSpec {
  const { container, host, hostIp = LOOPBACK } = spec
  if ('socket' in container) throw refuse(`${shown(written)}: a socket path cannot appear in a container`)
  if (host !== undefined && host.count !== container.count)
    throw refuse(
      `${shown(written)}: each port of the host appears on one of the container; say as many of both`,
    )
  if (!isLoopback(hostIp))
    throw refuse(`${shown(written)}: ${hostIp} is not an address of loopback, such as 127.0.0.1 or [::1]`)
  return { ...spec, hostIp, host: host ?? container }
}

const refuse = (message: string): TsnetError => new TsnetError('invalid-environment', `--reverse: ${message}`)
