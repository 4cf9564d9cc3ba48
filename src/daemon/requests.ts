/** What can be asked of the daemon; each is answered by one operation of network/. */

import type { Handlers } from '../control/server.ts'
import { TsnetError } from '../model/errors.ts'
import type { Publication } from '../model/publication.ts'
import { parsePublishRequest } from '../model/publish-request.ts'
import type { AttachmentPorts } from '../network/attachment-ports.ts'
import type { Publisher } from '../network/publisher.ts'
import type { Placeholders } from './placeholders.ts'

/** The handlers of a daemon, by name. */
export const handlersOf = (
  publisher: Publisher,
  attachments: AttachmentPorts,
  placeholders: Placeholders,
): Handlers => ({
  publish: words => publisher.publish(parsePublishRequest(words)),
  unpublish: async words => {
    const selected = select(publisher.list(), words)
    await publisher.unpublish(selected)
    return selected
  },
  ports: () => publisher.list(),
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
  throw new TsnetError('invalid-environment', `owner: ${JSON.stringify(owner)} is not an owner tag`)
}

/** The publications that are named, by id, which all must be there; or all. */
function select(publications: Publication[], words: unknown): Publication[] {
  const { ids } = (words ?? {}) as { ids?: unknown }
  if (!Array.isArray(ids)) throw new TsnetError('invalid-environment', 'unpublish: ids is not a list')
  return ids.map(id => {
    const publication = publications.find(each => each.id === id)
    if (publication === undefined)
      throw new TsnetError('invalid-environment', `there is no publication ${JSON.stringify(id)}`)
    return publication
  })
}
