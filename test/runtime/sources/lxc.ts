import { chmodSync } from 'node:fs'
import t from 'tap'
import { lxc } from '../../../src/runtime/sources/lxc.ts'
import { writeFiles } from '../../support/runtime-files.ts'

/** Puts a script in front of all other programs. */
function withInfo(t: { teardown(undo: () => void): void }, folder: string, script: string): void {
  writeFiles(folder, { 'bin/lxc-info': `#!/bin/sh\n${script}\n` })
  chmodSync(`${folder}/bin/lxc-info`, 0o755)
  const { PATH } = process.env
  process.env.PATH = `${folder}/bin:${PATH}`
  t.teardown(() => {
    process.env.PATH = PATH
  })
}

t.test('containers are listed by their configuration and located by lxc-info', async t => {
  const root = t.testdir()
  writeFiles(root, { 'lxc/web/config': '', 'lxc/db/config': '', 'lxc/lost+found/x': '' })
  // -P FOLDER -n NAME -p -H
  withInfo(t, root, 'test "$4" = web && echo "  812"; exit 0')
  const source = lxc(`${root}/lxc`)
  const found = await source.list()
  t.same(found.map(each => each.name).sort(), ['db', 'web'])
  const pids = await Promise.all(found.map(async each => [each.name, (await source.locate?.(each))?.pid]))
  t.same(Object.fromEntries(pids), { web: 812, db: 0 })
})

t.test('an lxc-info that fails, or is not there, is said', async t => {
  const root = t.testdir()
  withInfo(t, root, 'echo "permission denied" >&2; exit 1')
  const web = { runtime: 'lxc' as const, id: 'web', name: 'web' }
  await t.rejects(async () => lxc(`${root}/lxc`).locate?.(web), { code: 'io', message: /permission denied/ })
  process.env.PATH = `${root}/nowhere`
  await t.rejects(async () => lxc(`${root}/lxc`).locate?.(web), { code: 'io', message: /not installed/ })
})
