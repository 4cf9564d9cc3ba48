/**
 * What is wrong with a network list, found before a container needs it.
 *
 *     file ──▶ the list        is it one, keys of its own, keys that are there twice, versions        list.ts
 *          ──▶ each plugin     keys and values as ADD reads them, capabilities, its file, what it
 *          │                   says of versions                                       plugin.ts, files.ts
 *          └─▶ the host        networks and routes that are in the way, networks that are not there   overlaps.ts, reach.ts
 *
 * There is no second list of keys: a plugin of ours reads the configuration as it does for an ADD (`Plugin.read`), and what
 * it refuses, and what it never asks for, is what is found. A value that is refused is taken for absent, and all is
 * read again, until nothing is refused, so that all faults are told at once. Of plugins that we do not play only the
 * file, the versions and the addresses are looked at.
 *
 * Nothing is changed and nothing needs root. Plugins that are not ours are run, for VERSION, which touches nothing.
 */

import { readGiven } from '../../ffi/regular-file.ts'
import { messageOf, TsnetError } from '../../model/errors.ts'
import { type NetworkList, readNetworkList } from '../../runtime/conflist.ts'
import type { Host } from '../places.ts'
import { error, type Finding } from './finding.ts'
import { findingsOfList } from './list.ts'
import { overlapsOf } from './overlaps.ts'
import { lintPlugin, type PluginLint } from './plugin.ts'
import { networksAllowed } from './reach.ts'

export type { Finding } from './finding.ts'

export interface Linted {
  file: string
  /** Absent: the file is no network list. */
  network?: string
  findings: Finding[]
}

/** @throws TsnetError `io` for a file that cannot be read */
export async function lintFile(file: string, host: Host): Promise<Linted> {
  const text = read(file)
  let list: NetworkList
  try {
    list = readNetworkList(file)
  } catch (thrown) {
    return { file, findings: [error(messageOf(thrown))] }
  }
  const plugins: PluginLint[] = []
  for (const index of list.plugins.keys()) plugins.push(await lintPlugin(list, index, host))
  const findings = [
    ...(await findingsOfList(file, text, list, host)),
    ...plugins.flatMap(each => each.findings),
    ...overlapsOf(list, plugins, host),
    ...networksAllowed(plugins, host),
  ]
  return { file, network: list.name, findings }
}

function read(file: string): string {
  try {
    return readGiven(file)
  } catch (cause) {
    throw new TsnetError('io', `cannot read ${file}: ${messageOf(cause)}`, { cause })
  }
}
