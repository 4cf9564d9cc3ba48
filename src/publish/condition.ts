/**
 * What is so about a published port, in one word and a sentence: whoever lists ports looks at the record, asks
 * the daemon what is in its way, and the container's namespace who listens there.
 */

import type { NamespaceId, NatBackend } from '../model/network.ts'
import { type Protocol, portRange } from '../model/port-mapping.ts'
import { type Container, calledAll, type Service } from '../model/publication/publication.ts'
import { thereCheck } from '../netns/container.ts'
import { tryOpenNetns } from '../netns/netns.ts'
import { allListening, type Listening, type ListeningPort } from '../runtime/runtime.ts'
import { silenceOfHost } from './reverse/reverse.ts'

/**
 * `waiting`: something is in its way that may pass; of one that is kept, its container may be away. `stopped`: no
 * container of it runs. `silent`: nobody in the container, or in reverse on this host, listens on the port. `starting`, `ending`: it is being made or
 * taken down.
 */
export type PortState = 'serving' | 'waiting' | 'stopped' | 'silent' | 'starting' | 'ending'

/** Ends what is said of one that is kept while its container is away. */
export const UNTIL_BACK = 'the port is free until it is back'

export interface Condition {
  state: PortState
  /** A sentence; absent where there is nothing to say. */
  why?: string
  /** Who serves it now. */
  by: string[]
}

/** A container as far as its ports are concerned. */
export type Place = Pick<Container, 'asked' | 'name'> & { netns: { path: string } & NamespaceId }

export interface PortFacts {
  protocol: Protocol
  target: { port: number } | { socket: string }
  count: number
  containers: readonly Place[]
  /** It is for whoever is called so, and `containers` are those of this host. */
  service?: Service
  /** It is dialled from inside the container, whose loopback counts as well. */
  inside: boolean
  /** The other way: who has to listen is on this host, there. */
  reverse?: Parameters<typeof silenceOfHost>[0]
  /** The rules that lead there. */
  backend?: NatBackend
  /** Who else leads there. */
  others?: string[]
  /** The proxy listens for it. */
  isHeld: boolean
  /** The kernel leads clients of loopback past it. */
  isRedirected?: boolean
  /** It should, and can only where a daemon runs. */
  needsDaemon: boolean
  obstacle?: string
  natObstacle?: string
  redirectObstacle?: string
  /** It is kept, and waits for its container. */
  isResting?: boolean
  isStarting?: boolean
  isEnding?: boolean
  /** Until then connections may finish; milliseconds since the epoch. */
  drainsUntil?: number
}

/** @param listening one for all that are looked at together */
export function conditionOf(facts: PortFacts, listening: ListeningIn): Condition {
  const { containers, backend, others = [], isHeld, isRedirected = false, needsDaemon } = facts
  const { obstacle, natObstacle, redirectObstacle } = facts
  const by = [
    ...others,
    ...(backend === undefined ? [] : [backend]),
    ...(isRedirected ? ['redirect'] : []),
    ...(isHeld ? ['proxy'] : []),
  ]
  const say = (state: PortState, why?: string): Condition => ({
    state,
    by,
    ...(why !== undefined && { why }),
  })
  if (facts.isEnding) {
    const { drainsUntil } = facts
    const finishing =
      drainsUntil === undefined
        ? undefined
        : `connections may finish until ${new Date(drainsUntil).toISOString()}`
    return say('ending', obstacle ?? finishing)
  }
  if (facts.isStarting) return say('starting')
  if (facts.isResting)
    return say('waiting', obstacle ?? `${calledAll(containers)} is looked for; ${UNTIL_BACK}`)
  const absence = absenceOf(facts)
  if (absence !== undefined) return say('stopped', obstacle ?? absence)
  const stopped = containers.filter(each => !listening.isThere(each.netns))
  const resting = stopped.length === 0 ? undefined : `${calledAll(stopped)} does not run`
  const isAway = (facts.service?.away.length ?? 0) > 0
  if (stopped.length === containers.length && !isAway) return say('stopped', obstacle ?? resting)
  if (obstacle !== undefined) return say('waiting', obstacle)
  if (needsDaemon && by.length === 0) return say('waiting', 'no daemon runs')
  const silence = silenceOf(facts, listening)
  if (silence !== undefined) return say('silent', silence)
  const alone = needsDaemon ? 'no daemon runs: nobody answers on 127.0.0.1 and ::1' : undefined
  return say('serving', resting ?? alone ?? natObstacle ?? redirectObstacle)
}

/** What is so of a service that nobody is; undefined where somebody is, or it is for no service. */
export function absenceOf({
  containers,
  service,
}: Pick<PortFacts, 'containers' | 'service'>): string | undefined {
  if (service === undefined || service.away.length + containers.length > 0) return undefined
  const { name, network, drained } = service
  const where = network === undefined ? '' : ` on network ${network}`
  const others = drained === 0 ? '' : ` but ${drained} of hosts that are drained`
  return `no container is called ${name}${where}${others}; who connects is turned away`
}

/** What nobody listens on, and what is listened on instead; undefined where somebody listens, or none can tell. */
export function silenceOf(
  {
    protocol,
    target,
    count,
    containers,
    service,
    inside,
    reverse,
  }: Omit<PortFacts, 'isHeld' | 'needsDaemon'>,
  listening: ListeningIn,
): string | undefined {
  if (reverse !== undefined) return silenceOfHost(reverse)
  // What listens on other hosts is not to be seen from here.
  if ('socket' in target || (service !== undefined && service.away.length > 0)) return undefined
  const reasons = containers
    .filter(each => listening.isThere(each.netns))
    .map(container => {
      const all = listening.of(container.netns)
      const own = all[protocol]
      if (own === undefined) return undefined
      const called = own.filter(({ port }) => port >= target.port && port < target.port + count)
      if (called.some(({ loopback }) => inside || !loopback)) return undefined
      const range = portRange(target.port, count)
      if (called.length > 0)
        return `${calledAll([container])} listens on ${range} of 127.0.0.1 or ::1 alone: publish it with --via netns`
      return `nothing listens on ${range}/${protocol} of ${calledAll([container])}; ${whatElse(all)}`
    })
  return reasons.every(each => each !== undefined) ? reasons[0] : undefined
}

const whatElse = (all: Listening): string => {
  const ports = Object.entries(all).flatMap(([protocol, each]) => each.map(one => describe(one, protocol)))
  return ports.length === 0 ? 'it listens on nothing yet' : `it listens on ${ports.join(', ')}`
}

const describe = ({ port, loopback }: ListeningPort, protocol: string): string =>
  `${port}/${protocol}${loopback ? ' (loopback alone)' : ''}`

/** Who listens in namespaces, and whether they are there: each is looked at once. */
export class ListeningIn {
  readonly isThere = thereCheck()
  readonly #known = new Map<string, Listening>()

  /** Nothing is known of a namespace that has gone. */
  of({ path, dev, ino }: Place['netns']): Listening {
    const key = `${dev}:${ino}`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    using netns = tryOpenNetns(path)
    const listening = netns === undefined ? {} : allListening(netns)
    this.#known.set(key, listening)
    return listening
  }
}
