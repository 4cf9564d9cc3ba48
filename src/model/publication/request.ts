/**
 * A request to publish, in the words of whoever asks: a command line, or a line on the control socket.
 */

import { bitsOf, type Cidr, cidrOf, familyOf, parseCidr, tryParseIp } from '../address/address.ts'
import { isHostName } from '../address/host-name.ts'
import { parseDuration } from '../duration.ts'
import { TsnetError } from '../errors.ts'
import { shown } from '../json/shown.ts'
import { parsePortSpec } from './port-spec.ts'
import type { PublishMode, PublishRequest, PublishVia, ServiceName } from './publication.ts'
import { checkReverse, inReverse } from './reverse.ts'

/** All as text, as options come. */
export interface PublishWords {
  /** `-p` specifications; none: every TCP port that the container listens on. */
  ports: string[]
  containers: string[]
  service?: string
  /** Of the service. */
  network?: string
  mode?: string
  via?: string
  /** `v1` or `v2`. */
  proxyProtocol?: string
  allow?: string[]
  deny?: string[]
  maxConnections?: string
  udpSessions?: string
  udpIdle?: string
  expires?: string
  wait?: string
  drain?: string
  replace?: boolean
  keep?: boolean
  /** A port of the host's loopback appears on the containers'. */
  reverse?: boolean
  since?: number
}

const modes: readonly PublishMode[] = ['auto', 'nat', 'proxy', 'redirect']
const ways: readonly PublishVia[] = ['auto', 'bridge', 'netns']
const versions = { v1: 1, v2: 2 } as const

/** What somebody who forgot the container wrote in its place. */
const PORTS = /^[\d[].*:\d+(-\d+)?(\/\w+)?$/

/** A port, or an address before one. */
const PORT_LIKE = /^(?:\d|\[|::)/

/**
 * @param now milliseconds since the epoch, from which `expires` counts
 * @throws TsnetError `invalid-environment` naming the option and the value
 */
export function parsePublishRequest(words: unknown, now = Date.now()): PublishRequest {
  const asked = asWords(words)
  const { reverse = false } = asked
  if (reverse) checkReverse(asked)
  const service = serviceIn(asked)
  if (service === undefined) checkContainer(asked)
  const proxyProtocol =
    asked.proxyProtocol && versions[oneOf('--proxy-protocol', asked.proxyProtocol, ['v1', 'v2'])]
  const maxConnections = asked.maxConnections && positive('--max-connections', asked.maxConnections)
  const maxSessions = asked.udpSessions && positive('--udp-sessions', asked.udpSessions)
  const sessionIdleMs = asked.udpIdle && parseDuration(asked.udpIdle, '--udp-idle')
  if (sessionIdleMs === 0) throw refuse('--udp-idle: a session has to last for some time')
  const specs = asked.ports.map(port =>
    reverse ? inReverse(parsePortSpec(port), port) : parsePortSpec(port),
  )
  if ((maxSessions || sessionIdleMs) && !specs.some(({ protocol }) => protocol === 'udp')) {
    throw refuse('--udp-sessions and --udp-idle are for UDP ports, such as 53:53/udp')
  }
  return {
    specs,
    written: asked.ports,
    containers: asked.containers,
    ...(service !== undefined && { service }),
    mode: reverse ? 'proxy' : oneOf('--mode', asked.mode ?? 'auto', modes),
    via: oneOf('--via', asked.via ?? 'auto', ways),
    allow: (asked.allow ?? []).map(text => network('--allow', text)),
    deny: (asked.deny ?? []).map(text => network('--deny', text)),
    waitMs: parseDuration(asked.wait ?? '0s', '--wait'),
    drainMs: parseDuration(asked.drain ?? '0s', '--drain'),
    replace: asked.replace ?? false,
    ...(asked.keep && { keep: true as const }),
    ...(reverse && { reverse: true as const }),
    ...(asked.since !== undefined && { since: asked.since }),
    ...(proxyProtocol && { proxyProtocol }),
    ...(maxConnections && { maxConnections }),
    ...(maxSessions && { maxSessions }),
    ...(sessionIdleMs && { sessionIdleMs }),
    ...(asked.expires !== undefined && { expiresAt: now + parseDuration(asked.expires, '--expires') }),
  }
}

function checkContainer({ containers: [container], ports: [first, ...others] }: PublishWords): void {
  if (container === undefined) throw refuse('name a container')
  if (first !== undefined && !PORT_LIKE.test(first) && PORT_LIKE.test(container))
    throw refuse(`the container comes last: tsnet publish ${[...others, container, first].join(' ')}`)
  if (PORTS.test(container)) throw refuse(`name a container after the ports: ${shown(container)} is none`)
}

/** The containers of a service are wherever they are: what needs one that is here is refused. */
function serviceIn({ service, network, containers, ports, via }: PublishWords): ServiceName | undefined {
  if (service === undefined) {
    if (network !== undefined) throw refuse('--network says where the containers of --service are')
    return undefined
  }
  if (!isHostName(service)) throw refuse(`--service: ${shown(service)} can be no name of containers`)
  if (containers.length > 0)
    throw refuse(`--service says whom it leads to; ${shown(containers.join(','))} is no port`)
  if (ports.length === 0) throw refuse('--service: name the ports, such as 8080:80')
  if (via === 'netns') throw refuse('--via netns reaches no container of another host; leave it out')
  for (const port of ports) {
    if ('socket' in parsePortSpec(port).container)
      throw refuse(`--service: ${shown(port)} is no port that other hosts reach`)
  }
  return { name: service.toLowerCase(), ...(network !== undefined && { network }) }
}

/** Those that are no text. */
const TYPES = { replace: 'boolean', keep: 'boolean', reverse: 'boolean', since: 'number' } as const

/** Checks the shape; what the words mean is checked one by one. */
function asWords(value: unknown): PublishWords {
  const words = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  for (const [key, each] of Object.entries(words)) {
    const list = ['ports', 'containers', 'allow', 'deny'].includes(key)
    const fits = list
      ? Array.isArray(each) && each.every(item => typeof item === 'string')
      : typeof each === ((TYPES as Record<string, string>)[key] ?? 'string')
    if (!fits) throw refuse(`${key}: ${shown(each)} is not what was expected there`)
  }
  return {
    ...words,
    ports: (words.ports ?? []) as string[],
    containers: (words.containers ?? []) as string[],
  }
}

function oneOf<Word extends string>(what: string, text: string, words: readonly Word[]): Word {
  const word = words.find(each => each === text)
  if (word === undefined) throw refuse(`${what}: ${shown(text)} is not ${words.join(', ')}`)
  return word
}

function positive(what: string, text: string): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (number === 0) throw refuse(`${what}: ${shown(text)} is not a number from 1 on`)
  return number
}

/** A network, or a single address. */
function network(what: string, text: string): Cidr {
  const ip = tryParseIp(text)
  if (ip !== undefined) return cidrOf(ip, bitsOf(familyOf(ip)))
  try {
    return parseCidr(text)
  } catch {
    throw refuse(`${what}: ${shown(text)} is not an address or a network, such as 10.1.0.0/16`)
  }
}

const refuse = (message: string): TsnetError => new TsnetError('invalid-environment', message)
