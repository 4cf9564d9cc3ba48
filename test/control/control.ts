import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type ControlClient, connectControl } from '../../src/control/client.ts'
import { controlSocket, type Event, REQUEST_MAX } from '../../src/control/control.ts'
import { ControlServer, type Handlers } from '../../src/control/server.ts'
import { waitFor } from '../../src/lab/wait.ts'
import { TsnetError } from '../../src/model/errors.ts'

/** A run directory of the test's own, with a path short enough for a socket's. */
function runDirectory(t: Tap.Test): void {
  const folder = mkdtempSync(join(tmpdir(), 'tsnet-control-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  process.env.TSNET_RUN_DIR = folder
}

/** A server in a run directory of the test's own. */
async function serve(t: Tap.Test, handlers: Handlers) {
  runDirectory(t)
  const server: Server = createServer()
  const control = new ControlServer(server, handlers)
  await new Promise<void>(resolve => server.listen(controlSocket(), resolve))
  t.teardown(() => {
    control.close()
    server.close()
  })
  return { control, server }
}

async function client(hear?: (event: Event) => void): Promise<ControlClient> {
  const connected = await connectControl(hear)
  if (connected === undefined) throw new Error('nobody listens')
  return connected
}

const connections = (server: Server): Promise<number> =>
  new Promise(resolve => server.getConnections((_error, count) => resolve(count)))

/** A peer that speaks as it likes. */
async function rawPeer(): Promise<{ socket: Socket; closed: Promise<void> }> {
  const socket = connect(controlSocket())
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
  socket.on('error', () => {})
  await new Promise(resolve => socket.once('connect', resolve))
  return { socket, closed }
}

declare namespace Tap {
  type Test = { teardown(work: () => void): void }
}

t.test('what is asked for is answered, several questions at once, each to its own', async t => {
  await serve(t, {
    double: async value => (value as number) * 2,
    fail: () => {
      throw new TsnetError('conflict', 'port 80/tcp is taken', { details: 'by web' })
    },
  })
  using asking = await client()
  t.same(await Promise.all([asking.ask('double', 1), asking.ask('double', 2)]), [2, 4])
  await t.rejects(asking.ask('fail'), {
    code: 'conflict',
    message: 'port 80/tcp is taken',
    details: 'by web',
  })
  await t.rejects(asking.ask('constructor'), { code: 'unsupported-field' })
})

t.test('a daemon that does not answer is not waited for endlessly, and may answer later', async t => {
  let finish = () => {}
  await serve(t, {
    slow: () => new Promise<void>(resolve => (finish = resolve)),
    quick: () => 'here',
  })
  using asking = await client()
  await t.rejects(asking.ask('slow', {}, 50), {
    code: 'try-again',
    message: 'the daemon did not answer "slow" within 0.05 s',
  })
  finish()
  t.equal(await asking.ask('quick'), 'here')
})

t.test('events reach those who watch, and nobody else', async t => {
  const { control } = await serve(t, {})
  const heard: Event[] = []
  using watching = await client(event => heard.push(event))
  using other = await client(() => t.fail('did not ask to watch'))
  await watching.ask('watch')
  control.tell({ event: 'published', about: 8080 })
  await t.rejects(watching.ask('nothing'), 'an answer after the event: it has come by now')
  await t.rejects(other.ask('nothing'))
  t.same(heard, [{ event: 'published', about: 8080 }])
})

t.test('garbage, half a line and an endless line close their own connection only', async t => {
  await serve(t, { ping: () => 'pong' })
  using good = await client()
  const garbage = await rawPeer()
  garbage.socket.write('GET / HTTP/1.1\r\n\r\n')
  await garbage.closed
  for (const line of ['[1,2]', 'null']) {
    const notARequest = await rawPeer()
    notARequest.socket.write(`${line}\n`)
    await notARequest.closed
  }
  const half = await rawPeer()
  half.socket.end('{"id":1,"do":"pi')
  await half.closed
  const endless = await rawPeer()
  const chunk = Buffer.alloc(REQUEST_MAX / 4, 'x')
  const write = () => endless.socket.destroyed || endless.socket.write(chunk, write)
  write()
  await endless.closed
  t.equal(await good.ask('ping'), 'pong')
})

t.test('a list of ten thousand ports arrives', async t => {
  const page = Array.from({ length: 10_000 }, (_, port) => ({ port, rest: 'x'.repeat(1_000) }))
  await serve(t, { ports: () => page })
  using asking = await client()
  const answer = (await asking.ask('ports')) as typeof page
  t.equal(answer.length, page.length)
  t.same(answer.at(-1), page.at(-1))
})

t.test('a peer that asks and never reads is let go', async t => {
  const { server } = await serve(t, { page: () => 'x'.repeat(1024 * 1024), ping: () => 'pong' })
  using good = await client()
  const deaf = await rawPeer()
  deaf.socket.pause()
  for (let id = 0; id < 64; id++) deaf.socket.write(`${JSON.stringify({ id, do: 'page' })}\n`)
  await waitFor(async () => (await connections(server)) === 1, { what: 'the deaf peer to be let go' })
  deaf.socket.destroy()
  t.equal(await good.ask('ping'), 'pong')
})

t.test('where no daemon runs there is no client', async t => {
  runDirectory(t)
  t.equal(await connectControl(), undefined)
})
