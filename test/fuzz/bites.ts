/** The control of all fuzzing: parsers with a fault, each of which has to be found. */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { TsnetError } from '../../src/model/errors.ts'
import { MalformedError } from '../../src/netlink/codecs.ts'
import { ofBytes } from '../support/fuzz/bytes.ts'
import { keep, readCorpus } from '../support/fuzz/corpus.ts'
import { ofDocument, ofValue } from '../support/fuzz/documents.ts'
import type { Subject } from '../support/fuzz/fuzz.ts'
import { describeFailure, type Failure, runDrawn, runLong, tryInput } from '../support/fuzz/run.ts'
import { ofText } from '../support/fuzz/texts.ts'

t.setTimeout(600_000)

const refusals = [TsnetError]
const samples = ['10.0.0.1:80']
const refuse = (text: string): never => {
  throw new TsnetError('invalid-config', text)
}

/** As the quick run does it, with as many inputs as a parser gets of a million. */
const find = async (subject: unknown): Promise<Failure | undefined> =>
  (await runDrawn(subject as Subject, { seed: 1, runs: 10_000 })) ??
  (await runLong(subject as Subject, 12_000, 40))

const planted: Record<string, { subject: unknown; found: RegExp }> = {
  'an error of somebody else': {
    subject: ofText('planted', { samples, refusals, read: text => new URL(text) }),
    found: /Invalid URL/,
  },
  'an error that nobody foresaw': {
    subject: ofText('planted', {
      samples,
      refusals,
      read: text => {
        if (text.includes('\0')) throw new TsnetError('internal', 'a fault')
      },
    }),
    found: /nobody foresaw/,
  },
  'a message as long as the input': {
    subject: ofText('planted', { samples, refusals, read: text => refuse(`${text} is wrong`) }),
    found: /a message of \d+ characters/,
  },
  'a regular expression that tries every way': {
    subject: ofText('planted', { samples, refusals, read: text => / +$/.test(text) }),
    found: /it took \d+ ms/,
  },
  'a value that is out of bounds': {
    subject: ofText('planted', {
      samples,
      refusals,
      read: text => Number(text.split(':')[1] ?? 0),
      check: port => {
        if (!(port <= 65_535)) throw new Error(`port ${port}`)
      },
    }),
    found: /port (NaN|\d+)/,
  },
  'a key that changes what all objects have': {
    subject: ofDocument('planted', {
      samples: [{ a: { b: 1 } }],
      refusals: [TsnetError, SyntaxError],
      read: text => {
        const all: Record<string, Record<string, unknown>> = {}
        for (const [key, value] of Object.entries(JSON.parse(text) ?? {})) {
          for (const [inner, of] of Object.entries(value ?? {})) {
            const at = all[key] ?? {}
            if (inner === 'b') at[inner] = of
            all[key] = at
          }
        }
      },
    }),
    found: /all objects/,
  },
  'an object where a text was expected': {
    subject: ofValue('planted', {
      samples: [{ a: 'x' }],
      refusals,
      read: value => String((value as { a?: unknown } | null)?.a),
    }),
    found: /primitive value|call stack/,
  },
  'a byte outside of those that were handed over': {
    subject: ofBytes('planted', {
      samples: [Uint8Array.of(4, 0, 1, 0)],
      refusals: [MalformedError],
      read: bytes => (bytes.length < 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint8(4)),
    }),
    found: /deep-equal|outside the bounds/,
  },
  'memory that is never given back': {
    subject: (() => {
      const kept: Uint8Array[] = []
      return ofText('planted', { samples, refusals, read: () => void kept.push(new Uint8Array(200_000)) })
    })(),
    found: /it keeps \d+ MB/,
  },
}

for (const [fault, { subject, found }] of Object.entries(planted)) {
  t.test(`${fault} is found`, async t => {
    const failure = await find(subject)
    for (const name of Object.keys(Object.prototype))
      delete (Object.prototype as Record<string, unknown>)[name]
    t.match(failure?.reason, found)
  })
}

t.test('what was found comes again by its seed and path, and from the corpus', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'tsnet-corpus-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const subject = ofText('planted/colon', {
    samples,
    refusals,
    read: text => (text.includes('\ud800') ? JSON.parse('[') : text),
  }) as unknown as Subject
  const failure = await runDrawn(subject, { seed: 5, runs: 10_000 })
  if (failure === undefined) throw new Error('nothing was found')
  t.match(
    describeFailure(failure),
    /again: npm run test:fuzz -- --only planted\/colon --seed 5 --path [\d:]+/,
  )
  const { path = '' } = failure
  t.match(await runDrawn(subject, { seed: 5, runs: 1, path }), { input: failure.input })
  const file = keep(failure, folder) ?? ''
  t.match(file, /planted-colon-[0-9a-f]{12}\.case$/)
  t.strictSame(readCorpus(folder), [{ subject: 'planted/colon', input: failure.input }])
  await t.rejects(tryInput(subject, readCorpus(folder)[0]?.input), SyntaxError)
  const bytes = keep({ ...failure, input: Uint8Array.of(1, 255) }, folder) ?? ''
  t.match(readFileSync(bytes, 'utf8'), '01ff')
  t.ok(readCorpus(folder).some(({ input }) => input instanceof Uint8Array && input[1] === 255))
  t.equal(keep({ ...failure, input: 'x'.repeat(10_000) }, folder), undefined)
})

t.test('what hangs is ended, and says where', async t => {
  const script = fileURLToPath(new URL('../support/fuzz/hang.js', import.meta.url))
  const { signal, stderr } = spawnSync(process.execPath, [script], { timeout: 60_000 })
  t.equal(signal, 'SIGKILL')
  t.match(String(stderr), 'npm run test:fuzz -- --only planted --seed 7 --path 3')
})
