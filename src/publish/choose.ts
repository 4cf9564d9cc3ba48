/**
 * Which publications people mean, by the words with which they name them: whatever `publish` took for them.
 *
 *     its id, a host port as it was published, a whole specification, the container as it was named or is
 *     the port as it was written, where that says no host port: `80`, `8000-8009:80`, `/run/a.sock`
 *     the beginning of the container's id
 *     any other word that leads to the same container
 *
 * A port is one that is published. Where none of that number is, it is the host's side of one in reverse.
 *
 * One that is for a service has its name, and none of those of its containers.
 *
 * The first of these that anything answers to counts. A number is a port and never the beginning of an id.
 */

import { tryParseHostIp } from '../model/address/host.ts'
import { messageOf, TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import { portRange } from '../model/port-mapping.ts'
import { type PortSpec, parsePortSpec } from '../model/publication/port-spec.ts'
import type { Container, Publication } from '../model/publication/publication.ts'
import { sameNamespace } from '../netns/netns.ts'
import { answersTo, tryParseReference } from '../runtime/runtime.ts'

/** Finds a running container. @throws TsnetError */
export type Find = (reference: string) => Promise<Container>

/**
 * @param find asked only for words that nothing answers to by itself
 * @throws TsnetError for a word that nothing published answers to
 */
export async function choosePublications<T extends Publication>(
  published: readonly T[],
  words: readonly string[],
  find: Find,
): Promise<T[]> {
  const chosen = await Promise.all(words.map(word => chooseOne(published, word, find)))
  return [...new Set(chosen.flat())]
}

async function chooseOne<T extends Publication>(
  published: readonly T[],
  word: string,
  find: Find,
): Promise<T[]> {
  for (const answers of ways(word)) {
    const found = published.filter(answers)
    if (found.length > 0) return found
  }
  let details: string | undefined
  if (published.length > 0 && !isNumeric(word)) {
    try {
      const container = await find(word)
      const found = published.filter(
        each => each.service === undefined && each.containers.some(one => isSame(one, container)),
      )
      if (found.length > 0) return found
    } catch (thrown) {
      details = messageOf(thrown)
    }
  }
  const message = `nothing is published as or for ${shown(word)}`
  throw new TsnetError('unknown-container', message, details === undefined ? {} : { details })
}

type Answers = (publication: Publication) => boolean

/** From the closest to the widest. */
function ways(word: string): Answers[] {
  const spec = trySpec(word)
  // Several that share the load are named together, as they were.
  const parts = word.split(',')
  const references = parts.map(tryParseReference)
  const called = (how: 'by name' | 'by beginning') => (publication: Publication) =>
    publication.service === undefined &&
    references.every((reference, i) =>
      publication.containers.some(
        each =>
          (how === 'by name' && each.asked === parts[i]) ||
          (reference !== undefined && answersTo(foundOf(each), reference) === how),
      ),
    )
  return [
    each =>
      each.id === word ||
      each.service?.name === word ||
      (!each.reverse && (isHostPort(each, word) || (spec !== undefined && isWhole(each, spec)))) ||
      called('by name')(each),
    each => !each.reverse && each.asked === word,
    each => each.reverse === true && (isHostPort(each, word) || each.asked === word),
    ...(isNumeric(word) ? [] : [called('by beginning')]),
  ]
}

const isNumeric = (word: string): boolean => /^[\d-]+$/.test(word)

const isSame = (a: Container, b: Container): boolean =>
  sameNamespace(a.netns, b.netns) || (a.runtime === b.runtime && a.id === b.id)

/** As the runtime described it; the scope of its name is in the reference. */
function foundOf({ runtime, id, name, reference }: Container) {
  const scoped = reference.slice(runtime.length + 1)
  const scope = scoped.endsWith(`/${name}`) ? scoped.slice(0, -name.length - 1) : ''
  return { runtime, id, name, ...(scope !== '' && { scope }) }
}

/** `8080`, `8000-8009`, `8080/udp` or `127.0.0.1:8080`. */
function isHostPort({ hostPort, count, protocol, hostIp }: Publication, word: string): boolean {
  const [, host, range, kind = 'tcp'] = /^(?:(.+):)?(\d+(?:-\d+)?)(?:\/(\w+))?$/.exec(word) ?? []
  const ip = tryParseHostIp(host?.replace(/^\[(.*)\]$/, '$1') ?? '')
  if (range === undefined || (host !== undefined && ip === undefined)) return false
  const sameIp = ip === undefined || ip === hostIp
  return sameIp && range === portRange(hostPort, count) && kind.toLowerCase() === protocol
}

/** The whole of what was written, with the one host port that it says. */
function isWhole({ hostPort, count, protocol, hostIp, target }: Publication, spec: PortSpec): boolean {
  const { container } = spec
  const sameTarget =
    'socket' in container
      ? 'socket' in target && target.socket === container.socket
      : 'port' in target && target.port === container.first && count === container.count
  return (
    sameTarget &&
    spec.host?.first === hostPort &&
    spec.host.count === count &&
    spec.hostIp === hostIp &&
    spec.protocol === protocol
  )
}

function trySpec(word: string): PortSpec | undefined {
  try {
    return parsePortSpec(word)
  } catch {
    return undefined // it is another kind of word
  }
}
