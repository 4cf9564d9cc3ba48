/** Whom a word of the command line means: a port of the host, a network, or a container of any runtime. */

import { TsnetError } from '../model/errors.ts'
import type { NamespaceId } from '../model/network.ts'
import type { Protocol } from '../model/port-mapping.ts'
import { resolve } from '../publish/resolve.ts'

export type Subject =
  | { kind: 'host' }
  | { kind: 'port'; port: number; protocol?: Protocol }
  | { kind: 'network'; network: string }
  | { kind: 'container'; name: string; netns: { path: string } & NamespaceId }

const PORT = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/

/** `8080`, `8080/udp`; undefined for what is no port. @throws TsnetError `invalid-environment` */
export function tryParsePort(word: string): { port: number; protocol?: Protocol } | undefined {
  const [, digits, protocol] = PORT.exec(word) ?? []
  if (digits === undefined) return undefined
  const port = Number(digits)
  if (port < 1 || port > 65_535)
    throw new TsnetError('invalid-environment', `port ${digits}: ports go from 1 to 65535`)
  return { port, ...(protocol !== undefined && { protocol: protocol as Protocol }) }
}

/**
 * A network counts before a container of the same name, which `docker:NAME` and the like always mean.
 * @param networks the names of all that there are
 * @throws TsnetError `invalid-environment`, `unknown-container`, `not-running` …
 */
export async function subjectOf(word: string | undefined, networks: readonly string[]): Promise<Subject> {
  if (word === undefined) return { kind: 'host' }
  const port = tryParsePort(word)
  if (port !== undefined) return { kind: 'port', ...port }
  if (networks.includes(word)) return { kind: 'network', network: word }
  const { name, netns } = await resolve(word)
  return { kind: 'container', name, netns }
}
