/** Rules of others, of any variant, that drop what is to reach a container, leave it, or reach the proxy. */

import { type Family, familyOf, isLoopback } from '../../model/address/address.ts'
import { ipOfHost } from '../../model/address/host.ts'
import type { PortMapping } from '../../model/port-mapping.ts'
import {
  judgeAttached,
  judgeFrames,
  judgeLoopback,
  judgeProxied,
  judgeProxiedFrames,
  judgePublished,
} from '../../ports/foreign-rules.ts'
import type { ListedPort } from '../../publish/list.ts'
import { portsOf } from '../../publish/plan.ts'
import type { Served } from '../../publish/publish.ts'
import type { Check, Found } from '../fault.ts'
import { cureFor, cureForHost } from '../firewalls.ts'
import { type Attached, called, type Patient } from '../patient.ts'
import { portName } from './listening.ts'

export const foreignRules: Check<Patient> = {
  name: 'foreign-rules',
  about: 'no rule of others drops what is to come through, in nftables or either iptables',
  look: patient => [...forAttached(patient), ...forPublished(patient), ...forProxy(patient)],
}

const forAttached = ({ attached }: Patient): Found[] =>
  attached.flatMap(each => {
    const { nat, bridgeOptions } = each.attachment
    if (nat === undefined || each.attachment.dropIn !== undefined) return []
    const { backend, intent } = nat
    const egress = intent.ipMasq || bridgeOptions?.isDefaultGateway === true
    const obstacle = judgeAttached(backend, { ...intent, ports: intent.held ?? intent.ports }, egress)
    return obstacle === undefined ? [] : [told(called(each), obstacle, intent.bridge)]
  })

const forPublished = ({ published }: Patient): Found[] =>
  published.flatMap(each => {
    const on = `port ${each.hostPort}/${each.protocol}`
    const bridge = each.containers[0]?.bridge ?? 'BRIDGE'
    if (each.nat !== undefined)
      return judgePublished(each.nat.backend, each.nat.ports).map(({ obstacle }) =>
        told(on, obstacle, bridge),
      )
    if (each.natObstacle === undefined) return []
    const why =
      'the proxy serves the port instead, and the container sees the address of the host for that of clients'
    return [{ ...told(on, each.natObstacle, bridge), why }]
  })

/** What comes to the proxy passes INPUT. */
const forProxy = ({ published }: Patient): Found[] =>
  published
    .filter(({ nat, mode, hostIp }) => nat === undefined && mode !== 'nat' && !isOfLoopback(hostIp))
    .flatMap(each => {
      const { hostPort: port, protocol } = each
      return ofPort(each, judgeProxied([portsOf(each)])).map(found => ({
        ...found,
        cure: cureForHost(found.what, { protocol, port }),
      }))
    })

const ofPort = ({ hostPort, protocol, containers }: Served, obstacle: string | undefined): Found[] =>
  obstacle === undefined
    ? []
    : [told(`port ${hostPort}/${protocol}`, obstacle, containers[0]?.bridge ?? 'BRIDGE')]

export const frames: Check<Patient> = {
  name: 'frames',
  about: 'no rule of others drops frames on a bridge, or at the ingress or egress of an interface',
  look: ({ attached, published }) => [
    ...attached.flatMap(framesOf),
    ...published.flatMap(each =>
      ofPort(
        each,
        each.nat === undefined
          ? judgeProxiedFrames(isOfLoopback(each.hostIp) ? [] : [portsOf(each)])
          : judgeFrames(
              each.nat.ports,
              { bridge: each.nat.ports.bridge },
              { ipMasq: false, egress: false, beside: false },
            ),
      ),
    ),
  ],
}

function framesOf(each: Attached): Found[] {
  const { nat, bridge, bridgeOptions, hostInterface, containerInterface, leases } = each.attachment
  const intent = nat?.intent
  const obstacle = judgeFrames(
    {
      bridge: bridge.name,
      addresses: intent?.addresses ?? leases.map(({ address }) => address),
      ports: intent?.held ?? intent?.ports ?? [],
    },
    {
      bridge: bridge.name,
      port: hostInterface.name,
      mac: containerInterface.mac,
      bridgeMac: bridge.mac,
    },
    {
      ipMasq: intent?.ipMasq === true,
      egress: intent?.ipMasq === true || bridgeOptions?.isDefaultGateway === true,
      beside: bridgeOptions?.portIsolation !== true,
    },
  )
  return obstacle === undefined ? [] : [told(called(each), obstacle, bridge.name)]
}

const told = (on: string, obstacle: string, bridge: string): Found => ({
  on,
  what: obstacle,
  why: 'clients hang or are refused, however right our own rules are: a drop in one place is not undone in another',
  cure: cureFor(obstacle, bridge),
})

export const loopbackRules: Check<Patient> = {
  name: 'loopback-rules',
  about: 'no rule of others keeps this host from published ports on its own loopback',
  look: ({ ports }) =>
    ports.filter(({ protocol, by }) => protocol === 'tcp' && by.includes('proxy')).flatMap(onLoopback),
}

function onLoopback(port: ListedPort): Found[] {
  const on = loopbackOf(port)
  const obstacle =
    on.length === 0 ? undefined : judgeLoopback({ on, hostPort: port.hostPort, count: port.count })
  if (obstacle === undefined) return []
  return [
    {
      on: portName(port),
      what: obstacle,
      why: 'a client on this host hangs or is refused, while others get through',
      cure: 'accept it before that rule: nft insert rule … oif lo accept; iptables -I OUTPUT -o lo -j ACCEPT',
    },
  ]
}

function loopbackOf({ hostIp }: Pick<PortMapping, 'hostIp'>): (Family | ReturnType<typeof ipOfHost>)[] {
  if (hostIp === undefined) return [4, 6]
  if (isOfLoopback(hostIp)) return [ipOfHost(hostIp)]
  return hostIp === '0.0.0.0' || hostIp === '::' ? [familyOf(ipOfHost(hostIp))] : []
}

const isOfLoopback = (hostIp: PortMapping['hostIp']): boolean => hostIp !== undefined && isLoopback(hostIp)
