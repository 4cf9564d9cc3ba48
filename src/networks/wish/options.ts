/**
 * Options that another engine passes to the driver of a network (`podman network create -d tsnet -o mtu=1400`), as the
 * words of ours. What its users know of its own driver is understood, or refused by its name.
 *
 * Source: podman-network-create(1), Options; Docker's bridge driver, `com.docker.network.*`.
 */

import { shown } from '../../model/json/shown.ts'
import { didYouMean } from '../../model/nearest.ts'
import { present } from '../../model/present.ts'
import { refuse } from './texts.ts'
import type { NetworkWords } from './wish.ts'

/** By which other engines know us. */
export const DRIVER = 'tsnet'

/** What a network is called here whose engine tells no name for it. */
export const CALLED = 'tsnet.name'

/** Joins a network that is there. */
export const JOINS = 'tsnet.network'

type Read = (value: string, option: string) => NetworkWords

const bridge: Read = interfaceName => ({ interfaceName })
const mtu: Read = mtu => ({ mtu })
const icc: Read = (value, option) => ({ icc: readFlag(value, option) })
const egress: Read = address => ({ egressAddress: [address] })
const names: Read = (value, option) => ({ names: readFlag(value, option) })
/** Several in one value: no option may be given twice. */
export const listed = (value: string): string[] => value.split(/[\s;]+/).filter(each => each !== '')

/** Of one family alone Docker can say it, and a network of ours is one thing or the other. */
const gatewayMode: Read = (value, option) => {
  if (value === 'routed') return { direct: true, masquerade: false }
  if (value === 'nat' || value === 'isolated') return {}
  throw refuse(`${option}: ${shown(value)} is not nat, routed or isolated`)
}
const masquerade: Read = (value, option) => ({ masquerade: readFlag(value, option) })

const UNDERSTOOD: Record<string, Read> = {
  mtu,
  metric: metric => ({ metric }),
  no_default_route: (value, option) => ({ noDefaultRoute: readFlag(value, option) }),
  // Nothing is stricter than that only the host reaches containers.
  isolate: (value, option) =>
    value === 'strict' || readFlag(value, option) ? { isolate: true } : { direct: true },
  outbound_addr4: egress,
  outbound_addr6: egress,
  'com.docker.network.host_ipv4': egress,
  'com.docker.network.host_ipv6': egress,
  'com.docker.network.bridge.name': bridge,
  'com.docker.network.driver.mtu': mtu,
  'com.docker.network.bridge.enable_icc': icc,
  'com.docker.network.bridge.enable_ip_masquerade': masquerade,
  'com.docker.network.bridge.gateway_mode_ipv4': gatewayMode,
  'com.docker.network.bridge.gateway_mode_ipv6': gatewayMode,
  'tsnet.names': names,
  'tsnet.dns': value => ({ dns: listed(value) }),
  'tsnet.route': value => ({ route: listed(value) }),
  'tsnet.icc': icc,
  'tsnet.masquerade': masquerade,
  'tsnet.direct': (value, option) => (readFlag(value, option) ? { direct: true } : {}),
  'tsnet.uplink': uplink => ({ uplink }),
  'tsnet.ingress-rate': ingressRate => ({ ingressRate }),
  'tsnet.egress': value => ({ egress: listed(value) }),
  'tsnet.egress-rate': egressRate => ({ egressRate }),
}

/** Options of other drivers that mean something which we do not do, and what to do instead. */
const REFUSED: Record<string, string> = {
  vlan: 'a network with VLANs is a list written by hand, with the key vlan (docs/cni-reference.md)',
  vrf: 'tsnet puts no bridge into a VRF; make the bridge yourself and name it with --interface-name',
  bclim: 'it is of macvlan, and tsnet makes bridges',
  parent: 'it is of macvlan and ipvlan; to plug in an interface of the host: -o tsnet.uplink',
  'com.docker.network.bridge.host_binding_ipv4': 'name the address with each port: -p ADDRESS:8080:80',
}

export interface DriverOptions {
  /** Name of a network that is joined. */
  joins?: string
  /** What the network is to be called. */
  called?: string
  words: NetworkWords
}

/** @throws TsnetError `invalid-environment` naming the option */
export function readOptions(options: Readonly<Record<string, string>>): DriverOptions {
  const { [JOINS]: joins, ...given } = options
  const { [CALLED]: called, ...others } = given
  const [other] = Object.keys(given)
  if (joins !== undefined && other !== undefined)
    throw refuse(`-o ${JOINS}=${joins} joins a network as it is, so there is nothing for -o ${other} to say`)
  const words = Object.entries(others).map(([option, value]) =>
    readerOf(option, value)(value, `-o ${option}`),
  )
  const egressAddress = words.flatMap(each => each.egressAddress ?? [])
  const together: NetworkWords = Object.assign({}, ...words)
  return {
    ...present({ joins, called }),
    words: { ...together, ...(egressAddress.length > 0 && { egressAddress }) },
  }
}

function readerOf(option: string, value: string): Read {
  if (Object.hasOwn(UNDERSTOOD, option)) return UNDERSTOOD[option] as Read
  // What podman's own driver does unless it is told otherwise.
  if (option === 'mode' && value === 'managed') return () => ({})
  const why = Object.hasOwn(REFUSED, option) ? REFUSED[option] : undefined
  if (why !== undefined) throw refuse(`-o ${option}: ${why}`)
  if (option === 'mode')
    throw refuse(
      `-o mode: ${shown(value)} is not managed; a bridge that is there is adopted with --interface-name, and rules are always tsnet's`,
    )
  const known = [JOINS, CALLED, ...Object.keys(UNDERSTOOD)]
  throw refuse(`-o ${option}: no such option; there are ${known.join(', ')}${didYouMean(option, known)}`)
}

/** As Go's strconv.ParseBool. */
function readFlag(value: string, option: string): boolean {
  if (/^(1|t|true)$/i.test(value)) return true
  if (/^(0|f|false)$/i.test(value)) return false
  throw refuse(`${option}: ${shown(value)} is neither true nor false`)
}
