/**
 * SCTP, one to one, which not every kernel has: published by hand and by CNI, served by rules and by the proxy.
 *
 *     client eth0 ───────────── lan0 host ─── br-front ─── web
 *       192.168.50.2   192.168.50.1                     5000/sctp says who asks it, 5007/sctp echoes
 *       fd50::2             fd50::1
 *
 * The clients and servers are socat. An association that one side has shut down takes nothing from the other side any
 * more, so a client here never ends its side before it has its answer.
 */

import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t, { type Test } from 'tap'
import { type Finished, type Namespace, type Place, waitFor } from 'tsnet/lab'
import { libc, must } from '../../src/ffi/ffi.ts'
import { AF_INET } from '../../src/ffi/sockaddr.ts'
import { IPPROTO_SCTP, optionOf, SCTP_NODELAY, SOCK_STREAM } from '../../src/ffi/socket.ts'
import { setStreamOptions } from '../../src/proxy/dial.ts'
import { Command } from '../support/daemon.ts'
import { BACKENDS, CLIENT, HOST, Scene } from '../support/scene.ts'

t.setTimeout(1_200_000)

/** Emulated machines are slow. */
const PATIENCE_MS = 60_000
const SENT_BYTES = 150_000

const LOOPBACK = ['127.0.0.1', '::1']
const OUTSIDE = [HOST[4], HOST[6]]

async function open(t: Test, backend: (typeof BACKENDS)[number]) {
  const scene = await Scene.open(backend)
  t.teardown(() => scene.close())
  const web = await scene.host.namespace('web')
  await scene.remember()
  const network = scene.network('front', 10)
  await network.add(web, { ports: [{ hostPort: 5003, containerPort: 5000, protocol: 'sctp' }] })
  const servers = [
    web.start('socat', 'SCTP4-LISTEN:5000,fork,reuseaddr', 'SYSTEM:read word; echo $word $SOCAT_PEERADDR'),
    web.start('socat', 'SCTP6-LISTEN:5000,fork,reuseaddr,ipv6only=1', 'SYSTEM:read word; echo $word'),
    web.start('socat', 'SCTP4-LISTEN:5007,fork,reuseaddr', 'EXEC:cat'),
  ]
  await waitFor(() => listening(web, [5000, 5000, 5007]), { what: 'the servers', withinMs: PATIENCE_MS })
  const close = () => Promise.all(servers.map(server => server.stop('SIGKILL')))
  return {
    scene,
    host: scene.host,
    client: scene.client,
    web,
    network,
    close,
    tsnet: new Command(scene.host, backend),
  }
}

/** The kernel's table has a line for each socket that listens. */
async function listening(web: Namespace, ports: number[]): Promise<boolean> {
  const { stdout } = await web.run('cat', '/proc/net/sctp/eps')
  const there = stdout.split('\n').map(line => Number(line.trim().split(/\s+/)[5]))
  return there.filter(port => ports.includes(port)).length >= ports.length
}

/** One word there, and what comes back before the server ends the association. */
const ask = (from: Place, address: string, port: number): Promise<Finished> =>
  from.run(
    'socat',
    '-,ignoreeof',
    address.includes(':') ? `SCTP6-CONNECT:[${address}]:${port}` : `SCTP4-CONNECT:${address}:${port}`,
    { stdin: 'hello\n', withinMs: PATIENCE_MS, mayFail: true },
  )

async function answers(t: Test, from: Place, addresses: string[], port: number): Promise<void> {
  for (const address of addresses) {
    const { stdout, stderr } = await ask(from, address, port)
    t.match(stdout, /^hello\b/, `${from.name} → ${address} port ${port} ${stderr}`)
  }
}

async function refuses(t: Test, from: Place, addresses: string[], port: number): Promise<void> {
  for (const address of addresses)
    t.match(
      await ask(from, address, port),
      { stdout: '', stderr: /refused/ },
      `${from.name} → ${address} port ${port}`,
    )
}

/** The proxy has nobody any more. A successor counts only those whom it accepted itself. */
async function isIdle(tsnet: Command): Promise<boolean> {
  const counters = (await tsnet.ports()).flatMap(each => each.counters ?? [])
  return counters.length > 0 && counters.every(({ active }) => active === 0)
}

for (const backend of BACKENDS) {
  t.test(
    `${backend}: an SCTP port answers from outside and on the host, and nothing of it stays`,
    async t => {
      const { scene, host, client, web, network, close, tsnet } = await open(t, backend)
      const daemon = await tsnet.daemon()
      await tsnet.run('publish', '5000:5000/sctp', 'web')
      await tsnet.run('publish', '--mode', 'nat', '5001:5000/sctp', 'web')
      await tsnet.run('publish', '--mode', 'proxy', '5002:5000/sctp', 'web')
      await tsnet.run('publish', '5009:5999/sctp', 'web')

      for (const port of [5000, 5001, 5002, 5003]) await answers(t, client, OUTSIDE, port)
      for (const port of [5000, 5002, 5003]) await answers(t, host, [...LOOPBACK, ...OUTSIDE], port)
      await answers(t, host, OUTSIDE, 5001)
      await refuses(t, host, LOOPBACK, 5001)
      await answers(t, web, OUTSIDE, 5000)
      for (const [port, keeps] of [
        [5000, true],
        [5001, true],
        [5002, false],
        [5003, true],
      ] as const)
        t.equal(
          (await ask(client, HOST[4], port)).stdout.includes(CLIENT[4]),
          keeps,
          `port ${port} sees its client`,
        )

      const ports = JSON.parse((await tsnet.run('ports', '--all', '--json')).stdout) as { hostPort: number }[]
      t.match(
        ports.toSorted((a, b) => a.hostPort - b.hostPort),
        [
          { hostPort: 5000, protocol: 'sctp', state: 'serving', by: [backend, 'proxy'] },
          { hostPort: 5001, protocol: 'sctp', state: 'serving', by: [backend] },
          { hostPort: 5002, protocol: 'sctp', state: 'serving', by: ['proxy'] },
          { hostPort: 5003, protocol: 'sctp', state: 'serving', by: [backend, 'proxy'], source: 'cni' },
          { hostPort: 5009, protocol: 'sctp', state: 'silent', why: /5999\/sctp.*5000/ },
        ],
      )
      t.ok(await waitFor(() => isIdle(tsnet), { what: 'all to be over', withinMs: PATIENCE_MS }))
      const again = await tsnet.try('publish', '5003:5000/sctp', 'web')
      t.match(again, { code: 1, stderr: /5003\/sctp/ }, 'a port is one container’s')

      await tsnet.run('unpublish', '5000/sctp')
      await refuses(t, client, OUTSIDE, 5000)
      await refuses(t, host, LOOPBACK, 5000)
      await answers(t, client, [HOST[4]], 5001)
      await tsnet.run('unpublish', '--all')
      await close()
      await network.delete(web)
      await daemon.stop('SIGTERM')
      t.same(await scene.residue(), [])
    },
  )
}

t.test("an association, and dockerd's port, live on when another daemon takes over", async t => {
  const { host, client, tsnet } = await open(t, 'nftables')
  writeFileSync(host.path('/run/two.json'), '{"workers":2}')
  const settings = ['--config', '/run/two.json']
  const first = await tsnet.daemon(...settings)
  await tsnet.run('publish', '--mode', 'proxy', '5007:5007/sctp', 'web')
  const placeholder = host.start(
    ...[resolve('dist/drop-in/docker-proxy'), '-proto', 'sctp', '-host-ip', '0.0.0.0', '-host-port', '5010'],
    ...['-container-ip', '10.10.0.2', '-container-port', '5000'],
  )
  const answered = async () => (await ask(client, HOST[4], 5010)).stdout.startsWith('hello ')
  await waitFor(answered, { what: "dockerd's port", withinMs: PATIENCE_MS })
  const talk = client.start(
    'sh',
    '-c',
    `(echo one; until [ -e /run/go ]; do sleep 0.2; done; echo two; until [ -e /run/end ]; do sleep 0.2; done) |
      socat - SCTP4-CONNECT:${HOST[4]}:5007`,
  )
  const heard = (text: string) =>
    waitFor(() => talk.stdout === text, { what: JSON.stringify(text), withinMs: PATIENCE_MS })
  await heard('one\n')

  await tsnet.daemon('--replace', ...settings)
  await client.run('touch', '/run/go')
  await heard('one\ntwo\n')
  t.equal((await first.finished).code, 0, 'the predecessor has gone')
  t.match(await tsnet.ports(), [{ hostPort: 5007, counters: { active: 1 } }], 'its successor serves it')
  await client.run('touch', '/run/end')
  t.equal((await talk.finished).code, 0, 'it ends as it would have')
  t.ok(await waitFor(() => isIdle(tsnet), { what: 'it to be over', withinMs: PATIENCE_MS }))
  await answers(t, client, [HOST[4]], 5010)
  await placeholder.stop('SIGTERM')
  await refuses(t, client, [HOST[4]], 5010)
})

t.test('what a client sent before it left arrives in whole, though its server speaks to it', async t => {
  const { host, client, web, tsnet } = await open(t, 'nftables')
  await tsnet.daemon()
  await tsnet.run('publish', '--mode', 'proxy', '5008:5008/sctp', 'web')
  // Takes little, says something, and is slow to take the rest, which the proxy still holds by then.
  web.start(
    'socat',
    'SCTP4-LISTEN:5008,reuseaddr,rcvbuf=16384',
    'SYSTEM:until [ -e /run/left ]; do sleep 0.1; done; echo late; sleep 2; cat >/run/got',
  )
  await waitFor(() => listening(web, [5008]), { what: 'the server', withinMs: PATIENCE_MS })
  const send = `head -c ${SENT_BYTES} /dev/zero | socat -u -b 8192 - SCTP4-CONNECT:${HOST[4]}:5008`
  await client.run('sh', '-c', send, { withinMs: PATIENCE_MS })
  const hasLeft = async () => !/ 5008 /.test((await client.run('cat', '/proc/net/sctp/assocs')).stdout)
  await waitFor(hasLeft, { what: 'the client to have left', withinMs: PATIENCE_MS })
  await host.run('touch', '/run/left')
  const got = async () => Number((await host.run('stat', '-c', '%s', '/run/got')).stdout)
  await waitFor(async () => (await got()) === SENT_BYTES, { what: 'all of it', withinMs: PATIENCE_MS }).catch(
    () => {},
  )
  t.equal(await got(), SENT_BYTES)
  t.ok(await waitFor(() => isIdle(tsnet), { what: 'it to be over', withinMs: PATIENCE_MS }))
})

t.test('small messages are not held back', async t => {
  const fd = must('socket', libc.socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP))
  t.teardown(() => libc.close(fd))
  t.equal(optionOf(fd, IPPROTO_SCTP, SCTP_NODELAY), 0)
  setStreamOptions(fd, 'sctp', 0)
  t.equal(optionOf(fd, IPPROTO_SCTP, SCTP_NODELAY), 1)
})
