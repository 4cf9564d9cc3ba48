/**
 * The ports that dockerd publishes, as its API lists them: each port and address by itself. Neighbours are put
 * together again, and so are the two addresses that stand for all.
 * Source: Docker Engine API, `GET /containers/json`: `Ports` with IP, PrivatePort, PublicPort, Type.
 */

import { type Ip, tryParseIp } from '../model/address/address.ts'
import type { NamespaceId } from '../model/network.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import { protocolOf } from '../model/proxy-call.ts'
import { tryOpenNetns } from '../netns/netns.ts'
import type { Engine } from './sources/engine.ts'

/** A range of ports, and the container that it leads to. */
export interface DockerPort extends PortMapping {
  id: string
  name: string
  netns: { path: string } & NamespaceId
}

/** Those of running containers. @throws TsnetError `missing`, `io` */
export async function listDockerPorts(docker: Engine): Promise<DockerPort[]> {
  const containers = await docker.listPorts()
  const all = await Promise.all(
    containers.map(async ({ id, name, ports }) => {
      const mappings = joined(ports.flatMap(port => mappingOf(port) ?? []))
      if (mappings.length === 0) return []
      const { pid = 0 } = await docker.locate({ runtime: 'docker', id, name })
      const path = `/proc/${pid}/ns/net`
      using netns = pid > 0 ? tryOpenNetns(path) : undefined
      // Where it cannot be looked into, it does not run.
      const place = { path, ...(netns?.id ?? { dev: 0, ino: 0 }) }
      return mappings.map(mapping => ({ id, name, netns: place, ...mapping }))
    }),
  )
  return all.flat()
}

function mappingOf(port: unknown): PortMapping | undefined {
  const { IP, PrivatePort, PublicPort, Type } = (port ?? {}) as Record<string, unknown>
  const protocol = protocolOf(Type)
  const hostIp = typeof IP === 'string' ? tryParseIp(IP) : undefined
  if (protocol === undefined || !isPort(PrivatePort) || !isPort(PublicPort)) return undefined
  return {
    protocol,
    hostPort: PublicPort,
    containerPort: PrivatePort,
    count: 1,
    ...(hostIp !== undefined && { hostIp }),
  }
}

const isPort = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) > 0 && (value as number) <= 65_535

/** Ranges in place of ports, and every address in place of both families' unspecified ones. */
export function joined(ports: readonly PortMapping[]): PortMapping[] {
  const ranges: PortMapping[] = []
  for (const port of ports.toSorted((a, b) => a.hostPort - b.hostPort)) {
    const before = ranges.find(
      each =>
        each.protocol === port.protocol &&
        each.hostIp === port.hostIp &&
        each.hostPort + each.count === port.hostPort &&
        each.containerPort + each.count === port.containerPort,
    )
    if (before === undefined) ranges.push({ ...port })
    else before.count++
  }
  const isIn = (one: PortMapping, hostIp: string) =>
    ranges.some(
      each =>
        each.hostIp === hostIp &&
        JSON.stringify({ ...each, hostIp: '' }) === JSON.stringify({ ...one, hostIp: '' }),
    )
  return ranges.flatMap(each => {
    const { hostIp, ...rest } = each
    if (hostIp === ANY_IPV4 && isIn(each, ANY_IPV6)) return [rest]
    return hostIp === ANY_IPV6 && isIn(each, ANY_IPV4) ? [] : [each]
  })
}

const ANY_IPV4 = '0.0.0.0' as Ip
const ANY_IPV6 = '::' as Ip
