/** The files of conf/ that a daemon is run by name what there is. */

import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import t from 'tap'
import { run } from '../../src/cli/cli.ts'
import { controlSocket } from '../../src/control/control.ts'
import { defaults, readSettings, SETTINGS_FILE } from '../../src/control/settings.ts'
import { UnitFile } from '../support/unit-file.ts'

const service = new UnitFile('conf/tsnetd.service')
const socket = new UnitFile('conf/tsnetd.socket')

t.test('tsnetd.json holds every setting, with its default', async t => {
  const path = 'conf/tsnetd.json'
  t.same(JSON.parse(readFileSync(path, 'utf8')), defaults)
  t.same(readSettings(path), defaults)
  t.equal(basename(SETTINGS_FILE), basename(path))
})

t.test('the service runs a command that exists, with the settings file that is the default', async t => {
  const [executable, command = '', option = '', value] = service.setting('Service', 'ExecStart').split(' ')
  const { bin } = JSON.parse(readFileSync('package.json', 'utf8')) as { bin: Record<string, string> }
  t.ok(executable && Object.hasOwn(bin, executable))
  let help = ''
  const out = (text: string) => {
    help += text
  }
  t.equal(await run([command, '--help'], { out, error: out, lively: false, livelyErrors: false }), 0)
  t.match(help, `  ${option} <file>`)
  t.equal(value, SETTINGS_FILE)
})

t.test('the service is told what the daemon does: readiness, reload, the time that it drains', async t => {
  t.equal(service.setting('Service', 'Type'), 'notify')
  t.equal(service.setting('Service', 'NotifyAccess'), 'main')
  t.equal(service.setting('Service', 'ExecReload'), 'kill -HUP $MAINPID')
  t.ok(Number(service.setting('Service', 'TimeoutStopSec')) * 1000 > defaults.drainMs)
})

t.test('the socket is the control socket, for root alone, and belongs to the service', async t => {
  t.equal(socket.setting('Socket', 'ListenStream'), controlSocket())
  t.equal(socket.setting('Socket', 'SocketMode'), '0600')
  t.equal(socket.setting('Socket', 'DirectoryMode'), '0700')
  t.equal(service.setting('Install', 'Also'), 'tsnetd.socket')
})
