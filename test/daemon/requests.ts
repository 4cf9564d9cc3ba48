/** What is asked of the daemon in words that it does not understand. */

import t from 'tap'
import { handlersOf } from '../../src/daemon/requests.ts'

t.test('a reconcile that is neither dry nor wet is refused, and changes nothing', async t => {
  const { reconcile } = handlersOf(...([] as unknown as Parameters<typeof handlersOf>))
  for (const isDry of ['yes', 1, null, {}]) {
    await t.rejects(
      async () => reconcile?.({ isDry }, undefined as never),
      { code: 'invalid-environment', message: /^reconcile: isDry: / },
      String(isDry),
    )
  }
})
