/** A publication before it has its host port. */

import { randomBytes } from 'node:crypto'
import type { PortSpec } from '../model/port-spec.ts'
import type { Container, Publication, PublishRequest } from '../model/publication.ts'
import { containerPorts } from './host-ports.ts'

/** One port or range of a request. */
export function draftOf(
  request: PublishRequest,
  containers: Container[],
  spec: PortSpec,
  asked: string | undefined,
): Publication {
  const { specs: _, written: __, containers: ___, replace: ____, ...options } = request
  return {
    ...options,
    id: randomBytes(8).toString('hex'),
    protocol: spec.protocol,
    ...(spec.hostIp !== undefined && { hostIp: spec.hostIp }),
    hostPort: spec.host?.first ?? 0,
    count: containerPorts(spec.container),
    target: 'socket' in spec.container ? spec.container : { port: spec.container.first },
    containers,
    ...(asked !== undefined && { asked }),
    createdAt: new Date().toISOString(),
  }
}

/** The publication that has the very host ports of another. */
export const findSame = (published: readonly Publication[], draft: Publication): Publication | undefined =>
  published.find(
    each =>
      each.protocol === draft.protocol &&
      each.hostIp === draft.hostIp &&
      each.hostPort === draft.hostPort &&
      each.count === draft.count,
  )

/** What a publication keeps when its target is replaced, in a form that can be compared. */
export const limitsOf = (publication: Publication): string => {
  const { mode, allow, deny, waitMs, maxConnections, maxSessions, sessionIdleMs, proxyProtocol } = publication
  return JSON.stringify([
    mode,
    allow,
    deny,
    waitMs,
    maxConnections,
    maxSessions,
    sessionIdleMs,
    proxyProtocol,
  ])
}
