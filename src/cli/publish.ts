/** `tsnet publish`, `unpublish` and `ports`. */

import { ANSWER_WITHIN_MS, type ControlClient, connectControl } from '../control/client.ts'
import { daemonAtHand } from '../control/start.ts'
import { isUnspecified, tryParseIp } from '../model/address.ts'
import { TsnetError } from '../model/errors.ts'
import { portRange } from '../model/port-mapping.ts'
import { parsePortSpec } from '../model/port-spec.ts'
import type { Publication } from '../model/publication.ts'
import { type PublishWords, parsePublishRequest } from '../model/publish-request.ts'
import { listPublications } from '../network/owners.ts'
import type { Served } from '../network/publisher.ts'
import { tableOf } from './table.ts'
import type { Terminal } from './terminal.ts'

interface Output {
  json: boolean
}

/** Publishes, starting the daemon where none runs. */
export async function publish(terminal: Terminal, words: PublishWords, { json }: Output): Promise<void> {
  parsePublishRequest(words) // what is wrong is said before a daemon is started for it
  using client = await daemonAtHand()
  const published = (await client.ask('publish', words)) as Publication[]
  if (json) terminal.out(`${JSON.stringify(published)}\n`)
  else for (const each of published) terminal.out(`${describe(each)}\n`)
}

/** Ends what leads to a container, or the publications of host ports, or all. */
export async function unpublish(
  terminal: Terminal,
  words: string[],
  { json, all }: Output & { all: boolean },
): Promise<void> {
  if (all === words.length > 0) {
    throw new TsnetError('invalid-environment', 'name the ports and containers to unpublish, or say --all')
  }
  // Rules serve on without a daemon; ending them takes one.
  using client =
    (await connectControl()) ?? (listPublications().length > 0 ? await daemonAtHand() : undefined)
  const published = await publishedBy(client)
  const chosen = all ? published : choose(published, words)
  const ids = chosen.map(each => each.id)
  const ended = chosen.length === 0 ? [] : await client?.ask('unpublish', { ids }, withinMs(chosen))
  if (json) terminal.out(`${JSON.stringify(ended)}\n`)
  else for (const each of chosen) terminal.out(`${describe(each)} ended\n`)
}

/** Lists what is published. */
export async function ports(terminal: Terminal, { json }: Output): Promise<void> {
  using client = await connectControl()
  const published = await publishedBy(client)
  if (json) {
    terminal.out(`${JSON.stringify(published)}\n`)
    return
  }
  const head = ['HOST', 'CONTAINER', 'TARGET', 'BY', 'CONNECTIONS', 'IN', 'OUT', 'ID']
  terminal.out(`${tableOf(head, published.map(row))}\n`)
}

/** They end one after the other, each when its connections have finished. */
const withinMs = (chosen: Publication[]): number =>
  chosen.reduce((sum, { drainMs }) => sum + drainMs, ANSWER_WITHIN_MS)

/** Without a daemon: what is written down, and nothing is counted. */
const publishedBy = async (client: ControlClient | undefined): Promise<Served[]> =>
  client === undefined ? listPublications() : ((await client.ask('ports')) as Served[])

function row(served: Served): string[] {
  const { counters, containers, id } = served
  return [
    hostSide(served),
    containers.map(each => each.name).join(','),
    targetSide(served),
    [served.nat?.backend, served.mode !== 'nat' && 'proxy'].filter(Boolean).join('+'),
    counters === undefined ? '-' : `${counters.active}/${counters.accepted}`,
    counters === undefined ? '-' : bytes(counters.bytesIn),
    counters === undefined ? '-' : bytes(counters.bytesOut),
    id,
  ]
}

const describe = (publication: Publication): string =>
  `${hostSide(publication)} -> ${publication.containers.map(each => each.name).join(',')}:${targetSide(publication)}`

function hostSide({ hostIp, hostPort, count, protocol }: Publication): string {
  const host = hostIp === undefined ? '*' : hostIp.includes(':') ? `[${hostIp}]` : hostIp
  return `${host}:${portRange(hostPort, count)}/${protocol}`
}

const targetSide = ({ target, count }: Publication): string =>
  'socket' in target ? target.socket : portRange(target.port, count)

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

function bytes(number: number): string {
  const power = Math.min(Math.floor(Math.log2(Math.max(number, 1)) / 10), UNITS.length - 1)
  return `${power === 0 ? number : (number / 1024 ** power).toFixed(1)} ${UNITS[power]}`
}

/** @throws TsnetError for a word that nothing published answers to */
function choose(published: Served[], words: string[]): Served[] {
  const chosen = words.flatMap(word => {
    const found = published.filter(each => answers(each, word))
    if (found.length === 0)
      throw new TsnetError('unknown-container', `nothing is published as or for ${JSON.stringify(word)}`)
    return found
  })
  return [...new Set(chosen)]
}

/** By id, by container (name, id or reference), or by host port as it was published. */
function answers(publication: Served, word: string): boolean {
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
    const sameIp = ip === undefined || (isUnspecified(ip) ? hostIp === undefined : ip === hostIp)
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
