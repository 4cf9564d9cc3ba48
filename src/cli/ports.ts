/** `tsnet ports`. */

import { type ControlClient, connectControl } from '../control/client.ts'
import type { HeldPort } from '../publish/attachment-ports.ts'
import { type ListedPort, listOthers, listPublished } from '../publish/list.ts'
import type { Served } from '../publish/publish.ts'
import { listPublications } from '../records/publications.ts'
import { requireRunDirectory } from '../records/run-directory.ts'
import { hostSide, namesOf, targetSide } from './publish.ts'
import { tableOf } from './table.ts'
import type { Terminal } from './terminal.ts'

/** Lists what is published; with `all` by whomever. */
export async function ports(
  terminal: Terminal,
  { json, all }: { json: boolean; all: boolean },
): Promise<void> {
  requireRunDirectory()
  using client = await connectControl()
  const published = listPublished(await publishedBy(client), client !== undefined)
  const held = all ? (((await client?.ask('held')) ?? []) as HeldPort[]) : []
  const others = all ? await listOthers(held, line => terminal.error(`tsnet: ${line}\n`)) : []
  const listed: ListedPort[] = [...published, ...others].sort((a, b) => a.hostPort - b.hostPort)
  terminal.out(`${json ? JSON.stringify(listed) : table(listed, all)}\n`)
}

/** Without a daemon: what is written down, and nothing is counted. */
const publishedBy = async (client: ControlClient | undefined): Promise<Served[]> =>
  client === undefined ? listPublications() : ((await client.ask('ports')) as Served[])

/** The reasons come last, and only where there are any: they are the longest. */
function table(listed: readonly ListedPort[], all: boolean): string {
  const hasReasons = listed.some(({ why }) => why !== undefined)
  const columns: [head: string, cell: (port: ListedPort) => string][] = [
    ['HOST', hostSide],
    ['CONTAINER', namesOf],
    ['TARGET', targetSide],
    ...(all ? ([['OF', ownerSide]] as [string, typeof ownerSide][]) : []),
    ['STATE', stateOf],
    ['BY', ({ by }) => by.join('+') || '-'],
    [
      'CONNECTIONS',
      ({ counters, redirected }) =>
        counters === undefined
          ? '-'
          : `${counters.active}/${counters.accepted + (redirected?.connections ?? 0)}`,
    ],
    ['IN', ({ counters }) => (counters === undefined ? '-' : bytes(counters.bytesIn))],
    ['OUT', ({ counters }) => (counters === undefined ? '-' : bytes(counters.bytesOut))],
    ['ID', ({ id }) => id],
    ...(hasReasons ? ([['WHY', ({ why }) => why ?? '']] as [string, typeof ownerSide][]) : []),
  ]
  const rows = listed.map(port => columns.map(([, cell]) => cell(port)))
  return tableOf(
    columns.map(([head]) => head),
    rows,
  )
}

const ownerSide = ({ source, network }: ListedPort): string =>
  network === undefined ? source : `${source}:${network}`

const stateOf = ({ state, expiresAt }: ListedPort): string =>
  expiresAt === undefined ? state : `${state}, ${timeLeft(expiresAt - Date.now())} left`

const UNITS_MS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const

/** In the largest unit of which there is a whole one. */
function timeLeft(ms: number): string {
  const [unit, length] = UNITS_MS.find(([, each]) => ms >= each) ?? ['s', 1_000]
  return `${Math.max(Math.floor(ms / length), 0)}${unit}`
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

function bytes(number: number): string {
  const power = Math.min(Math.floor(Math.log2(Math.max(number, 1)) / 10), UNITS.length - 1)
  return `${power === 0 ? number : (number / 1024 ** power).toFixed(1)} ${UNITS[power]}`
}
