/**
 * CHECK in the role `bridge`: prevResult against the kernel and the files, whoever made it.
 */

import { verifyResult } from '../../bridge/bridge.ts'
import { verifyLeases } from '../../ipam/ipam.ts'
import { TsnetError } from '../../model/errors.ts'
import type { AttachRequest, Lease } from '../../model/network.ts'
import { present } from '../../model/present.ts'
import type { Previous } from '../../model/previous.ts'
import { chooseBackend, verifyMacGuard, verifyMasquerade } from '../../nat/nat.ts'
import { openContainer } from '../../netns/container.ts'
import type { Netns } from '../../netns/netns.ts'
import type { Context } from '../context.ts'

/** @throws TsnetError `mismatch` naming everything that is not as prevResult says */
export async function checkDropIn(
  request: AttachRequest,
  previous: Previous,
  context: Context,
): Promise<void> {
  using netns = openContainer(request.netns, context.allowOwnNetns)
  const problems = await problemsOf(request, previous, netns)
  if (problems.length === 0) return
  const { network, containerId, ifname } = request
  // The message begins as the reference's does.
  throw new TsnetError('mismatch', problems.join('; '), {
    details: `${ifname} of container ${containerId} on network ${network.name}`,
  })
}

async function problemsOf(request: AttachRequest, previous: Previous, netns: Netns): Promise<string[]> {
  const { network, containerId, ifname } = request
  const { interfaces } = previous
  const at = interfaces.findIndex(({ name, sandbox }) => name === ifname && sandbox === request.netns)
  const container = interfaces[at]
  if (container === undefined) {
    const other = interfaces.find(({ name, sandbox }) => name === ifname && sandbox)?.sandbox ?? ''
    return [`Sandbox in prevResult ${other} doesn't match configured netns: ${request.netns}`]
  }
  const { name, promiscMode, macspoofchk } = network.bridge
  const bridge = interfaces.find(each => each.name === name && !each.sandbox)
  const leases: Lease[] = previous.ips
    .filter(ip => ip.interface === undefined || ip.interface === at)
    .map(({ address, gateway }) => present({ address, gateway }))
  const key = { network: network.name, containerId, ifname }
  const hosts = interfaces.filter(each => each !== bridge && !each.sandbox)
  const problems = [
    ...(bridge === undefined ? [`prevResult has no interface ${name} of the host`] : []),
    ...verifyResult(
      {
        bridge: present({ name, mac: bridge?.mac, promiscuous: promiscMode }),
        container,
        hosts,
        leases,
        routes: previous.routes,
        routesInFull: previous.raw?.cniVersion === '1.1.0',
      },
      netns,
    ),
    ...(await verifyLeases(network.ipam, key, request.netns, leases, previous.raw)),
  ]
  if (network.ipMasq && leases.length > 0) {
    const addresses = leases.map(({ address }) => address)
    problems.push(...(await verifyMasquerade(chooseBackend(network.natBackend), { ...key, addresses })))
  }
  if (macspoofchk) {
    const hostInterface = hosts.length === 1 ? hosts[0]?.name : undefined
    const mac = container.mac?.toLowerCase()
    problems.push(...(await verifyMacGuard({ ...key, hostInterface, mac })))
  }
  return problems
}
