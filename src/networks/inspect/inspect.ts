/**
 * All that is known of a container, a port of the host or a network, for whoever asks by a word.
 *
 *     word ─▶ rows that it may mean ─┬─▶ containers   records, the kernel (as CHECK looks), ports     container.ts
 *             lists, publications   ─┼─▶ ports        of everybody, with who serves them              ports.ts
 *                                    └─▶ a network    its list, pools, who is on it
 *
 * A word that means things of several kinds is not guessed at: the error says what to write instead. Nobody's records are
 * read but those of what is meant, and nothing is changed. A container that is on no network of tsnet is looked for among
 * all runtimes, as publish does it.
 */

import { TsnetError } from '../../model/errors.ts'
import { shown } from '../../model/json/shown.ts'
import { didYouMean } from '../../model/nearest.ts'
import type { Attached } from '../attached.ts'
import { listInfos, type NetworkInfo, type SubnetUse, usesOf } from '../look.ts'
import { containerOf, type InspectedContainer, meantBy, strangerOf } from './container.ts'
import { type InspectedPort, portsAt, tryParsePort } from './ports.ts'
import type { View } from './view.ts'

export type { AttachmentView, InspectedContainer } from './container.ts'
export type { InspectedPort } from './ports.ts'

export const KINDS = ['container', 'port', 'network'] as const
export type Kind = (typeof KINDS)[number]

export interface InspectedNetwork extends Partial<NetworkInfo> {
  type: 'network'
  name: string
  pools: SubnetUse[]
  /** Who is on it, as our records have it. */
  containers: Attached[]
  /** The plugins as they stand in the list; absent where there is no list of that name any more. */
  configuration?: object[]
}

export type Inspected = InspectedContainer | InspectedPort | InspectedNetwork

/**
 * What a word means, one thing, or of a port everything that is published there.
 * @param kind absent: any
 * @throws TsnetError `unknown-container`: nothing is called so; `invalid-environment`: several things are
 */
export async function inspect(word: string, kind: Kind | undefined, view: View): Promise<Inspected[]> {
  const port = tryParsePort(word)
  const rows = await view.attached(port === undefined ? word : String(port.number))
  const infos = listInfos(view.host)
  const finders: Record<Kind, () => Inspected[] | Promise<Inspected[]>> = {
    container: () => containersNamed(word, rows, view),
    port: () => (port === undefined ? [] : portsAt(port, rows, view)),
    network: () => networkNamed(word, rows, infos),
  }
  const found = new Map<Kind, Inspected[]>()
  for (const each of kind === undefined ? KINDS : [kind]) {
    const of = await finders[each]()
    if (of.length > 0) found.set(each, of)
  }
  const [first, ...others] = found.values()
  if (others.length > 0) throw ambiguous(word, [...found.keys()])
  if (first !== undefined) return first
  if (kind === undefined || kind === 'container') {
    const stranger = await strangerOf(word, view).catch((thrown: unknown) => thrown)
    if (!(stranger instanceof Error)) return [stranger as InspectedContainer]
    if (kind === 'container') throw stranger
  }
  throw unknown(
    word,
    kind,
    infos.map(({ name }) => name),
  )
}

async function containersNamed(word: string, rows: readonly Attached[], view: View): Promise<Inspected[]> {
  const meant = meantBy(word, rows)
  return meant.length === 0 ? [] : [await containerOf(meant, view)]
}

function networkNamed(
  word: string,
  rows: readonly Attached[],
  infos: readonly ReturnType<typeof listInfos>[number][],
): InspectedNetwork[] {
  const containers = rows.filter(({ network }) => network === word)
  const found = infos.find(({ name }) => name === word)
  if (found === undefined)
    return containers.length === 0 ? [] : [{ type: 'network', name: word, pools: [], containers }]
  const { list, ...info } = found
  const configuration = list.plugins.map(({ config }) => config)
  return [{ type: 'network', ...info, pools: usesOf(list), containers, configuration }]
}

const ARTICLES: Record<Kind, string> = { container: 'a container', port: 'a port', network: 'a network' }

const ambiguous = (word: string, kinds: readonly Kind[]): TsnetError =>
  new TsnetError(
    'invalid-environment',
    `${shown(word)} is ${kinds.map(kind => ARTICLES[kind]).join(' and ')}; write ${kinds.map(kind => `--type ${kind}`).join(' or ')}`,
  )

function unknown(word: string, kind: Kind | undefined, networks: readonly string[]): TsnetError {
  const what = kind === undefined ? 'no container, published port or network' : `no ${kind}`
  const known = kind === 'port' ? [] : networks
  return new TsnetError(
    'unknown-container',
    `there is ${what} ${shown(word)}${didYouMean(word, known)}; tsnet ps, tsnet ports and tsnet network ls list what there is`,
  )
}
