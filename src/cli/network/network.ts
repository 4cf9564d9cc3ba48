/** `tsnet network create`, `ls`, `inspect` and `rm`. */

import { callsToLeave } from '../../chain/leave.ts'
import { removeWithMembers } from '../../chain/remove.ts'
import { ignoreSignals } from '../../ffi/signals.ts'
import { dockersOn } from '../../libnetwork/libnetwork.ts'
import { messageOf, TsnetError } from '../../model/errors.ts'
import { didYouMean } from '../../model/nearest.ts'
import {
  createNetwork,
  describeNetwork,
  type Host,
  hostOf,
  listInfos,
  type NetworkInfo,
  type NetworkWords,
  noSuchNetwork,
  podmansOn,
  readWish,
} from '../../networks/networks.ts'
import { requireRunDirectory } from '../../records/run-directory.ts'
import { oneOf } from '../listing/filter.ts'
import { type Listing, type ListOptions, printerOf } from '../listing/listing.ts'
import type { Terminal } from '../terminal.ts'
import { ofHosts } from './of-hosts.ts'

interface Output {
  json: boolean
  /** Nothing is done. */
  isDry: boolean
}

interface Place {
  /** Absent: where runtimes look. */
  confDir?: string | undefined
}

/** Makes a network; prints its name, or the list and where it is. */
export async function create(
  terminal: Terminal,
  name: string,
  words: NetworkWords,
  { json, confDir, isDry }: Place & Output,
): Promise<void> {
  const wish = readWish(name, words)
  requireRunDirectory()
  const made = await createNetwork(wish, hostOf(process.env, confDir), { isDry })
  if (json) terminal.out(`${JSON.stringify(made, null, 2)}\n`)
  else if (isDry) terminal.out(`[#] write ${made.file}\n${JSON.stringify(made.list, null, 2)}\n`)
  else terminal.out(`${made.name}\n`)
}

type Found = ReturnType<typeof listInfos>[number]

/** Lists networks. A file that is no list is named on stderr, and the others are listed. */
export async function list(terminal: Terminal, { confDir, ...options }: ListOptions & Place): Promise<void> {
  const print = printerOf(LISTING, options)
  const infos = listInfos(hostOf(process.env, confDir), (file, thrown) => {
    if (options.quiet !== true) terminal.error(`tsnet: warning: ${file}: ${messageOf(thrown)}\n`)
  })
  print(
    terminal,
    infos.map(({ list: _, ...info }): NetworkInfo => info),
  )
}

const LISTING: Listing<NetworkInfo> = {
  columns: [
    { field: 'Name', head: 'NAME', cell: ({ name }) => name },
    { field: 'Plugins', head: 'PLUGINS', cell: ({ plugins }) => plugins.join(',') },
    { field: 'Bridge', head: 'BRIDGE', cell: ({ bridge }) => bridge ?? '' },
    { field: 'Subnets', head: 'SUBNETS', cell: ({ subnets }) => subnets.join(',') },
    { field: 'Made', head: 'MADE', cell: ({ created }) => created?.slice(0, 10) ?? 'by others' },
    { field: 'File', head: 'FILE', cell: ({ file }) => file, isShown: () => false },
  ],
  filters: {
    name: value => info => info.name.includes(value),
    plugin: value => info => info.plugins.includes(value),
    made: oneOf('made', ['true', 'false'], ({ created }, word) => String(created !== undefined) === word),
  },
  nameOf: ({ name }) => name,
}

/** Prints all about networks, a list of one or more. */
export async function inspect(terminal: Terminal, names: string[], { confDir }: Place): Promise<void> {
  const host = hostOf(process.env, confDir)
  const found = find(host, names)
  const described: object[] = []
  for (const each of found) {
    const details = describeNetwork(each, host)
    const hosts = await ofHosts(details)
    described.push({ ...details, ...(hosts !== undefined && { hosts }) })
  }
  terminal.out(`${JSON.stringify(described, null, 2)}\n`)
}

/** Removes networks, all that can be; what cannot is said in the end. */
export async function remove(
  terminal: Terminal,
  names: string[],
  { force, json, confDir, isDry }: Place & Output & { force: boolean },
): Promise<void> {
  // What is begun is finished.
  ignoreSignals('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE')
  const host = hostOf(process.env, confDir)
  const found = find(host, names)
  requireRunDirectory()
  const removed: string[] = []
  const failures: unknown[] = []
  for (const each of found) {
    try {
      if (!force) refuseKept(each.name, host)
      const takenOff = await removeWithMembers(each, host, { force, isDry })
      removed.push(each.name)
      if (json) continue
      if (isDry)
        terminal.out(
          linesOf(
            takenOff.flatMap(known => callsToLeave(known, host)),
            each.file,
          ),
        )
      else terminal.out(`${each.name}\n`)
    } catch (thrown) {
      failures.push(thrown)
    }
  }
  if (failures.length === 1) throw failures[0]
  if (failures.length > 1) throw new AggregateError(failures)
  if (json) terminal.out(`${JSON.stringify(removed)}\n`)
}

/** Without its list another engine's network has nothing to put containers on. @throws TsnetError `conflict` */
function refuseKept(name: string, host: Host): void {
  const commands = [
    ...dockersOn(name).map(id => `docker network rm ${id.slice(0, 12)}`),
    ...podmansOn(name, host).map(each => `podman network rm ${each}`),
  ]
  if (commands.length === 0) return
  throw new TsnetError(
    'conflict',
    `network ${name} is that of ${commands.length === 1 ? 'a network' : 'networks'} of another engine, whose containers would find none any more; remove it there (${commands.join('; ')}), or here alone with --force`,
  )
}

const linesOf = (calls: readonly string[], file: string): string =>
  [...calls, `rm ${file}`].map(line => `[#] ${line}\n`).join('')

/** Each once. @throws TsnetError `invalid-environment` naming those that there are */
function find(host: Host, names: readonly string[]): Found[] {
  const infos = listInfos(host)
  return [...new Set(names)].map(name => {
    const found = infos.find(info => info.name === name)
    if (found !== undefined) return found
    const known = infos.map(info => info.name)
    throw new TsnetError(
      'invalid-environment',
      noSuchNetwork(name, host.confDir, known) + didYouMean(name, known),
    )
  })
}
