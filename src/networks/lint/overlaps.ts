/** What of the host is in the way of a network: subnets and bridges of other networks, addresses and routes. */

import { vlanInterface } from '../../bridge/bridge.ts'
import { deviceName } from '../../hosts/carrier/plan.ts'
import { overlaps } from '../../model/address/address.ts'
import type { NetworkList } from '../../runtime/conflist.ts'
import { subnetsOf } from '../../runtime/network-folders.ts'
import type { Host } from '../places.ts'
import { otherNetworks, takenByKernel } from '../taken.ts'
import { type Finding, warning } from './finding.ts'
import type { PluginLint } from './plugin.ts'

export function overlapsOf(list: NetworkList, lints: readonly PluginLint[], host: Host): Finding[] {
  const others = otherNetworks(host).filter(({ name }) => name !== list.name)
  return list.plugins.flatMap(({ config }, plugin) => {
    const { name: bridge, vlan } = lints[plugin]?.network?.bridge ?? {}
    const taken = [
      ...others.flatMap(({ name, subnets }) =>
        subnets.map(cidr => ({ cidr, by: `network ${name} (${cidr})` })),
      ),
      // Without a bridge of its own a network may well be that of an interface of the host.
      ...(bridge === undefined
        ? []
        : takenByKernel([
            bridge,
            deviceName(list.name),
            ...(vlan === undefined ? [] : [vlanInterface(bridge, vlan)]),
          ])),
    ]
    const owners = others.filter(({ bridges }) => bridge !== undefined && bridges.includes(bridge))
    const inWords = [
      ...subnetsOf(config).flatMap(subnet => {
        const met = taken.filter(({ cidr }) => overlaps(cidr, subnet)).map(({ by }) => by)
        return [...new Set(met)].map(
          by => `${config.hosts === undefined ? 'ipam' : 'hosts'}: ${subnet} overlaps with ${by}`,
        )
      }),
      ...owners.map(({ name }) => `bridge: ${bridge} is the bridge of network ${name} too`),
    ]
    return inWords.map(each => ({ ...warning(each), plugin }))
  })
}
