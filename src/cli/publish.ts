/** `tsnet publish` and `unpublish`. */

import { type ControlClient, connectControl, withinFor } from '../control/client.ts'
import { daemonAtHand } from '../control/start.ts'
import { TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import { portRange } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import { calledOf, type Publication } from '../model/publication/publication.ts'
import { type PublishWords, parsePublishRequest } from '../model/publication/request.ts'
import { surroundings } from '../model/surroundings.ts'
import { choosePublications } from '../publish/choose.ts'
import { absenceOf, ListeningIn, silenceOf } from '../publish/condition.ts'
import { foresee } from '../publish/foresee.ts'
import type { Drained } from '../publish/front/drain.ts'
import { factsOf, publishedHere } from '../publish/list.ts'
import type { Served } from '../publish/publish.ts'
import { resolve } from '../publish/resolve.ts'
import { readOwnChoice, removeChoice, writeChoice } from '../records/choices.ts'
import { requireRunDirectory } from '../records/run-directory.ts'
import { askOnce } from './ask.ts'
import type { Terminal } from './terminal.ts'

interface Output {
  json: boolean
  /** Nothing is done, and no daemon started for it. */
  isDry: boolean
}

/** Publishes, starting the daemon where none runs. */
export async function publish(
  terminal: Terminal,
  words: PublishWords,
  { json, isDry }: Output,
): Promise<void> {
  // What is wrong is said before a daemon is started for it.
  const request = parsePublishRequest(words)
  if (isDry) {
    requireRunDirectory()
    const drafts = await foresee(request, publishedHere(), line => terminal.error(`tsnet: ${line}\n`))
    return printDrafts(terminal, 'would publish', drafts, json)
  }
  const published = (await askOnce(terminal, daemonAtHand, (client, since) =>
    client.ask('publish', { ...words, ...present({ since }) }, withinFor(words.ports.length)),
  )) as Served[]
  if (json) terminal.out(`${JSON.stringify(published)}\n`)
  else for (const each of published) terminal.out(`${describe(each)}\n`)
  for (const line of new Set(published.flatMap(remarksOn))) terminal.error(`tsnet: ${line}\n`)
}

/** What whoever published it may not have meant. */
function remarksOn(publication: Served): string[] {
  const { waitMs, natObstacle, redirectObstacle } = publication
  // Whoever says that clients shall wait knows that nobody listens yet.
  const silence = waitMs > 0 ? undefined : silenceOf(factsOf(publication, true), new ListeningIn())
  return [absenceOf(publication), silence, natObstacle, redirectObstacle].filter(each => each !== undefined)
}

/** Ends what leads to a container, or the publications of host ports, or all. */
export async function unpublish(
  terminal: Terminal,
  words: string[],
  { json, isDry, all }: Output & { all: boolean },
): Promise<void> {
  if (all === words.length > 0) {
    throw new TsnetError('invalid-environment', 'name the ports and containers to unpublish, or say --all')
  }
  requireRunDirectory()
  if (isDry) {
    const published = publishedHere()
    const chosen = all ? published : await choosePublications(published, words, each => resolve(each))
    return printDrafts(terminal, 'would end', chosen, json)
  }
  // Rules serve on without a daemon; ending them takes one.
  const connect = async () =>
    (await connectControl()) ?? (publishedHere().length > 0 ? await daemonAtHand() : undefined)
  // What a launcher's daemon, or the one that was asked first, was to end, as far as it came to know.
  let known = terminal.daemon === undefined ? readOwnChoice() : undefined
  const choose = async (client: ControlClient): Promise<Served[]> => {
    if (known === undefined) {
      const chosen = (await client.ask('choose', all ? { all } : { names: words })) as Served[]
      known = chosen.map(({ id }) => id)
      const { caller } = surroundings()
      if (terminal.daemon !== undefined && caller !== undefined) writeChoice(caller, known)
      return chosen
    }
    const left = ((await client.ask('ports')) as Served[]).filter(({ id }) => known?.includes(id))
    if (left.length < known.length) {
      const count = known.length - left.length
      terminal.error(`tsnet: the daemon died while it did this, and had ended ${count} of ${known.length}\n`)
    }
    return left
  }
  const end = async (client: ControlClient | undefined) => {
    // Without publications there is nothing to end, and no name that could be right.
    if (client === undefined && !all && known === undefined) throw nothingPublished(words)
    const chosen = client === undefined ? [] : await choose(client)
    const ids = chosen.map(each => each.id)
    return ids.length === 0 ? [] : await client?.ask('unpublish', { ids }, withinMs(chosen))
  }
  const ended = await askOnce(terminal, connect, end).finally(() => {
    if (terminal.daemon === undefined && known !== undefined) removeChoice()
  })
  if (json) terminal.out(`${JSON.stringify(ended)}\n`)
  else for (const each of (ended ?? []) as Ended[]) terminal.out(`${describe(each)} ended${fateOf(each)}\n`)
}

type Ended = Publication & { drained?: Drained }

/** What became of connections, where there were any. */
function fateOf({ drained: { connections, cut } = { connections: 0, cut: 0 } }: Ended): string {
  if (connections === 0) return ''
  const noun = connections === 1 ? 'connection' : 'connections'
  return cut === 0 ? `; ${connections} ${noun} finished` : `; of ${connections} ${noun} ${cut} cut`
}

const nothingPublished = ([word]: string[]): TsnetError =>
  new TsnetError('unknown-container', `nothing is published as or for ${shown(word)}`)

/** Each ends when its connections have finished. */
const withinMs = (chosen: Publication[]): number =>
  chosen.reduce((sum, { drainMs }) => sum + drainMs, withinFor(chosen.length))

function printDrafts(terminal: Terminal, what: string, all: readonly Publication[], json: boolean): void {
  if (json) terminal.out(`${JSON.stringify(all)}\n`)
  else for (const each of all) terminal.out(`${what} ${describe(each)}\n`)
}

const describe = (publication: Publication): string =>
  `${hostSide(publication)} ${arrowOf(publication)} ${namesOf(publication)}:${targetSide(publication)}`

type Sides = Pick<Publication, 'hostIp' | 'hostPort' | 'count' | 'protocol' | 'target'>

/** `*:8080/tcp`, `[::1]:9000-9001/udp`. */
export function hostSide({ hostIp, hostPort, count, protocol }: Sides): string {
  const ports = hostPort === 0 ? '(a free port)' : portRange(hostPort, count)
  const host = hostIp === undefined ? '*' : hostIp.includes(':') ? `[${hostIp}]` : hostIp
  return `${host}:${ports}/${protocol}`
}

/** From who asks to who answers. */
export const arrowOf = ({ reverse }: Pick<Publication, 'reverse'>): string => (reverse ? '<-' : '->')

/** `80`, `80-89` or a path. */
export const targetSide = ({ target, count }: Sides): string =>
  'socket' in target ? target.socket : portRange(target.port, count)

/** Containers as whoever published it called them: `web1,web2`; or `service web`. */
export const namesOf = ({ containers, service }: Named): string =>
  service === undefined ? containers.map(calledOf).join(',') : `service ${service.name}`

interface Named extends Pick<Publication, 'service'> {
  containers: { name: string; asked?: string }[]
}
