/** What of the records is to be in the kernel. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { madeSince, readIntents } from '../../../src/network/reconcile/intents.ts'
import { HeldOwners } from '../../../src/records/hold.ts'
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

t.test('who is being made is told, and once he is made, and nobody is busy with him, that he is', t => {
  const [half, dead] = ['d'.repeat(16), 'e'.repeat(16)]
  for (const id of [half, dead]) writePublication(publication({ id, beginning: true }))
  const { making } = readIntents([])
  t.strictSame([...making].sort(), ['b'.repeat(16), half, dead])
  const busy = new HeldOwners()
  t.ok(busy.take(half))
  t.strictSame(madeSince([half, dead]), { made: false, making: [half] }, 'nobody makes the other any more')
  writePublication(publication({ id: half }))
  t.strictSame(madeSince([half]), { made: false, making: [half] })
  busy[Symbol.dispose]()
  t.strictSame(madeSince([half]), { made: true, making: [] })
  t.end()
})
