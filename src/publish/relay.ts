/** Of what a publication asks for, what takes somebody between client and container: the kernel does none of it. */

import type { Protocol } from '../model/port-mapping.ts'
import type { PublicationOptions } from '../proxy/proxy.ts'

/** @returns the first of it, in words; undefined where there is none */
export function needOfRelay(
  protocol: Protocol,
  {
    proxyProtocol,
    allow = [],
    deny = [],
    maxConnections,
    maxSessions,
    sessionIdleMs,
    waitMs = 0,
  }: PublicationOptions,
): string | undefined {
  if (proxyProtocol !== undefined) return '--proxy-protocol needs the proxy'
  if (allow.length > 0 || deny.length > 0) return '--allow and --deny need the proxy'
  if (maxConnections !== undefined) return '--max-connections needs the proxy'
  // They may be asked for together with ports of other protocols, which they do not concern.
  if (protocol === 'udp' && maxSessions !== undefined) return '--udp-sessions needs the proxy'
  if (protocol === 'udp' && sessionIdleMs !== undefined) return '--udp-idle needs the proxy'
  return waitMs > 0 ? '--wait needs the proxy' : undefined
}
