/** What can be asked of the daemon; each is answered by one operation of network/. */

import type { Handlers } from '../control/server.ts'
import { TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import type { Publication } from '../model/publication/publication.ts'
import { parsePublishRequest } from '../model/publication/request.ts'
import { VERSION } from '../model/version.ts'
import { reconcile } from '../network/reconcile/reconcile.ts'
import { AttachedIndex } from '../networks/networks.ts'
import type { Look } from '../observe/observe.ts'
import type { Publisher, Served } from '../publish/publish.ts'
import type { HostNetworks } from './hosts/hosts.ts'
import type { Observing } from './observing/observing.ts'
import { Troubles } from './observing/troubles.ts'
import type { Parts } from './parts.ts'

/** Who answers. */
export interface Answering
  extends Pick<Parts, 'publisher' | 'attachments' | 'placeholders' | 'holder' | 'names'> {
  observing: Pick<Observing, 'observer' | 'events'>
  hostNetworks: Pick<HostNetworks, 'list' | 'of' | 'troubles'>
}

/** The handlers of a daemon, by name. */
export const handlersOf = (
  { publisher, attachments, placeholders, holder, names, observing, hostNetworks }: Answering,
  troubles = new Troubles(),
  attached = new AttachedIndex(),
): Handlers => ({
  publish: words => publisher.publish(parsePublishRequest(words)),
  choose: words => named(publisher, words),
  unpublish: async words => {
    return publisher.unpublish(publisher.counted(identified(publisher.published(), words)))
  },
  about: () => ({ version: VERSION, pid: process.pid, troubles: troubles.recent }),
  ports: () => publisher.list(),
  reconcile: async words => {
    const found = await reconcile({ isDry: isDryIn(words) })
    observing.events.reconciled(found)
    return found
  },
  hosts: () => hostNetworks.list(),
  'host-troubles': () => hostNetworks.troubles(),
  host: words => hostNetworks.of(networkOf(words)).details(hostOf(words)),
  'drain-host': words => hostNetworks.of(networkOf(words)).drain(hostOf(words), isDrainedIn(words)),
  'forget-host': words => hostNetworks.of(networkOf(words)).forget(hostOf(words), isDryIn(words)),
  held: () => [...attachments.list(), ...placeholders.list()],
  counters: words => observing.observer.counters(lookIn(words)),
  attached: words => attached.list(wordIn(words)),
  serve: words => holder.serve(ownerOf(words)),
  release: words => holder.release(ownerOf(words)),
  'watch-names': (words, peer) => names.watch(ownersIn(words), peer),
  'name-troubles': words => holder.troubles({ name: networkOf(words) }),
  'docker-proxy': (words, peer) => placeholders.serve(words, peer),
  leave: (_, peer) => placeholders.leave(peer),
})

/** What only the process itself can ask for. */
export const personal: readonly string[] = ['docker-proxy', 'leave']

const isOwner = (word: unknown): word is string => typeof word === 'string' && /^[0-9a-f]{16}$/.test(word)

function ownerOf(words: unknown): string {
  const { owner } = (words ?? {}) as { owner?: unknown }
  if (isOwner(owner)) return owner
  throw new TsnetError('invalid-environment', `owner: ${shown(owner)} is not an owner tag`)
}

function ownersIn(words: unknown): string[] {
  const { owners } = (words ?? {}) as { owners?: unknown }
  if (Array.isArray(owners) && owners.every(isOwner)) return owners
  throw new TsnetError('invalid-environment', `owners: ${shown(owners)} is no list of owner tags`)
}

function networkOf(words: unknown): string {
  const { network } = (words ?? {}) as { network?: unknown }
  if (typeof network === 'string') return network
  throw new TsnetError('invalid-environment', `network: ${shown(network)} is no name of a network`)
}

function hostOf(words: unknown): string {
  const { id } = (words ?? {}) as { id?: unknown }
  if (typeof id === 'string') return id
  throw new TsnetError('invalid-environment', `id: ${shown(id)} is no id of a host`)
}

function isDrainedIn(words: unknown): boolean {
  const { isDrained } = (words ?? {}) as { isDrained?: unknown }
  if (typeof isDrained === 'boolean') return isDrained
  throw new TsnetError('invalid-environment', `drain-host: ${shown(isDrained)} is neither true nor false`)
}

/** Whatever else stands there means that all is asked for. */
function lookIn(words: unknown): Look | undefined {
  const { at, generation } = (words ?? {}) as Partial<Record<keyof Look, unknown>>
  return typeof at === 'number' && typeof generation === 'number' ? { at, generation } : undefined
}

/** Whom a listing is about; undefined: all. */
function wordIn(words: unknown): string | undefined {
  const { word } = (words ?? {}) as { word?: unknown }
  if (word === undefined || typeof word === 'string') return word
  throw new TsnetError('invalid-environment', `attached: word: ${shown(word)} is not a text`)
}

/** What only says what it would do must not do it because of a word that was not understood. */
function isDryIn(words: unknown): boolean {
  const { isDry = false } = (words ?? {}) as { isDry?: unknown }
  if (typeof isDry === 'boolean') return isDry
  throw new TsnetError('invalid-environment', `isDry: ${shown(isDry)} is neither true nor false`)
}

/** The publications of these ids that are there: what has ended since they were chosen needs no end. */
function identified(published: readonly Publication[], words: unknown): Publication[] {
  const { ids } = (words ?? {}) as { ids?: unknown }
  if (!Array.isArray(ids)) throw new TsnetError('invalid-environment', 'unpublish: ids is not a list')
  const chosen = new Set<unknown>(ids)
  return published.filter(({ id }) => chosen.has(id))
}

/** The publications that people mean by these names; or all. */
async function named(publisher: Publisher, words: unknown): Promise<Served[]> {
  const { all, names } = (words ?? {}) as { all?: unknown; names?: unknown }
  if (all === true) return publisher.list()
  if (Array.isArray(names) && names.every(name => typeof name === 'string')) return publisher.choose(names)
  throw new TsnetError('invalid-environment', 'choose: names is not a list of texts')
}
