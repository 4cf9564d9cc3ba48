/**
 * What dockerd relies on in its userland proxy: one suite, held against the original and against ours.
 */

import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { type Host, lab, waitFor } from 'tsnet/lab'
import { DockerProxy, flags, IMPLEMENTATIONS, type Implementation } from '../support/docker-proxy.ts'

/** What a client is told; a peer that died must not look like one that finished. */
const gone = { original: 'an end of stream', tsnet: 'a reset' } as const

/** Where the container listens: another address of the host. */
const CONTAINER = '127.0.0.2'

async function open(t: Test): Promise<Host> {
  const world = await lab()
  t.teardown(() => world.end())
  const host = await world.host('host')
  for (const transport of ['tcp', 'udp'] as const) {
    host.listen(transport, 80, CONTAINER)
    host.listen(transport, 80, '::1')
  }
  return host
}

const refused = (host: Host, address = '127.0.0.1', port = 8080) =>
  waitFor(
    () =>
      host.ask('tcp', address, port).then(
        () => false,
        thrown => thrown.code === 'ECONNREFUSED',
      ),
    { what: 'the port to be free' },
  )

for (const implementation of ['original', 'tsnet'] as const satisfies Implementation[]) {
  const up = (host: Host, args: string[], part = {}) => DockerProxy.up(host, implementation, args, part)
  const start = (host: Host, args: string[], part = {}) => new DockerProxy(host, implementation, args, part)

  t.test(
    `${implementation}: TCP and UDP are served, over both families and from one to the other`,
    async t => {
      const host = await open(t)
      const ways = [
        ['127.0.0.1', CONTAINER],
        ['::1', '::1'],
        ['::1', CONTAINER],
      ] as const
      for (const [index, [hostIp, to]] of ways.entries()) {
        const hostPort = 8080 + index
        for (const proto of ['tcp', 'udp'] as const) {
          const proxy = await up(host, flags({ proto, hostIp, hostPort, to }))
          for (const text of ['first', 'second'])
            t.equal(
              (await host.ask(proto, hostIp, hostPort, { text })).text,
              text,
              `${proto} ${hostIp} to ${to}`,
            )
          t.match(await proxy.stop(), { code: 0, signal: null })
        }
      }
    },
  )

  t.test(`${implementation}: :: is IPv6 alone, and 0.0.0.0 IPv4`, async t => {
    const host = await open(t)
    await up(host, flags({ hostIp: '::', to: CONTAINER }))
    await host.ask('tcp', '::1', 8080)
    await refused(host)
    await up(host, flags({ hostIp: '0.0.0.0', to: CONTAINER }))
    await host.ask('tcp', '127.0.0.1', 8080)
  })

  t.test(`${implementation}: an end of stream passes, and the answer comes back`, async t => {
    const host = await open(t)
    host.start('socat', `TCP-LISTEN:81,bind=${CONTAINER},fork,reuseaddr`, 'EXEC:wc -c')
    await waitFor(async () => (await host.run('ss', '-ltnH')).stdout.includes(`${CONTAINER}:81`), {
      what: 'socat to listen',
    })
    await up(host, flags({ to: CONTAINER, port: 81 }))
    const asked = await host.run('socat', '-t', '5', '-', 'TCP:127.0.0.1:8080', {
      stdin: 'x'.repeat(100_000),
    })
    t.equal(asked.stdout.trim(), '100000')
  })

  t.test(`${implementation}: a container that does not listen is ${gone[implementation]}`, async t => {
    const host = await open(t)
    await up(host, flags({ to: CONTAINER, port: 9 }))
    const { stdout, stderr } = await host.run('socat', '-d', '-u', 'TCP:127.0.0.1:8080', '-', {
      mayFail: true,
    })
    t.equal(stdout, '')
    t.equal(/Connection reset by peer/.test(stderr), implementation === 'tsnet')
    await up(host, flags({ proto: 'udp', to: CONTAINER, port: 9 }))
    await t.rejects(host.ask('udp', '127.0.0.1', 8080, { withinMs: 200 }))
    const late = host.listen('udp', 9, CONTAINER)
    t.equal((await host.ask('udp', '127.0.0.1', 8080)).text, 'hello', 'it goes on when the container does')
    late.close()
  })

  t.test(`${implementation}: flags as Go takes them`, async t => {
    const host = await open(t)
    const args = flags({ to: CONTAINER })
    for (const variant of [
      args.map(word => word.replace(/^-(?=\D)/, '--')),
      args.flatMap((word, i) => (i % 2 === 0 ? [`${word}=${args[i + 1]}`] : [])),
      [...args, 'and', '-more'],
    ]) {
      const proxy = await up(host, variant)
      await host.ask('tcp', '127.0.0.1', 8080)
      t.match(await proxy.stop(), { code: 0 }, variant.join(' '))
    }
    for (const [wrong, said] of [
      [['-bogus'], /^flag provided but not defined: -bogus\nUsage of .*\n {2}-container-ip/],
      [['-proto'], /^flag needs an argument: -proto\nUsage/],
      [['-host-port', 'x'], /^invalid value "x" for flag -host-port: parse error\nUsage/],
    ] as const) {
      const proxy = start(host, [...wrong])
      t.match(await proxy.ended(), { code: 2, stdout: '', stderr: said }, wrong.join(' '))
      t.equal(await proxy.status(), '')
    }
    t.match(await start(host, ['-h']).ended(), { code: 0, stderr: /^Usage/ })
  })

  t.test(`${implementation}: dockerd is told why a port cannot be had`, async t => {
    const host = await open(t)
    host.listen('tcp', 7001, '127.0.0.1')
    host.listen('udp', 7001, '127.0.0.1')
    for (const [args, why] of [
      [{ hostPort: 7001 }, 'listen tcp4 127.0.0.1:7001: bind: address already in use'],
      [{ hostPort: 7001, proto: 'udp' }, 'listen udp4 127.0.0.1:7001: bind: address already in use'],
      [{ hostIp: '192.0.2.1' }, 'listen tcp4 192.0.2.1:8080: bind: cannot assign requested address'],
      [
        { hostIp: '2001:db8::1', proto: 'udp' },
        'listen udp6 [2001:db8::1]:8080: bind: cannot assign requested address',
      ],
    ] as const) {
      const proxy = start(host, flags({ to: CONTAINER, ...args }))
      // From 28 on with more before it, which nobody reads.
      t.equal((await proxy.status()).replace(/failed to listen on \S+: /, ''), `1\n${why}`)
      t.match(await proxy.ended(), { code: 1, stdout: '' })
    }
  })

  for (const signal of ['TERM', 'INT', 'KILL']) {
    t.test(`${implementation}: SIG${signal} ends it at once, and the port is free`, async t => {
      const host = await open(t)
      for (let i = 0; i < 3; i++) {
        const proxy = await up(host, flags({ to: CONTAINER }))
        // A connection that is open, and the TIME_WAIT of one that was, are no obstacles.
        const client = host.start('socat', '-u', 'TCP:127.0.0.1:8080', '-')
        await host.ask('tcp', '127.0.0.1', 8080)
        const expected = signal === 'KILL' ? { signal: 'SIGKILL' } : { code: 0 }
        t.match(await proxy.stop(signal), expected)
        if (signal === 'KILL') await refused(host)
        else await t.rejects(host.ask('tcp', '127.0.0.1', 8080), { code: 'ECONNREFUSED' })
        await client.finished
      }
    })
  }

  t.test(`${implementation}: it goes when dockerd is killed`, async t => {
    const host = await open(t)
    const before = ['setpriv', '--pdeathsig', 'TERM']
    const { parent } = await up(host, flags({ to: CONTAINER }), { before })
    await host.ask('tcp', '127.0.0.1', 8080)
    await parent.stop('SIGKILL')
    await refused(host)
    t.same(
      host.processes().filter(({ command }) => command.includes('-host-port')),
      [],
    )
  })
}

t.test('ours is ready as soon', async t => {
  const host = await open(t)
  const { stdout: original } = await host.run('sh', '-c', 'command -v docker-proxy')
  const program = fileURLToPath(new URL('../support/start-proxies.js', import.meta.url))
  const programs = [original.trim(), IMPLEMENTATIONS.tsnet]
  const { stdout } = await host.run(process.execPath, program, JSON.stringify(programs))
  const [theirs = 0, ours = 0] = (JSON.parse(stdout) as number[][]).map(times => Math.min(...times))
  t.comment(`${theirs.toFixed(1)} ms a port for the original, ${ours.toFixed(1)} ms for ours`)
  t.ok(ours < 1.3 * theirs, 'most of it is starting a process')
})
