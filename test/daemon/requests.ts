/** What is asked of the daemon in words that it does not understand. */

import t from 'tap'
import { type Answering, handlersOf } from '../../src/daemon/requests.ts'
import type { Publication } from '../../src/model/publication/publication.ts'
import type { Publisher } from '../../src/publish/publish.ts'
import { publication } from '../support/publications.ts'

t.test('a reconcile that is neither dry nor wet is refused, and changes nothing', async t => {
  const { reconcile } = handlersOf({} as Answering)
  for (const isDry of ['yes', 1, null, {}]) {
    await t.rejects(
      async () => reconcile?.({ isDry }, undefined as never),
      { code: 'invalid-environment', message: /^isDry: / },
      String(isDry),
    )
  }
})

t.test('what has ended since it was chosen is no error to those who end it', async t => {
  const there = publication({ id: 'a'.repeat(16) })
  const publisher: Pick<Publisher, 'published' | 'counted' | 'unpublish'> = {
    published: () => [there],
    counted: all => [...all],
    unpublish: async <P extends Publication>(all: readonly P[]) => [...all],
  }
  const { unpublish } = handlersOf({ publisher } as unknown as Answering)
  const ids = [there.id, 'b'.repeat(16)]
  t.strictSame(await unpublish?.({ ids }, undefined as never), [there])
})
