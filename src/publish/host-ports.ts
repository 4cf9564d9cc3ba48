/** Which host ports a specification may get, in the order they are tried. */

import type { PortSpec } from '../model/publication/port-spec.ts'
import { readSysctl } from '../netns/sysctl.ts'

/** How many free ports are looked for before giving up, where any would do. */
const ATTEMPTS = 64

/** First host ports. One: that one or none. */
export function hostPortChoices({ host, container }: PortSpec): number[] {
  const count = containerPorts(container)
  if (host === undefined) return ephemeral(count)
  return Array.from({ length: host.count - count + 1 }, (_, i) => host.first + i)
}

/** How many ports a specification publishes. */
export const containerPorts = (container: PortSpec['container']): number =>
  'socket' in container ? 1 : container.count

/** From a random place in the range that the kernel itself takes ports from. */
function ephemeral(count: number): number[] {
  const [low = 32768, high = 60999] = (readSysctl('net/ipv4/ip_local_port_range') ?? '')
    .split(/\s+/)
    .map(Number)
  const places = Math.max(high - low - count + 2, 1)
  const start = Math.floor(Math.random() * places)
  return Array.from({ length: Math.min(ATTEMPTS, places) }, (_, i) => low + ((start + i) % places))
}
