/** The ports with which somebody joins a network, as people write them. */

import { TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import { parsePortSpec } from '../model/publication/port-spec.ts'

/** @param text as `docker run -p` takes it, with host ports @throws TsnetError `invalid-environment` */
export function readPort(text: string): PortMapping {
  const { host, container, protocol, hostIp } = parsePortSpec(text)
  if ('socket' in container) {
    throw new TsnetError('invalid-environment', `port ${shown(text)}: a socket is for tsnet publish`)
  }
  if (host === undefined || host.count !== container.count) {
    throw new TsnetError(
      'invalid-environment',
      `port ${shown(text)}: name a host port for each port of the container, such as 8080:80`,
    )
  }
  return {
    protocol,
    hostPort: host.first,
    containerPort: container.first,
    count: container.count,
    ...(hostIp !== undefined && { hostIp }),
  }
}
