/**
 * What connecting a container to a bridge takes, computed from plain values and touching nothing.
 */

import { type Cidr, familyOf } from '../../model/address/address.ts'
import { parseInterfaceName } from '../../model/interface-name.ts'
import { shown } from '../../model/json/shown.ts'
import type { BridgeOptions, Lease, Route } from '../../model/network.ts'
import { hostAlias, hostMac, hostNames, newBridgeMac, newContainerMac } from '../names.ts'
import {
  bridgeSettings,
  containerSettings,
  loopbackSettings,
  newBridgeSettings,
  referenceSettings,
  type Setting,
} from '../settings.ts'
import { checkBridgeOptions, MTU_MAX, MTU_MIN_V6, reject, vlanInterface } from './options.ts'
import {
  checkLeases,
  gatewayAddresses,
  type PlannedRoute,
  resolveRoutes,
  withDefaultRoutes,
  withGateways,
} from './routing.ts'

export interface LinkRequest {
  options: BridgeOptions
  /** ownerTag of the attachment. */
  owner: string
  ifname: string
  /** MAC of the container's interface; absent: a random one. */
  mac?: string
  leases: Lease[]
  /** As the IPAM gave them. */
  routes: Route[]
  /** Ports are published: the container must be able to reach itself through them. */
  hasPorts: boolean
  /** MTU of the way out of this host (readUplinkMtu); used where the options name none. */
  uplinkMtu: number | undefined
  /** In the role of the reference plugin: the bridge is nobody's, and the container keeps its IPv6. */
  dropIn?: boolean
}

export interface LinkPlan {
  owner: string
  /** The leases, with the gateways that the bridge gets. */
  leases: Lease[]
  /** The routes for the result and the record: as they came, and the default routes. */
  routes: Route[]
  bridge: BridgePlan
  host: HostPlan
  container: ContainerPlan
}

export interface BridgePlan {
  name: string
  /** Who makes it marks it as ours, and the last to leave deletes it. */
  marked: boolean
  /** Given when the bridge is made; one that exists keeps its own. */
  mac: string
  /** Given when the bridge is made; from then on the kernel keeps the least of its ports'. */
  mtu?: number
  promiscuous: boolean
  vlanFiltering: boolean
  /** Take away addresses that stand against the gateways. */
  forceAddress: boolean
  /** Addresses of the bridge, or of the interface that stands for one of its VLANs. */
  gateways: Cidr[]
  /** Where the gateways are, when not on the bridge itself. */
  gatewayVlan?: GatewayVlan
  /** An interface of the host that is to be a port. */
  uplink?: string
  /** Of a bridge that we make. */
  settings: Setting[]
  /** Of a bridge that we adopt. */
  adoptedSettings: Setting[]
}

/** The interface through which the host is in one VLAN of the bridge. */
export interface GatewayVlan {
  id: number
  name: string
  settings: Setting[]
}

export interface HostPlan {
  /** The second is used where the first belongs to another attachment. */
  names: [string, string]
  alias: string
  mac: string
  mtu?: number
  hairpin: boolean
  isolated: boolean
  vlans?: PortVlans
}

export interface PortVlans {
  /** Of untagged frames. */
  native?: number
  /** Tagged, both ends included. */
  trunks: { minID: number; maxID: number }[]
  /** The port stays in VLAN 1, which the kernel puts every port into. */
  keepDefault: boolean
}

export interface ContainerPlan {
  name: string
  mac: string
  mtu?: number
  up: boolean
  addresses: Cidr[]
  /** Find out whether another holds an IPv6 address, which takes a second or two. */
  detectDuplicates: boolean
  routes: PlannedRoute[]
  loopbackSettings: Setting[]
  settings: Setting[]
}

/** Where new MACs come from. */
export interface MacSource {
  bridge(): string
  container(): string
}

const randomMacs: MacSource = { bridge: newBridgeMac, container: newContainerMac }

/**
 * Computes what has to be done, and refuses what cannot work.
 * @throws TsnetError `invalid-config` naming the key and its value
 */
export function planLink(request: LinkRequest, macs: MacSource = randomMacs): LinkPlan {
  const { options, owner, ifname, dropIn = false } = request
  checkBridgeOptions(options, request.leases.length > 0)
  parseInterfaceName(ifname, 'ifname')
  checkLeases(request.leases)
  const isGateway = options.isGateway || options.isDefaultGateway
  const leases = isGateway ? withGateways(request.leases) : request.leases
  const routes = options.isDefaultGateway ? withDefaultRoutes(request.routes, leases) : request.routes
  const addresses = leases.map(({ address }) => address)
  const gateways = isGateway ? gatewayAddresses(leases) : []
  const mtu = mtuOf(request)
  const vlans = portVlans(options)
  return {
    owner,
    leases,
    routes,
    bridge: {
      name: options.name,
      marked: !dropIn,
      mac: dropIn ? macs.container() : macs.bridge(),
      ...(mtu !== undefined && { mtu }),
      promiscuous: options.promiscMode,
      vlanFiltering: vlans !== undefined,
      forceAddress: options.forceAddress,
      gateways,
      ...gatewayPlace(options, gateways),
      ...(options.uplink !== undefined && { uplink: options.uplink }),
    },
    host: {
      names: hostNames(owner),
      alias: hostAlias(owner),
      mac: hostMac(owner),
      ...(mtu !== undefined && { mtu }),
      // On a promiscuous bridge too: where bridged packets pass the rules, it does not hand up what was led elsewhere.
      hairpin: options.hairpinMode || request.hasPorts,
      isolated: options.portIsolation,
      ...(vlans && { vlans }),
    },
    container: {
      name: ifname,
      mac: request.mac === undefined ? macs.container() : parseMac(request.mac),
      ...(mtu !== undefined && { mtu }),
      up: !options.disableContainerInterface,
      addresses,
      detectDuplicates: options.enabledad,
      routes: resolveRoutes(routes, leases),
      loopbackSettings: loopbackSettings(addresses),
      settings: dropIn
        ? referenceSettings(ifname, addresses, options.enabledad)
        : containerSettings(ifname, addresses, options.enabledad),
    },
  }
}

/** The MTU of both ends; undefined leaves it to the kernel. */
function mtuOf({ options, leases, uplinkMtu }: LinkRequest): number | undefined {
  const hasV6 = leases.some(({ address }) => familyOf(address) === 6)
  if (options.mtu === undefined) {
    return uplinkMtu === undefined
      ? undefined
      : Math.min(MTU_MAX, Math.max(uplinkMtu, hasV6 ? MTU_MIN_V6 : 0))
  }
  if (hasV6 && options.mtu < MTU_MIN_V6) {
    reject(`mtu: ${options.mtu} is less than the ${MTU_MIN_V6} bytes that IPv6 needs`)
  }
  return options.mtu
}

/** Where the gateways are, and the settings of the interfaces that the host takes part with. */
function gatewayPlace(
  { name, vlan }: BridgeOptions,
  gateways: Cidr[],
): Pick<BridgePlan, 'gatewayVlan' | 'settings' | 'adoptedSettings'> {
  if (gateways.length === 0) return { settings: bridgeSettings(name, []), adoptedSettings: [] }
  if (vlan === undefined) {
    return {
      settings: newBridgeSettings(name, gateways),
      adoptedSettings: bridgeSettings(name, gateways),
    }
  }
  const link = vlanInterface(name, vlan)
  const gatewayVlan = { id: vlan, name: link, settings: newBridgeSettings(link, gateways) }
  return { settings: bridgeSettings(name, []), adoptedSettings: [], gatewayVlan }
}

function portVlans({ vlan, vlanTrunk, preserveDefaultVlan }: BridgeOptions): PortVlans | undefined {
  if (vlan === undefined && vlanTrunk.length === 0) return undefined
  const keepDefault = vlan === undefined || vlan === 1 || preserveDefaultVlan
  return { ...(vlan !== undefined && { native: vlan }), trunks: vlanTrunk, keepDefault }
}

function parseMac(text: string): string {
  const mac = text.toLowerCase()
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac)) {
    reject(`mac: ${shown(text)} is not a MAC address, such as 02:00:00:00:00:01`)
  }
  if ((Number.parseInt(mac.slice(0, 2), 16) & 1) === 1 || mac === '00:00:00:00:00:00') {
    reject(`mac: ${mac} is not the address of a single interface`)
  }
  return mac
}
