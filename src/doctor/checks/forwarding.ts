/** Settings of the kernel that no record speaks of, and that keep packets from passing the host. */

import { findUplinks } from '../../foreign/uplinks.ts'
import { familiesOf, familyOf } from '../../model/address/address.ts'
import { findLink } from '../../netlink/link/link.ts'
import { openNetlink } from '../../netlink/netlink.ts'
import { listRoutes } from '../../netlink/route.ts'
import { readSysctl } from '../../netns/sysctl.ts'
import { judgeBridged } from '../../ports/foreign-rules.ts'
import { isStrict } from '../../ports/return-path.ts'
import type { Check, Found } from '../fault.ts'
import type { Patient } from '../patient.ts'

export const forwarding: Check<Patient> = {
  name: 'forwarding',
  about: 'interfaces forward, and bridged packets do not pass rules that are for routed ones',
  look: patient => [...closedInterfaces(patient), ...bridgedPackets(patient)],
}

/** The setting of all is on, and that of one interface is not. */
function closedInterfaces({ attached }: Patient): Found[] {
  const bridges = new Set(attached.map(({ attachment }) => attachment.bridgeName))
  if (bridges.size === 0) return []
  return familiesOf(
    attached.flatMap(({ attachment }) => attachment.leases.map(({ address }) => address)),
  ).flatMap(family => {
    if (readSysctl(family === 4 ? 'net/ipv4/ip_forward' : 'net/ipv6/conf/all/forwarding') !== '1') return []
    const uplinks = findUplinks(family, '').map(({ name }) => name)
    return [...new Set([...bridges, ...uplinks])].flatMap((name): Found[] => {
      const setting = `net/ipv${family}/conf/${name}/forwarding`
      if (readSysctl(setting) !== '0') return []
      return [
        {
          on: `interface ${name}`,
          what: `${setting} is 0, while the host forwards`,
          why: `what arrives by ${name} is not passed on`,
          cure: `sysctl -w ${setting.replaceAll('/', '.')}=1, and find who sets it: /etc/sysctl.d`,
        },
      ]
    })
  })
}

/** What containers of one network send each other is bridged, and passes the rules about routed packets all the same. */
function bridgedPackets({ attached }: Patient): Found[] {
  const byNetwork = new Map(attached.map(({ attachment }) => [attachment.network, attachment]))
  return [...byNetwork.values()].flatMap(({ network, bridgeName, leases, bridgeOptions }) =>
    bridgeOptions?.portIsolation === true
      ? []
      : leases.flatMap(({ address }): Found[] => {
          const family = familyOf(address)
          const setting = `net/bridge/bridge-nf-call-${family === 4 ? 'iptables' : 'ip6tables'}`
          const drop = readSysctl(setting) === '1' ? judgeBridged(bridgeName, address) : undefined
          if (drop === undefined) return []
          return [
            {
              on: `network ${network}`,
              what: `${setting} is 1, and ${drop}`,
              why: 'containers on the network do not reach each other, although nothing between them is routed',
              cure: `sysctl -w ${setting.replaceAll('/', '.')}=0 where nothing else (Kubernetes, Docker) needs it, or accept before that rule: -i ${bridgeName} -o ${bridgeName}`,
            },
          ]
        }),
  )
}

export const returnPath: Check<Patient> = {
  name: 'return-path',
  about: 'clients of every way in are answered, and not taken for forged',
  look: ({ ports }) => (ports.length === 0 ? [] : strictWaysIn()),
}

/** Interfaces with a default route that is not the best one: strict filtering drops strangers who come by them. */
function strictWaysIn(): Found[] {
  using nl = openNetlink()
  const [best, ...others] = listRoutes(nl, { family: 4, table: 254, onlyDefault: true })
    .filter(({ type, index }) => type === 'unicast' && index !== undefined)
    .sort((a, b) => (a.priority ?? 0) - (b.priority ?? 0))
  return others
    .filter(({ index }) => index !== best?.index)
    .flatMap(({ index }): Found[] => {
      const link = findLink(nl, { index: index ?? 0 })
      if (link === undefined || !link.up || !isStrict(link.name)) return []
      return [
        {
          on: `interface ${link.name}`,
          what: `reverse path filtering is strict (net/ipv4/conf/${link.name}/rp_filter), and the best default route leaves by another interface`,
          why: `clients who come by ${link.name} from beyond its own network are dropped without a word`,
          cure: `sysctl -w net.ipv4.conf.${link.name}.rp_filter=2`,
        },
      ]
    })
}
