/** Which publications people mean, by the words with which they name them. */

import { tryParseIp } from '../model/address.ts'
import { TsnetError } from '../model/errors.ts'
import { portRange } from '../model/port-mapping.ts'
import { parsePortSpec } from '../model/port-spec.ts'
import type { Publication } from '../model/publication.ts'

/** @throws TsnetError for a word that nothing published answers to */
export function choosePublications<T extends Publication>(
  published: readonly T[],
  words: readonly string[],
): T[] {
  const chosen = words.flatMap(word => {
    const found = published.filter(each => answers(each, word))
    if (found.length === 0)
      throw new TsnetError('unknown-container', `nothing is published as or for ${JSON.stringify(word)}`)
    return found
  })
  return [...new Set(chosen)]
}

/** By id, by container (name, id or reference), or by host port as it was published. */
function answers(publication: Publication, word: string): boolean {
  const named = publication.containers.some(
    ({ name, reference, id }) =>
      name === word || reference === word || id === word || (word.length >= 12 && id.startsWith(word)),
  )
  return named || publication.id === word || isHostPort(publication, word)
}

/** `8080`, `8080/udp`, `127.0.0.1:8080` or the whole `8080:80`. */
function isHostPort({ hostPort, count, protocol, hostIp, target }: Publication, word: string): boolean {
  const bare = /^(?:(.+):)?(\d+(?:-\d+)?)(?:\/(\w+))?$/.exec(word)
  if (bare === null) return false
  const ip = tryParseIp(bare[1]?.replace(/^\[(.*)\]$/, '$1') ?? '')
  if (bare[1] === undefined || ip !== undefined) {
    const sameIp = ip === undefined || ip === hostIp
    return sameIp && bare[2] === portRange(hostPort, count) && (bare[3] ?? 'tcp') === protocol
  }
  const spec = parsePortSpec(word)
  return (
    spec.host?.first === hostPort &&
    spec.hostIp === hostIp &&
    spec.protocol === protocol &&
    'port' in target &&
    'first' in spec.container &&
    spec.container.first === target.port
  )
}
