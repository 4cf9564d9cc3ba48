/**
 * What ADD answers: the attachment as a result, put behind what other plugins made before us, in the
 * shape of the version that the caller speaks.
 *
 * An older version knows less; what it does not know is left out, so that a strict reader is content.
 */

import { familyOf } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { overlayDns } from '../model/json/dns.ts'
import type { ResultIp } from '../model/json/result.ts'
import { shown } from '../model/json/shown.ts'
import type { Attachment, Dns, Route } from '../model/network.ts'
import { present } from '../model/present.ts'
import { atLeast, type Version } from '../runtime/cni-versions.ts'
import type { Result, ResultInterface } from './config/previous.ts'

/**
 * Bridge, host side, container's interface (what has the gateway in its VLAN, the ifb that shapes it), in this order
 * behind the interfaces that were there before; so the indices of others stay right.
 */
export function resultOf(attachment: Attachment, previous?: Result): Result {
  const before = previous?.interfaces ?? []
  const ours: Omit<Result, 'dns'> = {
    interfaces: [
      ...before,
      attachment.bridge,
      attachment.hostInterface,
      { ...attachment.containerInterface, sandbox: attachment.netns.path },
      ...(attachment.gatewayInterface === undefined ? [] : [attachment.gatewayInterface]),
      ...(attachment.ifb === undefined ? [] : [attachment.ifb]),
    ],
    ips: [
      ...(previous?.ips ?? []),
      ...attachment.leases.map(lease => ({ ...lease, interface: before.length + 2 })),
    ],
    routes: [...(previous?.routes ?? []), ...attachment.routes],
  }
  return present({ ...ours, dns: overlayDns(previous?.dns, attachment.dns) })
}

/**
 * The result as a plain object for JSON.
 * @throws TsnetError `incompatible-version`: 0.1.0 and 0.2.0 cannot tell of a container without addresses
 */
export function shapeResult(result: Result, version: Version): Record<string, unknown> {
  if (!atLeast(version, '0.3.0')) return shapeOld(result, version)
  const newest = atLeast(version, '1.1.0')
  return {
    cniVersion: version,
    ...listed(
      'interfaces',
      result.interfaces.map(entry => shapeInterface(entry, newest)),
    ),
    ...listed(
      'ips',
      result.ips.map(entry => shapeIp(entry, version)),
    ),
    ...listed(
      'routes',
      result.routes.map(route => shapeRoute(route, newest)),
    ),
    ...shapeDns(result.dns),
  }
}

function shapeOld(result: Result, version: Version): Record<string, unknown> {
  const section = (family: 4 | 6) => {
    const found = result.ips.find(({ address }) => familyOf(address) === family)
    if (found === undefined) return {}
    const routes = result.routes.filter(({ dst }) => familyOf(dst) === family)
    return {
      [`ip${family}`]: {
        ip: found.address,
        ...present({ gateway: found.gateway }),
        ...listed(
          'routes',
          routes.map(route => shapeRoute(route, false)),
        ),
      },
    }
  }
  const sections = { ...section(4), ...section(6) }
  if (Object.keys(sections).length === 0) throw noAddresses(version)
  return { cniVersion: version, ...sections, ...shapeDns(result.dns) }
}

/** The refusal of 0.1.0 and 0.2.0 to describe a layer 2 attachment. */
export const noAddresses = (version: Version): TsnetError =>
  new TsnetError('incompatible-version', 'cannot convert: no valid IP addresses', {
    details: `cniVersion ${shown(version)} has no result without addresses; use 0.3.0 or later`,
  })

function shapeInterface(entry: ResultInterface, newest: boolean) {
  const { name, mac, sandbox, mtu, socketPath, pciID } = entry
  return present({ name, mac, ...(newest ? { mtu } : {}), sandbox, ...(newest ? { socketPath, pciID } : {}) })
}

function shapeIp({ address, gateway, interface: index }: ResultIp, version: Version) {
  const family = atLeast(version, '1.0.0') ? {} : { version: String(familyOf(address)) }
  return present({ ...family, interface: index, address, gateway })
}

function shapeRoute({ dst, gw, ...extras }: Route, newest: boolean) {
  return present({ dst, gw, ...(newest ? extras : {}) })
}

function shapeDns(dns: Dns | undefined): Record<string, unknown> {
  if (dns === undefined) return {}
  const { nameservers, domain, search, options } = dns
  return {
    dns: {
      ...listed('nameservers', nameservers),
      ...present({ domain }),
      ...listed('search', search),
      ...listed('options', options),
    },
  }
}

const listed = (key: string, list: unknown[]): Record<string, unknown> =>
  list.length > 0 ? { [key]: list } : {}
