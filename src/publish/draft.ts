/** A publication before it has its host port. */

import { randomBytes } from '../ffi/random.ts'
import { TsnetError } from '../model/errors.ts'
import { present } from '../model/present.ts'
import type { PortSpec } from '../model/publication/port-spec.ts'
import type { Container, Publication, PublishRequest } from '../model/publication/publication.ts'
import { containerPorts } from './host-ports.ts'

/** To whom a publication leads. */
export type Led = Pick<Publication, 'containers' | 'service'>

/** What a request publishes of one port or range: one for all containers, or in reverse one in each. */
export const draftsOf = (
  request: PublishRequest,
  led: Led,
  spec: PortSpec,
  asked: string | undefined,
): Publication[] =>
  request.reverse
    ? led.containers.map(each => draftOf(request, { containers: [each] }, spec, asked))
    : [draftOf(request, led, spec, asked)]

function draftOf(
  request: PublishRequest,
  { containers, service }: Led,
  spec: PortSpec,
  asked: string | undefined,
): Publication {
  const {
    specs: _,
    written: __,
    containers: ___,
    service: ____,
    replace: _____,
    since: ______,
    ...options
  } = request
  return {
    ...options,
    id: Buffer.from(randomBytes(8)).toString('hex'),
    protocol: spec.protocol,
    ...(spec.hostIp !== undefined && { hostIp: spec.hostIp }),
    hostPort: spec.host?.first ?? 0,
    count: containerPorts(spec.container),
    target: 'socket' in spec.container ? spec.container : { port: spec.container.first },
    containers,
    ...present({ service }),
    ...(asked !== undefined && { asked }),
    createdAt: new Date().toISOString(),
  }
}

/** The publication that listens on the very ports of another. */
export const findSame = (published: readonly Publication[], draft: Publication): Publication | undefined =>
  published.find(each => each.ending === undefined && placeOf(each) === placeOf(draft))

/** Where it listens, in a form that can be compared: on this host, or in a container. */
const placeOf = ({ reverse, protocol, hostIp, hostPort, count, target, containers }: Publication): string =>
  JSON.stringify(
    reverse
      ? [protocol, count, target, containers.map(({ reference }) => reference)]
      : [protocol, count, hostIp, hostPort],
  )

/** True when two lead to the same containers, by how these are found again. */
export const isForSame = (a: Publication, b: Publication): boolean =>
  JSON.stringify(targetOf(a, ({ reference }) => reference)) ===
  JSON.stringify(targetOf(b, ({ reference }) => reference))

/** Of a service its name alone: who is called so changes. */
const targetOf = ({ containers, service }: Publication, of: (container: Container) => unknown): unknown =>
  service === undefined ? containers.map(of) : [service.name, service.network]

/** The publication that was made as a draft asks for it, on one of these ports, since then. */
export const findMade = (
  published: readonly Publication[],
  draft: Publication,
  hostPorts: readonly number[],
  since: number,
): Publication | undefined =>
  published.find(
    each =>
      each.ending === undefined &&
      !each.beginning &&
      Date.parse(each.createdAt) >= since &&
      (hostPorts.includes(0) || hostPorts.includes(each.hostPort)) &&
      wordsOf(each) === wordsOf(draft),
  )

/** What was asked for, in a form that can be compared. */
const wordsOf = (publication: Publication): string => {
  const { protocol, hostIp, count, target, asked, via, drainMs, keep, reverse } = publication
  const names = targetOf(publication, ({ reference, netns: { dev, ino, cookie } }) => [
    reference,
    dev,
    ino,
    cookie,
  ])
  const limits = limitsOf(publication)
  return JSON.stringify([protocol, hostIp, count, target, asked, via, drainMs, keep, reverse, names, limits])
}

/**
 * A publication that leads where another one asks, with the limits and the rules that it has.
 * @throws TsnetError `unsupported-field` where the other asks for other limits
 */
export function successorOf(earlier: Publication, draft: Publication): Publication {
  if (limitsOf(earlier) !== limitsOf(draft)) {
    throw new TsnetError(
      'unsupported-field',
      `--replace keeps mode and limits of what is published on port ${earlier.hostPort}; repeat its options, or unpublish it first`,
    )
  }
  const { target, via, drainMs, expiresAt, keep, asked, service, hostPort, hostIp } = draft
  const { expiresAt: _, keep: __, asked: ___, service: ____, hostIp: _____, ...rest } = earlier
  return { ...rest, hostPort, target, via, drainMs, ...present({ hostIp, expiresAt, keep, asked, service }) }
}

/** A publication as it shall be again, with the rules that are in the kernel now. */
export function withRulesOf(publication: Publication, now: Publication | undefined): Publication {
  const { nat: _, ...rest } = publication
  return { ...rest, ...(now?.nat && { nat: now.nat }) }
}

/** What a publication keeps when its target is replaced, in a form that can be compared. */
const limitsOf = (publication: Publication): string => {
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
