/** Networks of many hosts: that this one is one of them, that others reach it, and by whom the network leaves. */

import { readHostsOf } from '../../cni/config/hosts.ts'
import { Carrier, linkAddress } from '../../hosts/carrier/carrier.ts'
import { egressFaults, isSelf } from '../../hosts/egress/egress.ts'
import type { HostRow } from '../../hosts/hosts.ts'
import { hostId, ownPart, readHeld } from '../../hosts/kept.ts'
import { readKnown } from '../../hosts/known.ts'
import type { Member } from '../../hosts/members.ts'
import { findUnderlay } from '../../hosts/underlay.ts'
import { TsnetError } from '../../model/errors.ts'
import { type HostsNetwork, prefixesOf } from '../../model/hosts/hosts.ts'
import { listNetworks } from '../../networks/networks.ts'
import { notHere } from '../../ports/egress.ts'
import { judgeProxied } from '../../ports/foreign-rules.ts'
import type { Check, Found } from '../fault.ts'
import { cureForHost } from '../firewalls.ts'
import type { Patient } from '../patient.ts'

interface OfHosts {
  name: string
  options: HostsNetwork
}

/** What cannot be read is told by `lists`. */
function networksOf({ host, networks }: Patient): OfHosts[] {
  const names = new Set(networks.map(({ name }) => name))
  return listNetworks(host.confDir).flatMap(({ list }) => {
    if (!names.delete(list.name)) return []
    try {
      const plugin = list.plugins.find(({ type, config }) => type === 'tsnet' && config.hosts !== undefined)
      const options = plugin && readHostsOf(plugin.config)
      return options === undefined ? [] : [{ name: list.name, options }]
    } catch {
      return []
    }
  })
}

const said = async ({ daemon }: Patient): Promise<{ hosts: HostRow[]; troubles: string[] } | undefined> =>
  daemon.kind === 'running'
    ? ((await daemon.client.ask('hosts')) as { hosts: HostRow[]; troubles: string[] })
    : undefined

export const hosts: Check<Patient> = {
  name: 'hosts',
  about: 'the daemon reaches etcd, and nobody contradicts what this host says there',
  look: async patient => {
    const all = networksOf(patient)
    if (all.length === 0) return []
    return ((await said(patient))?.troubles ?? []).flatMap((trouble): Found[] => {
      const network = all.find(({ name }) => trouble.startsWith(`network ${name}: `))
      if (network === undefined) return []
      return [
        {
          on: `network ${network.name}`,
          what: trouble.slice(`network ${network.name}: `.length),
          why: 'packets go on, but hosts that come, go or move are not heard of, and after a day this one gives out no addresses',
          cure: `look whether etcd answers: etcdctl --endpoints ${network.options.etcd.endpoints.join(',')} endpoint health, and tsnet host ls`,
        },
      ]
    })
  },
}

/** RFC 8200, section 5; and what IPv4 has to take (RFC 791). */
const MTU_MIN = { 4: 576, 6: 1280 } as const

/** Of VXLAN over IPv6. */
const OVERHEAD_MAX = 70

export const hostPrefix: Check<Patient> = {
  name: 'host-prefix',
  about: 'this host has a prefix of each network of many hosts, and its packets fit',
  look: patient =>
    networksOf(patient).flatMap(({ name, options }): Found[] => {
      try {
        const { mtu } = ownPart(name, options)
        const least = options.pools.some(({ subnet }) => subnet.includes(':')) ? MTU_MIN[6] : MTU_MIN[4]
        if (mtu >= least) return []
        return [
          {
            on: `network ${name}`,
            what: `containers can send packets of ${mtu} bytes, and IP needs ${least}`,
            why: 'the kernel gives such an interface no IPv6 address, and many paths break',
            cure: `give the interface by which hosts reach each other a larger MTU: ${least + OVERHEAD_MAX} is enough`,
          },
        ]
      } catch (thrown) {
        if (!(thrown instanceof TsnetError)) throw thrown
        return [
          {
            on: `network ${name}`,
            what: thrown.message.replace(`network ${name}: `, ''),
            why: 'no container can be attached to it here',
            cure: thrown.details ?? 'tsnet host ls says what keeps it',
          },
        ]
      }
    }),
}

const STILL_THERE: readonly HostRow['state'][] = ['self', 'up', 'kept']

export const carrier: Check<Patient> = {
  name: 'carrier',
  about:
    'what leads to each of the other hosts is there, and no rule of others drops what they send by VXLAN',
  look: async patient => {
    const all = networksOf(patient)
    const rows = all.length === 0 ? undefined : (await said(patient))?.hosts
    return all.flatMap(({ name, options }): Found[] => {
      const { carrier, port } = options
      const parts = partsLacking(name, options, rows).map(what => ({
        on: `network ${name}`,
        what,
        why: 'its containers are not reached from here, or not with full packets',
        cure: 'the daemon puts it back within seconds: read its log, or start it',
      }))
      if (carrier !== 'vxlan') return parts
      const obstacle = judgeProxied([{ protocol: 'udp', hostPort: port, containerPort: port, count: 1 }])
      if (obstacle === undefined) return parts
      return [
        ...parts,
        {
          on: `network ${name}`,
          what: obstacle,
          why: 'nothing that containers of other hosts send arrives',
          cure: cureForHost(obstacle, { protocol: 'udp', port }),
        },
      ]
    })
  },
}

/**
 * Of the hosts that were written down, what leads to them and is not there.
 * @param rows of hosts as the daemon has them, of which what is written down may differ by some seconds; absent: none runs
 */
function partsLacking(
  network: string,
  options: HostsNetwork,
  rows: readonly HostRow[] | undefined,
): string[] {
  const [held, known] = [readHeld(network), readKnown(network)]
  if (held === undefined || known === undefined) return []
  const { pools, carrier, port } = options
  const isSo = ({ id, number, addresses }: Member): boolean =>
    rows === undefined ||
    rows.some(
      each =>
        each.network === network &&
        each.id === id &&
        STILL_THERE.includes(each.state) &&
        each.addresses.join() === addresses.join() &&
        each.prefixes.join() === prefixesOf(pools, number).join(),
    )
  const own = pools.map(({ subnet }) => subnet)
  const place = {
    network,
    layout: { pools, carrier, port },
    number: held.number,
    mac: linkAddress(hostId(), network),
  }
  try {
    const underlay = findUnderlay(options.underlay, known.address, own)
    return new Carrier(place, underlay, known.members.filter(isSo), () => {}).faults()
  } catch (thrown) {
    if (!(thrown instanceof TsnetError)) throw thrown
    return [thrown.message]
  }
}

export const egress: Check<Patient> = {
  name: 'egress',
  about: 'a host by which a network is to leave is there, and what leads to it',
  look: async patient => {
    const all = networksOf(patient).filter(({ options }) => options.leaving !== undefined)
    const rows = all.length === 0 ? undefined : (await said(patient))?.hosts
    return all.flatMap(({ name, options }): Found[] => {
      const { hosts = [], addresses = [], otherwise = 'none' } = options.leaving ?? {}
      const on = `network ${name}`
      const isThere = (wanted: string): boolean =>
        (rows ?? []).some(
          ({ network, id, name: called, state }) =>
            network === name &&
            STILL_THERE.includes(state) &&
            [id, called.toLowerCase()].includes(wanted.toLowerCase()),
        )
      const found: Found[] = []
      if (rows !== undefined && !hosts.some(isThere)) {
        found.push({
          on,
          what: `it is to leave by ${hosts.join(' or ')}, and no such host is there`,
          why: otherwise === 'own' ? 'each container leaves by its own host instead' : 'nothing leaves it',
          cure: 'tsnet host ls says who is there; start that host, or name another in "egress" of the list',
        })
      }
      const number = readHeld(name)?.number
      if (number !== undefined && !isSelf(hosts[0] ?? ''))
        found.push(
          ...egressFaults(name, prefixesOf(options.pools, number)).map(what => ({
            on,
            what,
            why: 'what leaves it goes the wrong way, or nowhere',
            cure: 'the daemon puts it back within seconds: read its log, or start it',
          })),
        )
      if (hosts.some(isSelf))
        found.push(
          ...notHere(addresses).map(address => ({
            on,
            what: `it leaves by this host as ${address}, which this host does not have`,
            why: 'no answer comes back',
            cure: `ip address add ${address}/${address.includes(':') ? 128 : 32} dev INTERFACE`,
          })),
        )
      return found
    })
  },
}
