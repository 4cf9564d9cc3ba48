/** The attachments of one container, by any word that means it: as tsnet knows it, or as its runtime does. */

import { TsnetError } from '../../model/errors.ts'
import { shown } from '../../model/json/shown.ts'
import type { Attachment } from '../../model/network.ts'
import { sameNamespace } from '../../netns/netns.ts'
import { resolve } from '../../publish/resolve.ts'
import { listEntries } from '../../records/records.ts'
import { listAttached } from '../attached.ts'
import { meantBy } from './container.ts'

export interface Member {
  owner: string
  attachment: Attachment
}

/**
 * At least one.
 * @throws TsnetError `unknown-container`, `invalid-environment` for a word that means several, and as publish/resolve.ts
 */
export async function membersOf(word: string): Promise<Member[]> {
  const ids = new Set(meantBy(word, listAttached(word)).map(({ containerId }) => containerId))
  const all = listEntries().flatMap(({ owner, entry }) =>
    entry.state === 'attached' ? [{ owner, attachment: entry.attachment }] : [],
  )
  const known = all.filter(({ attachment }) => ids.has(attachment.containerId))
  if (known.length > 0) return known
  const { netns } = await resolve(word)
  const there = all.filter(({ attachment }) => sameNamespace(attachment.netns, netns))
  if (there.length > 0) return there
  throw new TsnetError('unknown-container', `${shown(word)} is on no network of tsnet: tsnet ps lists who is`)
}
