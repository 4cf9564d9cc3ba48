/** What the demo says when a tool is missing. */

import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { installHint, isInstalled, missingCommands } from '../../src/cli/requirements.ts'

/** A folder with these commands in it. */
function path(folder: string, ...commands: string[]): string {
  for (const command of commands) {
    writeFileSync(join(folder, command), '')
    chmodSync(join(folder, command), 0o755)
  }
  return folder
}

t.test('a command is installed where PATH has it as an executable file', async t => {
  const folder = path(t.testdir(), 'unshare')
  writeFileSync(join(folder, 'nsenter'), '')
  t.equal(isInstalled('unshare', `/nowhere:${folder}`), true)
  t.equal(isInstalled('nsenter', folder), false, 'not executable')
  t.equal(isInstalled('mount', ''), false)
})

t.test('missing commands are named with their packages', async t => {
  const some = path(t.testdir(), 'unshare', 'mount', 'umount', 'sh', 'cat', 'mkdir', 'apk')
  t.strictSame(missingCommands(some), ['nsenter'])
  t.equal(installHint(['util-linux'], some), 'Try: apk add util-linux')
  t.equal(installHint(['a', 'b'], ''), 'Install the packages: a, b')
})
