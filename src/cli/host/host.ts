/** `tsnet host …`: what the daemon knows of the hosts of its networks. */

import { connectControl } from '../../control/client.ts'
import { HOST_STATES, type HostRow } from '../../hosts/hosts.ts'
import { TsnetError } from '../../model/errors.ts'
import { shown } from '../../model/json/shown.ts'
import { requireRunDirectory } from '../../records/run-directory.ts'
import { oneOf } from '../listing/filter.ts'
import { type Listing, type ListOptions, printerOf } from '../listing/listing.ts'
import type { Terminal } from '../terminal.ts'

const LISTING: Listing<HostRow> = {
  columns: [
    { field: 'Network', head: 'NETWORK', cell: ({ network }) => network },
    { field: 'Name', head: 'HOST', cell: ({ name }) => name },
    { field: 'State', head: 'STATE', cell: ({ state, drained }) => (drained ? `${state}, drained` : state) },
    { field: 'Prefixes', head: 'PREFIXES', cell: ({ prefixes }) => prefixes.join(',') },
    { field: 'Addresses', head: 'ADDRESSES', cell: ({ addresses }) => addresses.join(',') },
    { field: 'ID', head: 'ID', cell: ({ id }) => id },
    { field: 'Carrier', head: 'CARRIER', cell: ({ carrier }) => carrier, isShown: () => false },
    { field: 'MAC', head: 'MAC', cell: ({ mac = '' }) => mac, isShown: () => false },
    { field: 'Revision', head: 'REVISION', cell: ({ revision }) => String(revision), isShown: () => false },
  ],
  filters: {
    network: value => host => host.network === value,
    name: value => host => host.name.includes(value),
    id: value => host => host.id.startsWith(value),
    state: oneOf('state', HOST_STATES, ({ state }, word) => state === word),
  },
  nameOf: ({ id }) => id,
}

interface Said {
  hosts: HostRow[]
  /** Why a network is not as it should be: sentences. */
  troubles: string[]
}

/** @throws TsnetError `not-running`: without a daemon this host is none of a network's hosts */
async function ask<T>(operation: string, words?: object): Promise<T> {
  requireRunDirectory()
  using client = await connectControl()
  if (client === undefined) {
    throw new TsnetError(
      'not-running',
      'no daemon runs, and without one this host is on no network of many hosts',
      {
        details: 'start it: tsnet daemon, or the service of `tsnet install`',
      },
    )
  }
  client.mustAnswer()
  return (await client.ask(operation, words)) as T
}

export async function list(terminal: Terminal, options: ListOptions): Promise<void> {
  const print = printerOf(LISTING, options)
  const { hosts, troubles } = await ask<Said>('hosts')
  for (const trouble of troubles) terminal.error(`tsnet: warning: ${trouble}\n`)
  print(terminal, hosts)
}

export async function inspect(terminal: Terminal, word: string, network: string | undefined): Promise<void> {
  const { hosts } = await ask<Said>('hosts')
  const { network: whose, id } = chosen(hosts, word, network)
  const found = await ask<object>('host', { network: whose, id })
  terminal.out(`${JSON.stringify([found], null, 2)}\n`)
}

/** A host, or this one on all networks that are meant. */
export async function drain(
  terminal: Terminal,
  word: string | undefined,
  network: string | undefined,
  { isUndone, isDry, json }: { isUndone: boolean; isDry: boolean; json: boolean },
): Promise<void> {
  const { hosts } = await ask<Said>('hosts')
  const meant = word === undefined ? own(hosts, network) : [chosen(hosts, word, network)]
  for (const { network, id } of isDry ? [] : meant)
    await ask('drain-host', { network, id, isDrained: !isUndone })
  if (json) {
    const now = meant.map(({ drained: _, ...each }) => (isUndone ? each : { ...each, drained: true }))
    terminal.out(`${JSON.stringify(now)}\n`)
    return
  }
  const would = isDry ? (isUndone ? 'would take back: ' : 'would drain ') : ''
  for (const { name, network } of meant) terminal.out(`${would}${name} on ${network}\n`)
}

/** @throws TsnetError `unknown-container`: this host is on no such network */
function own(hosts: readonly HostRow[], network: string | undefined): HostRow[] {
  const found = hosts.filter(
    each => each.state === 'self' && (network === undefined || each.network === network),
  )
  if (found.length > 0) return found
  const where = network === undefined ? 'no network of many hosts' : `no network ${shown(network)}`
  throw new TsnetError('unknown-container', `this host is on ${where}`)
}

export async function forget(
  terminal: Terminal,
  word: string,
  { network, json, isDry }: { network?: string | undefined; json: boolean; isDry: boolean },
): Promise<void> {
  const { hosts } = await ask<Said>('hosts')
  const host = chosen(hosts, word, network)
  if (host.state === 'self') {
    throw new TsnetError(
      'conflict',
      `${host.name} is this very host, whose daemon would claim its prefix again`,
      {
        details: `remove the list of network ${host.network} from this host`,
      },
    )
  }
  await ask('forget-host', { network: host.network, id: host.id, isDry })
  const line = isDry
    ? `would forget ${host.name} of network ${host.network}, and give away ${host.prefixes.join(', ')}`
    : host.name
  terminal.out(json ? `${JSON.stringify([host])}\n` : `${line}\n`)
}

/** @throws TsnetError `unknown-container`, `invalid-environment`: nobody is called so, or several are */
function chosen(hosts: readonly HostRow[], word: string, network: string | undefined): HostRow {
  const there = hosts.filter(each => network === undefined || each.network === network)
  const whole = there.filter(({ name, id }) => name === word || id === word)
  const found = whole.length > 0 ? whole : there.filter(({ id }) => word.length >= 4 && id.startsWith(word))
  const [only, ...others] = found
  const where = network === undefined ? 'any network of many hosts' : `network ${network}`
  if (only === undefined) {
    throw new TsnetError(
      'unknown-container',
      `no host is called ${shown(word)} on ${where}; tsnet host ls lists them`,
    )
  }
  if (others.length === 0) return only
  const all = found.map(each => `${each.id} on ${each.network}`)
  throw new TsnetError(
    'invalid-environment',
    `${shown(word)} is what several hosts are called: ${all.join(', ')}`,
    {
      details: 'say which by its id and --network',
    },
  )
}
