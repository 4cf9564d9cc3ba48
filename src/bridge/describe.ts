/**
 * A plan as the commands that a person would type, for dry runs, documents and tests.
 */

import { type Cidr, familyOf } from '../model/address/address.ts'
import { newAddress } from './gateway.ts'
import { BRIDGE_ALIAS } from './names.ts'
import type { BridgePlan, ContainerPlan, HostPlan, LinkPlan } from './plan/plan.ts'
import type { PlannedRoute } from './plan/routing.ts'
import { describeSetting, hostSettings } from './settings.ts'

/** What stands for the container's namespace in the commands. */
export const CONTAINER = 'CONTAINER'

/**
 * The commands that make the link where the bridge does not exist yet, one a line. `CONTAINER` stands for
 * the name of the container's namespace as `ip netns` knows it.
 */
export function describePlan(plan: LinkPlan): string[] {
  return [
    ...bridgeLines(plan.bridge),
    words(
      'ip link add name',
      plan.host.names[0],
      'address',
      plan.host.mac,
      mtuWords(plan.host.mtu),
      'type veth peer name',
      plan.container.name,
      'address',
      plan.container.mac,
      mtuWords(plan.container.mtu),
      'netns',
      CONTAINER,
    ),
    ...hostLines(plan.bridge.name, plan.host),
    ...containerLines(plan.container),
  ].filter(line => line !== '')
}

const words = (...parts: (string | false | undefined)[]): string =>
  parts.filter(part => part !== undefined && part !== false && part !== '').join(' ')

const broadcast = (address: Cidr): string => (newAddress(address, false).broadcast ? 'broadcast +' : '')

const mtuWords = (mtu: number | undefined): string => (mtu === undefined ? '' : `mtu ${mtu}`)

function bridgeLines(bridge: BridgePlan): string[] {
  const { name, uplink, gatewayVlan, gateways } = bridge
  const gatewayLink = gatewayVlan?.name ?? name
  return [
    words('ip link add name', name, 'address', bridge.mac, mtuWords(bridge.mtu), 'type bridge'),
    bridge.vlanFiltering ? `ip link set dev ${name} type bridge vlan_filtering 1` : '',
    ...bridge.settings.map(describeSetting),
    words(
      'ip link set dev',
      name,
      bridge.marked && `alias ${BRIDGE_ALIAS}`,
      bridge.promiscuous && 'promisc on',
      'up',
    ),
    ...(uplink === undefined ? [] : [`ip link set dev ${uplink} master ${name} up`]),
    ...(gatewayVlan
      ? [
          `bridge vlan add dev ${name} vid ${gatewayVlan.id} self`,
          `ip link add name ${gatewayVlan.name} link ${name} type vlan id ${gatewayVlan.id}`,
          ...gatewayVlan.settings.map(describeSetting),
          `ip link set dev ${gatewayVlan.name} alias ${BRIDGE_ALIAS} up`,
        ]
      : []),
    ...gateways.map(address =>
      words(
        'ip address add',
        address,
        broadcast(address),
        'dev',
        gatewayLink,
        familyOf(address) === 6 && 'nodad',
      ),
    ),
  ]
}

function hostLines(bridge: string, host: HostPlan): string[] {
  const name = host.names[0]
  const port = [host.hairpin && 'hairpin on', host.isolated && 'isolated on'].filter(word => word !== false)
  const { vlans } = host
  const alias = words('ip link set dev', name, 'alias', host.alias, 'master', bridge)
  if (port.length === 0 && vlans === undefined)
    return [...hostSettings(name).map(describeSetting), `${alias} up`]
  return [
    ...hostSettings(name).map(describeSetting),
    alias,
    ...(port.length > 0 ? [words('ip link set dev', name, 'type bridge_slave', ...port)] : []),
    ...(vlans && !vlans.keepDefault ? [`bridge vlan delete dev ${name} vid 1`] : []),
    ...(vlans?.native === undefined ? [] : [`bridge vlan add dev ${name} vid ${vlans.native} pvid untagged`]),
    ...(vlans?.trunks ?? []).map(
      ({ minID, maxID }) =>
        `bridge vlan add dev ${name} vid ${minID === maxID ? minID : `${minID}-${maxID}`}`,
    ),
    `ip link set dev ${name} up`,
  ]
}

function containerLines(container: ContainerPlan): string[] {
  const { name } = container
  const ip = (command: string): string => `ip -n ${CONTAINER} ${command}`
  return [
    ...[...container.loopbackSettings, ...container.settings].map(
      setting => `ip netns exec ${CONTAINER} ${describeSetting(setting)}`,
    ),
    ...container.addresses.map(address =>
      ip(
        words(
          'address add',
          address,
          broadcast(address),
          'dev',
          name,
          familyOf(address) === 6 && !container.detectDuplicates && 'nodad',
        ),
      ),
    ),
    ...(container.up ? [ip(`link set dev ${name} up`)] : []),
    ...container.routes.map(route => ip(describeRoute(route, name))),
    ...(container.up && container.addresses.length > 0
      ? [ip(`link set dev ${name} address ${container.mac}`)]
      : []),
  ]
}

function describeRoute(route: PlannedRoute, link: string): string {
  const { dst, gw, onlink, table, priority, scope, mtu, advmss } = route
  return words(
    'route append',
    dst,
    gw !== undefined && `via ${gw}`,
    `dev ${link}`,
    onlink && 'onlink',
    table !== undefined && `table ${table}`,
    priority !== undefined && `metric ${priority}`,
    scope !== undefined && `scope ${scope}`,
    mtu !== undefined && `mtu ${mtu}`,
    advmss !== undefined && `advmss ${advmss}`,
  )
}
