/**
 * What stays on this host when tsnet is uninstalled: what people made with it is theirs, and containers that run need it
 * until they end. Of each it is said why, and what takes it away.
 */

import { existsSync } from 'node:fs'
import { hostOf, listAttached, listInfos } from '../../networks/networks.ts'
import { publishedHere } from '../../publish/list.ts'
import { LASTING, pathOf } from '../../records/run-directory.ts'
import { hostSide, namesOf } from '../publish.ts'

/** @returns sentences, as `uninstall` says its steps; none: nothing stays */
export function leftHere(): string[] {
  const published = publishedHere()
  const kept = published.filter(({ keep }) => keep === true)
  const served = published.filter(({ keep }) => keep !== true)
  const containers = [...new Set(listAttached().map(({ name }) => name))]
  const networks = listInfos(hostOf(process.env), () => {}).filter(({ created }) => created !== undefined)
  const place = pathOf(`${LASTING}/hosts`)
  return [
    ...saying(
      containers,
      few => `leave ${few} on networks: who ends them needs the plugin; tsnet detach takes them off`,
    ),
    ...saying(
      served.map(each => `${hostSide(each)} of ${namesOf(each)}`),
      few => `leave ${few}: what rules lead there goes on; tsnet unpublish --all ends it`,
    ),
    ...saying(
      kept.map(each => `${hostSide(each)} of ${namesOf(each)}`),
      few => `leave ${few}: it is kept for the next daemon; tsnet unpublish --all forgets it`,
    ),
    ...networks.map(
      ({ file, name }) => `leave ${file}: network ${name}, made by hand; tsnet network rm ${name} removes it`,
    ),
    ...(existsSync(place)
      ? [`leave ${place}: this host's place on networks over hosts, should it come back; rm -r ${place}`]
      : []),
  ]
}

const FEW = 5

/** The first of them, and how many more there are. */
function saying(names: readonly string[], sentence: (few: string) => string): string[] {
  if (names.length === 0) return []
  const more = names.length > FEW ? ` and ${names.length - FEW} more` : ''
  return [sentence(`${names.slice(0, FEW).join(', ')}${more}`)]
}
