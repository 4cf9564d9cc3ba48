/** `tsnet publish`, `unpublish` and `ports`. */

import { ANSWER_WITHIN_MS, type ControlClient, connectControl } from '../control/client.ts'
import { daemonAtHand } from '../control/start.ts'
import { TsnetError } from '../model/errors.ts'
import { portRange } from '../model/port-mapping.ts'
import type { Publication } from '../model/publication.ts'
import { type PublishWords, parsePublishRequest } from '../model/publish-request.ts'
import { choosePublications } from '../network/choose.ts'
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
  // Without publications there is nothing to end, and no name that could be right.
  const chosen =
    client === undefined
      ? choosePublications([], words)
      : ((await client.ask('choose', all ? { all } : { names: words })) as Served[])
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
