/** Docker's socket: who is slow is let go. */

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mock } from 'node:test'
import t from 'tap'
import { serveDocker } from '../../src/daemon/libnetwork/libnetwork.ts'
import type { World } from '../../src/libnetwork/world.ts'

async function open(path: string) {
  const nobody = {} as World
  const server = serveDocker(nobody, work => work())
  server.listen(path)
  await once(server, 'listening')
  return server
}

for (const [said, words] of [
  ['nothing', ''],
  ['half a head', 'POST /Plugin.Activate HTTP/1.1\r\nhost:'],
  ['half a body', 'POST /Plugin.Activate HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{'],
] as const) {
  t.test(`who says ${said} is let go after half a minute`, async t => {
    mock.timers.enable({ apis: ['setTimeout'] })
    t.teardown(() => mock.timers.reset())
    const folder = mkdtempSync(join(tmpdir(), 'docker-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'docker.sock')
    const server = await open(path)
    t.teardown(() => server.close())
    const socket = connect(path)
    const accepted = once(server, 'connection')
    await once(socket, 'connect')
    socket.write(words)
    await accepted
    mock.timers.tick(29_000)
    t.notOk(socket.destroyed)
    mock.timers.tick(2_000)
    await new Promise(resolve => socket.once('error', resolve).once('close', resolve).resume())
    t.pass()
  })
}
