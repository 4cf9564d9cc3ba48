/** What of the records is to be in the kernel. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { readIntents } from '../../../src/network/reconcile/intents.ts'
import { writePublication } from '../../../src/records/publications.ts'
import { publication } from '../../support/publications.ts'

process.env.TSNET_RUN_DIR = mkdtempSync(join(tmpdir(), 'tsnet-'))
t.teardown(() => rmSync(process.env.TSNET_RUN_DIR ?? '', { recursive: true }))

t.test('a publication has rules from when it is whole until it ends', t => {
  const whole = publication({ id: 'a'.repeat(16) })
  for (const each of [
    whole,
    publication({ id: 'b'.repeat(16), beginning: true }),
    publication({ id: 'c'.repeat(16), ending: 'unpublished' }),
  ])
    writePublication(each)
  t.strictSame(
    readIntents([]).published.map(({ id }) => id),
    [whole.id],
  )
  t.end()
})
