/** What can be asked of the daemon; each is answered by one operation of network/. */

import type { Handlers } from '../control/server.ts'
import { TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import type { Publication } from '../model/publication/publication.ts'
import { parsePublishRequest } from '../model/publication/request.ts'
import { reconcile } from '../network/reconcile/reconcile.ts'
import type { AttachmentPorts } from '../publish/attachment-ports.ts'
import type { Publisher, Served } from '../publish/publish.ts'
import type { Placeholders } from './placeholders.ts'

/** The handlers of a daemon, by name. */
export const handlersOf = (
  publisher: Publisher,
  attachments: AttachmentPorts,
  placeholders: Placeholders,
): Handlers => ({
  publish: words => publisher.publish(parsePublishRequest(words)),
  choose: words => named(publisher, words),
  unpublish: async words => {
    const selected = publisher.counted(identified(publisher.published(), words))
    await publisher.unpublish(selected)
    return selected
  },
  ports: () => publisher.list(),
  reconcile: words => reconcile({ isDry: isDryIn(words) }),
  held: () => [...attachments.list(), ...placeholders.list()],
  serve: words => attachments.serve(ownerOf(words)),
  release: words => attachments.release(ownerOf(words)),
  'docker-proxy': (words, peer) => placeholders.serve(words, peer),
  leave: (_, peer) => placeholders.leave(peer),
})

/** What only the process itself can ask for. */
export const personal: readonly string[] = ['docker-proxy', 'leave']

function ownerOf(words: unknown): string {
  const { owner } = (words ?? {}) as { owner?: unknown }
  if (typeof owner === 'string' && /^[0-9a-f]{16}$/.test(owner)) return owner
  throw new TsnetError('invalid-environment', `owner: ${shown(owner)} is not an owner tag`)
}

/** What only says what it would do must not do it because of a word that was not understood. */
function isDryIn(words: unknown): boolean {
  const { isDry = false } = (words ?? {}) as { isDry?: unknown }
  if (typeof isDry === 'boolean') return isDry
  throw new TsnetError('invalid-environment', `reconcile: isDry: ${shown(isDry)} is neither true nor false`)
}

/** The publications of these ids, which all must be there. */
function identified(published: readonly Publication[], words: unknown): Publication[] {
  const { ids } = (words ?? {}) as { ids?: unknown }
  if (!Array.isArray(ids)) throw new TsnetError('invalid-environment', 'unpublish: ids is not a list')
  const byId = new Map(published.map(each => [each.id, each]))
  return ids.map(id => {
    const publication = byId.get(id)
    if (publication === undefined)
      throw new TsnetError('invalid-environment', `there is no publication ${shown(id)}`)
    return publication
  })
}

/** The publications that people mean by these names; or all. */
async function named(publisher: Publisher, words: unknown): Promise<Served[]> {
  const { all, names } = (words ?? {}) as { all?: unknown; names?: unknown }
  if (all === true) return publisher.list()
  if (Array.isArray(names) && names.every(name => typeof name === 'string')) return publisher.choose(names)
  throw new TsnetError('invalid-environment', 'choose: names is not a list of texts')
}
