/** What to publish of containers when nobody says: the TCP ports that they listen on. */

import { TsnetError } from '../model/errors.ts'
import type { PortSpec } from '../model/publication/port-spec.ts'
import type { Container, PublishRequest, PublishVia } from '../model/publication/publication.ts'
import { openNetns } from '../netns/netns.ts'
import { listListening } from '../runtime/runtime.ts'

/** What a request asks for; where it names no port, every one that is listened on. @throws TsnetError as listeningSpecs */
export const specsOf = ({ specs, via }: PublishRequest, containers: readonly Container[]): PortSpec[] =>
  specs.length === 0 ? listeningSpecs(containers, via) : specs

/**
 * A specification with any free host port for each TCP port that all of these containers listen on, as far
 * as it can be reached.
 * @throws TsnetError `invalid-environment` where there is none
 */
export function listeningSpecs(containers: readonly Container[], via: PublishVia): PortSpec[] {
  const [first = [], ...others] = containers.map(container => reachablePorts(container, via))
  const ports = first.filter(port => others.every(each => each.includes(port)))
  if (ports.length > 0) return ports.map(port => ({ protocol: 'tcp', container: { first: port, count: 1 } }))
  const names = containers.map(({ name }) => name).join(', ')
  throw new TsnetError(
    'invalid-environment',
    `${names}: no TCP port is listened on that could be published; name one, such as 8080:80`,
  )
}

function reachablePorts(container: Container, via: PublishVia): number[] {
  using netns = openNetns(container.netns.path)
  // Who dials from inside reaches the container's loopback too.
  const inside = via === 'netns' || (via === 'auto' && container.addresses.length === 0)
  return listListening(netns).flatMap(({ port, loopback }) => (inside || !loopback ? [port] : []))
}
