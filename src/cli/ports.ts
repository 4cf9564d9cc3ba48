/** `tsnet ports`. */

import type { Asker } from '../control/client.ts'
import type { HostTrouble } from '../control/held-ports.ts'
import { sizeOf } from '../model/text/text.ts'
import type { HeldPort } from '../publish/attachment-ports.ts'
import { type ListedPort, listOthers, listPublished, publishedHere } from '../publish/list.ts'
import type { Served } from '../publish/publish.ts'
import { requireRunDirectory } from '../records/run-directory.ts'
import { askOnce, readDaemon } from './ask.ts'
import { oneOf, portOf } from './listing/filter.ts'
import { type Listing, type ListOptions, printerOf } from './listing/listing.ts'
import { hostSide, namesOf, targetSide } from './publish.ts'
import type { Terminal } from './terminal.ts'

/** Lists what is published; with `all` by whomever, with `watch` again whenever something happens. */
export async function ports(
  terminal: Terminal,
  { all = false, watch = false, ...options }: ListOptions & { all?: boolean; watch?: boolean },
): Promise<void> {
  const print = printerOf(listingOf(all), options)
  requireRunDirectory()
  if (!watch) {
    await warnOfHosts(terminal)
    return list(terminal, all, print)
  }
  const { again } = await import('./watching/again.ts')
  await again(terminal, () => list(terminal, all, print), options.json ? '' : '\n')
}

async function list(
  terminal: Terminal,
  all: boolean,
  print: ReturnType<typeof printerOf<ListedPort>>,
): Promise<void> {
  const { published, held } = await askOnce(
    terminal,
    () => readDaemon(terminal),
    async client => ({
      published: listPublished(await publishedBy(client), client !== undefined),
      held: all ? (((await client?.ask('held')) ?? []) as HeldPort[]) : [],
    }),
  )
  const others = all ? await listOthers(held, line => terminal.error(`tsnet: ${line}\n`)) : []
  const listed: ListedPort[] = [...published, ...others].sort((a, b) => a.hostPort - b.hostPort)
  print(terminal, listed)
}

/** What is amiss between the hosts of networks is said wherever somebody looks. */
async function warnOfHosts(terminal: Terminal): Promise<void> {
  const troubles = await askOnce(
    terminal,
    () => readDaemon(terminal),
    // A listing does not fail for the sake of a warning.
    client => client?.ask('host-troubles').catch(() => []) ?? Promise.resolve([]),
  )
  for (const { network, why } of troubles as HostTrouble[])
    terminal.error(`tsnet: warning: network ${network}: ${why}\n`)
}

/** Without a daemon: what is written down, and nothing is counted. */
const publishedBy = async (client: Asker | undefined): Promise<Served[]> =>
  client === undefined ? publishedHere() : ((await client.ask('ports')) as Served[])

const STATES = ['serving', 'waiting', 'stopped', 'silent', 'starting', 'ending']

/** The reasons come last, and only where there are any: they are the longest. */
const listingOf = (all: boolean): Listing<ListedPort> => ({
  columns: [
    { field: 'Host', head: 'HOST', cell: hostSide },
    { field: 'Container', head: 'CONTAINER', cell: whoIsThere },
    {
      field: 'Target',
      head: 'TARGET',
      cell: port => (port.reverse ? `${targetSide(port)} (reverse)` : targetSide(port)),
    },
    { field: 'Of', head: 'OF', cell: ownerSide, isShown: () => all },
    { field: 'State', head: 'STATE', cell: stateOf },
    { field: 'By', head: 'BY', cell: ({ by }) => by.join('+') },
    {
      field: 'Connections',
      head: 'CONNECTIONS',
      cell: ({ counters, redirected }) =>
        counters === undefined
          ? ''
          : `${counters.active}/${counters.accepted + (redirected?.connections ?? 0)}`,
    },
    {
      field: 'In',
      head: 'IN',
      cell: ({ counters }) => (counters === undefined ? '' : sizeOf(counters.bytesIn)),
    },
    {
      field: 'Out',
      head: 'OUT',
      cell: ({ counters }) => (counters === undefined ? '' : sizeOf(counters.bytesOut)),
    },
    { field: 'ID', head: 'ID', cell: ({ id }) => id },
    {
      field: 'Why',
      head: 'WHY',
      cell: ({ why }) => why ?? '',
      empty: '',
      isShown: listed => listed.some(({ why }) => why !== undefined),
    },
  ],
  filters: {
    port: portOf('port', ({ hostPort, count }, port) => port >= hostPort && port < hostPort + count),
    container: value => port =>
      namesOf(port)
        .split(/,|^service /)
        .includes(value),
    network: value => port => port.network === value,
    protocol: oneOf('protocol', ['tcp', 'udp', 'sctp'], ({ protocol }, word) => protocol === word),
    state: oneOf('state', STATES, ({ state }, word) => state === word),
    of: oneOf('of', ['publish', 'cni', 'portmap', 'docker'], ({ source }, word) => source === word),
  },
  nameOf: ({ id }) => id,
})

/** Of a service, how many there are as well. */
const whoIsThere = (port: ListedPort): string =>
  port.service === undefined
    ? namesOf(port)
    : `${namesOf(port)} (${port.containers.length + port.service.away.length})`

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
