/**
 * `tsnet inspect`: all that is known of containers, ports and networks.
 *
 *     (nothing)       a text for people, a paragraph for each                   text.ts
 *     --format        a line for each, as of all listings                       fields.ts
 *     --json          one list of everything
 *
 * All words are looked up before anything is printed: one that means nothing is an error, and nothing is printed then.
 */

import type { Asker } from '../../control/client.ts'
import { TsnetError } from '../../model/errors.ts'
import { shown } from '../../model/json/shown.ts'
import { didYouMean } from '../../model/nearest.ts'
import { surroundings } from '../../model/surroundings.ts'
import { type Inspected, inspect as inspectWord, KINDS, type Kind } from '../../networks/inspect/inspect.ts'
import { hostOf } from '../../networks/places.ts'
import type { HeldPort } from '../../publish/attachment-ports.ts'
import { publishedHere } from '../../publish/list.ts'
import type { Served } from '../../publish/publish.ts'
import type { Mention } from '../../records/mention.ts'
import { requireRunDirectory } from '../../records/run-directory.ts'
import { readDaemon } from '../ask.ts'
import { attachedHere } from '../listing/attached.ts'
import { printerOf } from '../listing/listing.ts'
import type { Terminal } from '../terminal.ts'
import { LISTING } from './fields.ts'
import { textOf } from './text.ts'

export interface InspectOptions {
  type?: string
  format?: string
  json?: boolean
  confDir?: string
}

/** @throws TsnetError `unknown-container`, `invalid-environment` for a word that means nothing, or several things */
export async function inspect(
  terminal: Terminal,
  words: readonly string[],
  { type, format, json = false, confDir }: InspectOptions,
): Promise<void> {
  const kind = kindOf(type)
  const isText = !json && format === undefined
  const print = printerOf(LISTING, { json, ...(format !== undefined && { format }) })
  requireRunDirectory()
  using client = await daemonHere(terminal)
  const ask = async (daemon: Asker) => ({
    published: (await daemon.ask('ports')) as Served[],
    held: (await daemon.ask('held')) as HeldPort[],
  })
  let asked: ReturnType<typeof ask> | undefined
  const view = {
    host: hostOf(surroundings().env, confDir),
    attached: attachedHere(terminal),
    ports: async (mention: Mention) => {
      if (client === undefined) return { published: publishedHere(mention), held: [] }
      asked ??= ask(client)
      return asked
    },
    hasDaemon: client !== undefined,
  }
  const found: Inspected[] = []
  for (const word of new Set(words)) found.push(...(await inspectWord(word, kind, view)))
  if (isText) terminal.out(`${found.map(each => textOf(each, terminal)).join('\n\n')}\n`)
  else print(terminal, found)
}

/** One that is stopped counts as none: what is written down is told all the same. */
async function daemonHere(terminal: Terminal): Promise<Asker | undefined> {
  const client = await readDaemon(terminal)
  if (client?.standstill() === undefined) return client
  client[Symbol.dispose]()
  return undefined
}

function kindOf(type: string | undefined): Kind | undefined {
  const kind = KINDS.find(each => each === type)
  if (type === undefined || kind !== undefined) return kind
  throw new TsnetError(
    'invalid-environment',
    `--type: ${shown(type)} is none of ${KINDS.join(', ')}${didYouMean(type, KINDS)}`,
  )
}
