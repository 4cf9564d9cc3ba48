/** The executables, on inputs that are drawn anew each time; `npm run test:fuzz` makes a thousand calls. */

import { randomInt } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { fuzzExecutables, OURS } from '../support/fuzz/executable.ts'
import { describeFailure } from '../support/fuzz/run.ts'

t.setTimeout(600_000)

const seed = randomInt(2 ** 31)

t.test(
  'plugin, command, docker-proxy and control socket answer whatever they are asked, and nothing is left',
  async t => {
    const failures = await fuzzExecutables({ seed, calls: 40 })
    t.strictSame(failures.map(describeFailure), [])
  },
)

t.test('a control: a plugin that answers nothing, and one that leaves a file, are found', async t => {
  const folder = mkdtempSync(join('dist', 'fuzz-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const script = (name: string, text: string): string => {
    const path = resolve(folder, name)
    writeFileSync(path, `#!/bin/sh\n${text}\n`)
    chmodSync(path, 0o755)
    return path
  }
  const mute = await fuzzExecutables({
    seed: 1,
    calls: 10,
    executables: { ...OURS, tsnet: script('mute', 'exit 1') },
  })
  t.ok(mute.some(({ subject }) => subject === 'executable/cni'))
  const untidy = script('untidy', `touch /run/left-$$; exec ${OURS.tsnet} "$@"`)
  const left = await fuzzExecutables({ seed: 1, calls: 10, executables: { ...OURS, tsnet: untidy } })
  t.ok(left.some(({ reason }) => /not as before: .*\/run\/left/.test(reason)))
})
