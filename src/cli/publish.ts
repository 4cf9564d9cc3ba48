/** `tsnet publish` and `unpublish`. */

import { connectControl, withinFor } from '../control/client.ts'
import { daemonAtHand } from '../control/start.ts'
import { TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import { portRange } from '../model/port-mapping.ts'
import { calledOf, type Publication } from '../model/publication/publication.ts'
import { type PublishWords, parsePublishRequest } from '../model/publication/request.ts'
import { ListeningIn, silenceOf } from '../publish/condition.ts'
import { factsOf } from '../publish/list.ts'
import type { Served } from '../publish/publish.ts'
import { listPublications } from '../records/publications.ts'
import { requireRunDirectory } from '../records/run-directory.ts'
import type { Terminal } from './terminal.ts'

interface Output {
  json: boolean
}

/** Publishes, starting the daemon where none runs. */
export async function publish(terminal: Terminal, words: PublishWords, { json }: Output): Promise<void> {
  parsePublishRequest(words) // what is wrong is said before a daemon is started for it
  using client = await daemonAtHand()
  const published = (await client.ask('publish', words, withinFor(words.ports.length))) as Served[]
  if (json) terminal.out(`${JSON.stringify(published)}\n`)
  else for (const each of published) terminal.out(`${describe(each)}\n`)
  for (const line of new Set(published.flatMap(remarksOn))) terminal.error(`tsnet: ${line}\n`)
}

/** What whoever published it may not have meant. */
function remarksOn(publication: Served): string[] {
  const { waitMs, natObstacle, redirectObstacle } = publication
  // Whoever says that clients shall wait knows that nobody listens yet.
  const silence = waitMs > 0 ? undefined : silenceOf(factsOf(publication, true), new ListeningIn())
  return [silence, natObstacle, redirectObstacle].filter(each => each !== undefined)
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
  requireRunDirectory()
  // Rules serve on without a daemon; ending them takes one.
  using client =
    (await connectControl()) ?? (listPublications().length > 0 ? await daemonAtHand() : undefined)
  // Without publications there is nothing to end, and no name that could be right.
  if (client === undefined && !all) throw nothingPublished(words)
  const chosen = (await client?.ask('choose', all ? { all } : { names: words })) as Served[] | undefined
  const ids = chosen?.map(each => each.id) ?? []
  const ended = ids.length === 0 ? [] : await client?.ask('unpublish', { ids }, withinMs(chosen ?? []))
  if (json) terminal.out(`${JSON.stringify(ended)}\n`)
  else for (const each of chosen ?? []) terminal.out(`${describe(each)} ended\n`)
}

const nothingPublished = ([word]: string[]): TsnetError =>
  new TsnetError('unknown-container', `nothing is published as or for ${shown(word)}`)

/** They end one after the other, each when its connections have finished. */
const withinMs = (chosen: Publication[]): number =>
  chosen.reduce((sum, { drainMs }) => sum + drainMs, withinFor(chosen.length))

const describe = (publication: Publication): string =>
  `${hostSide(publication)} -> ${namesOf(publication)}:${targetSide(publication)}`

type Sides = Pick<Publication, 'hostIp' | 'hostPort' | 'count' | 'protocol' | 'target'>

/** `*:8080/tcp`, `[::1]:9000-9001/udp`. */
export function hostSide({ hostIp, hostPort, count, protocol }: Sides): string {
  const host = hostIp === undefined ? '*' : hostIp.includes(':') ? `[${hostIp}]` : hostIp
  return `${host}:${portRange(hostPort, count)}/${protocol}`
}

/** `80`, `80-89` or a path. */
export const targetSide = ({ target, count }: Sides): string =>
  'socket' in target ? target.socket : portRange(target.port, count)

/** Containers as whoever published it called them: `web1,web2`. */
export const namesOf = ({ containers }: { containers: { name: string; asked?: string }[] }): string =>
  containers.map(calledOf).join(',')
