/**
 * What containers of Docker are called on their networks, by the endpoints that they have there.
 * Source: Docker Engine API, `GET /containers/json`: `NetworkSettings.Networks` with EndpointID, and of one container
 * (`/containers/ID/json`) the same with Aliases, and from 1.44 on DNSNames.
 */

import { isHostName } from '../model/address/host-name.ts'
import { textsIn } from './files.ts'
import type { Engine } from './sources/engine.ts'

/**
 * @param wanted ids of endpoints
 * @returns by endpoint: aliases first, then the container's own name
 * @throws TsnetError `missing`, `io`
 */
export async function listEndpointNames(
  docker: Engine,
  wanted: readonly string[],
): Promise<Map<string, string[]>> {
  const named = new Map<string, string[]>()
  for (const { id, name, networks } of await docker.listNetworks()) {
    if (!endpointsIn(networks).some(([endpoint]) => wanted.includes(endpoint))) continue
    for (const [endpoint, aliases] of endpointsIn(await docker.networksOf(id))) {
      // Docker gives each container its short id for a name, too.
      const others = aliases.filter(alias => isHostName(alias) && alias !== name && !id.startsWith(alias))
      if (wanted.includes(endpoint))
        named.set(endpoint, [...new Set(others), ...(isHostName(name) ? [name] : [])])
    }
  }
  return named
}

function endpointsIn(networks: unknown): [endpoint: string, aliases: string[]][] {
  return Object.values((networks ?? {}) as object).flatMap((each: unknown): [string, string[]][] => {
    const { EndpointID, Aliases, DNSNames } = (each ?? {}) as Record<string, unknown>
    return typeof EndpointID === 'string' && EndpointID !== ''
      ? [[EndpointID, [...textsIn(Aliases), ...textsIn(DNSNames)]]]
      : []
  })
}
