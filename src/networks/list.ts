/**
 * The list of a network that is made by hand: from plain values to what stands in its file.
 *
 * It is a list like any other, for the plugin `tsnet` alone; only a key of ours says that we made it, at the level of the
 * list, where runtimes pass over what they do not know and give none of it to plugins.
 */

import { checkBridgeOptions } from '../bridge/bridge.ts'
import { readNetwork } from '../cni/config/config.ts'
import { normalise } from '../ipam/ipam.ts'
import { cidrOf, familyOf, ipAt } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { INTERFACE_NAME_MAX } from '../model/interface-name.ts'
import { Json } from '../model/json/json.ts'
import type { AddressRange, Route } from '../model/network.ts'
import { present } from '../model/present.ts'
import { sha256 } from '../model/sha256.ts'
import { NO_CALL } from './own.ts'
import type { NetworkWish } from './wish/wish.ts'

/** What of a list says that it was made by hand; the value tells when. */
export const MARK = 'tsnet.network'

/** podman 4 and the containerd of its time speak no later one. */
const CNI_VERSION = '1.0.0'

/** What a runtime may pass, by what the network can do with it. */
const CAPABILITIES = {
  always: ['mac', 'dns', 'aliases', 'bandwidth'],
  addressed: ['ips', 'egress'],
  reachable: ['portMappings'],
} as const

/** tbf counts a burst in 32 bits of bytes. */
const BURST_MAX = 0xffff_ffff * 8 - 1
/** Of a second's bits, what may come at once. */
const BURST_PART = 10

/** A network of another engine, for which one was made here. */
export interface MadeFor {
  runtime: 'docker' | 'podman'
  /** As it knows the network. */
  id: string
}

export interface MadeList {
  cniVersion: string
  name: string
  [MARK]: { created: string; for?: MadeFor }
  plugins: Record<string, unknown>[]
}

/**
 * @param ranges all, those that were chosen too
 * @param created ISO 8601
 * @throws TsnetError `invalid-config` for what the plugin would refuse
 */
export function listFor(
  wish: NetworkWish,
  chosen: { bridge: string; ranges: readonly AddressRange[]; created: string; for?: MadeFor },
): MadeList {
  const { name, layer2, defaultRoute } = wish
  const { bridge, ranges, created } = chosen
  const { metric } = defaultRoute ?? {}
  const isDefaultGateway = defaultRoute !== undefined && metric === undefined
  const routes = [...wish.routes, ...(metric === undefined ? [] : defaultRoutes(ranges, metric))]
  const dns = wish.nameservers.length > 0 ? { nameservers: wish.nameservers } : undefined
  const plugin = present({
    type: 'tsnet',
    bridge,
    uplink: wish.uplink,
    // The bridge has an address all the same: the host, and whoever answers there, is the network's.
    isGateway: (!layer2 && !isDefaultGateway) || undefined,
    isDefaultGateway: isDefaultGateway || undefined,
    ipMasq: wish.masquerade || undefined,
    allowDirectRouting: wish.internal ? false : wish.allowDirectRouting,
    portIsolation: wish.portIsolation || undefined,
    mtu: wish.mtu,
    ...limits('ingress', wish.ingressRate),
    ...limits('egress', wish.egressRate),
    egress: egressOf(wish),
    dns,
    names: wish.names || undefined,
    capabilities: Object.fromEntries(capabilitiesOf(wish).map(each => [each, true])),
    ipam: layer2
      ? undefined
      : present({
          type: 'host-local',
          ranges: ranges.map(range => [range]),
          routes: routes.length > 0 ? routes : undefined,
        }),
  })
  const list = {
    cniVersion: CNI_VERSION,
    name,
    [MARK]: present({ created, for: chosen.for }),
    plugins: [plugin],
  }
  check(list, ranges)
  return list
}

/** By the gateway of each family's addresses. */
const defaultRoutes = (ranges: readonly AddressRange[], priority: number): Route[] =>
  [...new Set(ranges.map(({ subnet }) => familyOf(subnet)))].map(family => ({
    dst: cidrOf(ipAt(0n, family), 0),
    priority,
  }))

const capabilitiesOf = ({ layer2, internal }: NetworkWish): string[] => [
  ...(layer2 || internal ? [] : CAPABILITIES.reachable),
  ...(layer2 ? [] : CAPABILITIES.addressed),
  ...CAPABILITIES.always,
]

const limits = (way: 'ingress' | 'egress', rate: number | undefined) =>
  rate !== undefined && {
    [`${way}Rate`]: rate,
    [`${way}Burst`]: Math.min(Math.ceil(rate / BURST_PART), BURST_MAX),
  }

const egressOf = ({ egressAddresses, allow }: NetworkWish): object | undefined =>
  egressAddresses.length === 0 && allow === undefined
    ? undefined
    : present({
        ...Object.fromEntries(egressAddresses.map(ip => [familyOf(ip) === 4 ? 'address' : 'address6', ip])),
        allow,
      })

/** RFC 8200, section 5. */
const MTU_MIN_V6 = 1280

/** As the plugin reads it when a container comes. */
function check({ name, cniVersion, plugins }: MadeList, ranges: readonly AddressRange[]): void {
  const config = new Json({ ...plugins[0], name, cniVersion }, '')
  const network = readNetwork(config, CNI_VERSION, NO_CALL, {})
  checkBridgeOptions(network.bridge, ranges.length > 0)
  if (ranges.length > 0) normalise(ranges.map(range => [range]))
  const { mtu } = network.bridge
  if (mtu !== undefined && mtu < MTU_MIN_V6 && ranges.some(({ subnet }) => familyOf(subnet) === 6))
    throw new TsnetError(
      'invalid-environment',
      `--mtu: with IPv6 it is at least ${MTU_MIN_V6} (RFC 8200), not ${mtu}`,
    )
}

/** Names for a bridge, the first that is free counts: people shall recognise it, and the kernel takes 15 characters. */
export function bridgeNames(network: string): string[] {
  const hash = sha256(network)
  const plain = `ts-${network}`
  return [
    ...(plain.length <= INTERFACE_NAME_MAX ? [plain] : []),
    ...[0, 1, 2].map(index => `ts-${hash.slice(index * 12, index * 12 + 12)}`),
  ]
}
