/**
 *     client eth0 ───────────── lan0 host ─── br-front ─── a, b, c, of which some are called web
 *       192.168.50.2   192.168.50.1       └── br-back  ─── d, called web
 *       fd50::2             fd50::1
 *
 * `tsnet publish --service`, on one host.
 */

import t, { type Test } from 'tap'
import { type Namespace, type Running, waitFor } from 'tsnet/lab'
import { openBound } from '../../src/lab/sockets.ts'
import type { Ip } from '../../src/model/address/address.ts'
import type { ListedPort } from '../../src/publish/list.ts'
import { Command } from '../support/daemon.ts'
import { named } from '../support/names.ts'
import { BACKENDS, HOST, Scene } from '../support/scene.ts'
import { serve } from '../support/streams.ts'

t.setTimeout(600_000) // on a busy machine

const CONFIG = { capabilities: { aliases: true } }
const PROTOCOLS = ['tcp', 'udp'] as const
const WAYS = [
  ['host', '127.0.0.1'],
  ['host', '::1'],
  ['client', HOST[4]],
  ['client', HOST[6]],
] as const

async function open(t: Test, backend: (typeof BACKENDS)[number]) {
  const scene = await Scene.open(backend, 'a', 'b', 'c', 'd')
  t.teardown(() => scene.close())
  await scene.host.tmpfs('/var/lib/tsnet')
  await scene.remember()
  const tsnet = new Command(scene.host, backend)
  const [front, back] = [scene.network('front', 10, CONFIG), scene.network('back', 20, CONFIG)]
  const port = async (): Promise<ListedPort> =>
    (JSON.parse((await tsnet.run('ports', '--json')).stdout) as ListedPort[])[0] as ListedPort
  /** Who answers, when asked some times. Sessions of UDP count for a while: who has just come has the fewest. */
  const answering = async (protocol: (typeof PROTOCOLS)[number], [place, address]: (typeof WAYS)[number]) => {
    const all = new Set<string>()
    for (let i = 0; i < 8; i++) all.add((await scene[place].ask(protocol, address, 8080)).place)
    return [...all].toSorted().join()
  }
  const untilMembers = (...wanted: string[]) =>
    waitFor(
      async () => {
        for (const { containers } of await tsnet.ports()) {
          const names = containers.map(({ id }) => id).toSorted()
          if (names.join() !== wanted.join()) throw new Error(`there are ${names.join()}`)
        }
        return true
      },
      { what: `members ${wanted.join()}`, withinMs: 30_000 },
    )
  return { scene, tsnet, front, back, port, answering, untilMembers }
}

/** A server that says its name and holds the connection. */
async function holding(t: Test, place: Namespace) {
  const server = await serve(socket => void socket.write(`${place.name} `), {
    fd: place.inside(() => openBound('tcp', '::' as Ip, 81)),
  })
  t.teardown(() => server[Symbol.asyncDispose]())
  return server
}

for (const backend of BACKENDS) {
  t.test(`${backend}: a service leads to all who are called so, and follows them`, async t => {
    const { scene, tsnet, front, back, port, answering, untilMembers } = await open(t, backend)
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(name => scene.get(name)) as [
      Namespace,
      Namespace,
      Namespace,
      Namespace,
    ]
    const daemon = await tsnet.daemon()
    for (const protocol of PROTOCOLS) {
      const { stdout, stderr } = await tsnet.run('publish', `8080:80/${protocol}`, '--service', 'web')
      t.equal(stdout, `*:8080/${protocol} -> service web:80\n`)
      t.match(stderr, /no container is called web; who connects is turned away/)
    }
    t.match(await port(), { state: 'stopped', why: /no container is called web/, service: { name: 'web' } })
    for (const [place, address] of WAYS) await t.rejects(scene[place].ask('tcp', address, 8080), place)

    await front.add(a, named('a', 'web'))
    await front.add(b, named('b', 'web'))
    await front.add(c, named('c'))
    await untilMembers('a', 'b')
    for (const way of WAYS)
      for (const protocol of PROTOCOLS) t.equal(await answering(protocol, way), 'a,b', `${protocol} ${way}`)
    t.match(await port(), { state: 'serving' })
    t.match((await tsnet.run('ports')).stdout, /service web \(2\)/)
    t.match((await tsnet.run('inspect', '8080/tcp')).stdout, /leads to +80 of service web\n +members +a, b/)

    // Another one comes, on another network, and one goes.
    await back.add(d, named('d', 'web'))
    await untilMembers('a', 'b', 'd')
    t.equal(await answering('tcp', WAYS[2]), 'a,b,d')
    t.match(await answering('udp', WAYS[2]), 'd')
    await front.delete(a)
    await untilMembers('b', 'd')
    for (const way of WAYS) {
      t.equal(await answering('tcp', way), 'b,d', String(way))
      t.notMatch(await answering('udp', way), 'a')
    }
    t.equal((await tsnet.run('unpublish', 'web', '--json')).code, 0)
    t.strictSame(await tsnet.ports(), [])
    await t.rejects(scene.client.ask('tcp', HOST[4], 8080), { code: 'ECONNREFUSED' })

    // Of one network alone.
    await tsnet.run('publish', '8080:80', '--service', 'WEB', '--network', 'back')
    t.equal(await answering('tcp', WAYS[2]), 'd')
    await tsnet.run('unpublish', '8080')
    await front.delete(b)
    await front.delete(c)
    await back.delete(d)
    await daemon.stop()
    t.strictSame(await scene.residue(), [])
  })

  t.test(`${backend}: connections stay where they are when others come and go`, async t => {
    const { scene, tsnet, front, untilMembers } = await open(t, backend)
    const [a, b, c] = ['a', 'b', 'c'].map(name => scene.get(name)) as [Namespace, Namespace, Namespace]
    await tsnet.daemon()
    const servers = [await holding(t, a), await holding(t, b), await holding(t, c)]
    for (const each of [a, b]) await front.add(each, named(each.name, 'web'))
    await tsnet.run('publish', '8080:81', '--service', 'web')
    const held: Running[] = []
    const hold = async () => {
      const running = scene.client.start('socat', '-u', `TCP:${HOST[4]}:8080`, 'STDOUT')
      held.push(running)
      await waitFor(() => running.stdout.endsWith(' '), { what: 'somebody answers' })
      return running.stdout.trim()
    }
    t.strictSame([await hold(), await hold()].toSorted(), ['a', 'b'])
    await hold()
    await hold()
    await front.add(c, named('c', 'web'))
    await untilMembers('a', 'b', 'c')
    t.strictSame([await hold(), await hold()], ['c', 'c'], 'who has just come has the fewest')
    await front.delete(b)
    await untilMembers('a', 'c')
    for (const { sockets } of servers) for (const socket of sockets) socket.end('still here')
    const stayed = held.filter(({ stdout }) => stdout !== 'b ')
    const said = await Promise.all(stayed.map(async each => (await each.finished).stdout))
    t.strictSame(said.toSorted(), ['a still here', 'a still here', 'c still here', 'c still here'])
  })

  t.test(`${backend}: a daemon that is killed or replaced, and one that is kept over a reboot`, async t => {
    const { scene, tsnet, front, answering, untilMembers } = await open(t, backend)
    const [a, b] = [scene.get('a'), scene.get('b')]
    let daemon = await tsnet.daemon()
    await tsnet.run('publish', '8080:80', '--service', 'web', '--keep')
    await front.add(a, named('a', 'web'))
    await untilMembers('a')
    process.kill(Number(daemon.pid), 'SIGKILL')
    await daemon.finished
    await front.add(b, named('b', 'web'))
    daemon = await tsnet.daemon()
    await untilMembers('a', 'b')
    t.equal(await answering('tcp', WAYS[2]), 'a,b')
    await tsnet.daemon('--replace')
    t.equal(await answering('tcp', WAYS[0]), 'a,b')
    await front.delete(a)
    await untilMembers('b')
    t.equal(await answering('tcp', WAYS[0]), 'b')
  })
}

t.test('what is wrong is said before anything is done', async t => {
  const { tsnet } = await open(t, 'nftables')
  await tsnet.daemon()
  for (const [words, why] of [
    [['8080:80', 'web', '--service', 'web'], /names no container port|is not a number/],
    [['--service', 'web'], /missing required argument|name the ports/],
    [['8080:80', '--service', 'a b'], /can be no name/],
    [['8080:/run/x.sock', '--service', 'web'], /no port that other hosts reach/],
    [['8080:80', '--service', 'web', '--via', 'netns'], /--via netns reaches no container/],
    [['8080:80', 'web', '--network', 'front'], /--network says where the containers of --service are/],
  ] as const) {
    const { code, stderr } = await tsnet.try('publish', ...words)
    t.not(code, 0, words.join(' '))
    t.match(stderr, why)
  }
  t.strictSame(await tsnet.ports(), [])
  t.match(
    (await tsnet.run('publish', '8080:80', '--service', 'web', '--dry-run')).stdout,
    /would publish .*service web/,
  )
  t.strictSame(await tsnet.ports(), [])
})
