/**
 *     client eth0 ───────────── lan0 host ─── br-front ─── web, api (by CNI)
 *       192.168.50.2   192.168.50.1                        lonely (nothing but lo)
 *       fd50::2             fd50::1
 *
 * `tsnet publish` of containers that run already, with the daemon, on both firewalls.
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { BACKENDS, CLIENT, HOST, Scene } from '../support/scene.ts'

/** Where a port of the host is asked for: from itself and from its network, both families. */
const EVERYWHERE = [
  ['host', '127.0.0.1'],
  ['host', '::1'],
  ['host', HOST[4]],
  ['host', HOST[6]],
  ['client', HOST[4]],
  ['client', HOST[6]],
] as const

for (const backend of BACKENDS) {
  t.test(
    `${backend}: a port of a running container answers from everywhere, and is refused when unpublished`,
    async t => {
      const scene = await Scene.open(backend, 'web')
      t.teardown(() => scene.close())
      const network = scene.network('front', 10)
      await network.add(scene.get('web'))
      const tsnet = new Command(scene.host, backend)
      const daemon = await tsnet.daemon()

      for (const protocol of ['tcp', 'udp'] as const) {
        await tsnet.run('publish', `8080:80/${protocol}`, 'web')
        for (const [place, address] of EVERYWHERE) {
          const answer = await scene[place].ask(protocol, address, 8080)
          t.equal(answer.place, 'web', `${protocol} ${place} → ${address}`)
          if (place === 'client')
            t.ok(Object.values(CLIENT).includes(answer.peer as never), 'a client keeps its address')
          else t.notMatch(answer.peer, /^(127\.|::1)/, 'nobody comes from loopback')
        }
      }
      t.equal((await tsnet.ports()).length, 2)
      await tsnet.run('unpublish', 'web')
      t.same(await tsnet.ports(), [])
      for (const [place, address] of EVERYWHERE) {
        await t.rejects(
          scene[place].ask('tcp', address, 8080),
          { code: 'ECONNREFUSED' },
          `${place} → ${address}`,
        )
      }
      await network.delete(scene.get('web'))
      await daemon.stop('SIGTERM')
      t.same(await scene.residue(), [])
    },
  )

  t.test(`${backend}: what only its own loopback reaches is published from inside`, async t => {
    const scene = await Scene.open(backend, 'lonely')
    t.teardown(() => scene.close())
    const web = await scene.host.namespace('web')
    web.listen('tcp', 80, '127.0.0.1')
    await scene.network('front', 10).add(web)
    const tsnet = new Command(scene.host, backend)
    await tsnet.daemon()

    await tsnet.run('publish', '8081:80', 'netns:lonely')
    await tsnet.run('publish', '8082:80', '--via', 'netns', 'web')
    await tsnet.run('publish', '8083:80', 'web')
    for (const [place, address] of EVERYWHERE) {
      t.equal((await scene[place].ask('tcp', address, 8081)).place, 'lonely', `${place} → ${address}`)
      t.equal((await scene[place].ask('tcp', address, 8082)).place, 'web', `${place} → ${address}`)
    }
    await t.rejects(scene.host.ask('tcp', '127.0.0.1', 8083), 'over the bridge nobody listens')
  })

  t.test(`${backend}: --mode nat leaves loopback alone, --mode proxy leaves the rules alone`, async t => {
    const scene = await Scene.open(backend, 'web')
    t.teardown(() => scene.close())
    await scene.network('front', 10).add(scene.get('web'))
    const tsnet = new Command(scene.host, backend)
    await tsnet.daemon()

    await tsnet.run('publish', '--mode', 'nat', '8080:80', 'web')
    t.equal((await scene.client.ask('tcp', HOST[4], 8080)).peer, CLIENT[4])
    await t.rejects(scene.host.ask('tcp', '127.0.0.1', 8080), { code: 'ECONNREFUSED' })

    await tsnet.run('publish', '--mode', 'proxy', '8081:80', 'web')
    t.not((await scene.client.ask('tcp', HOST[4], 8081)).peer, CLIENT[4], 'the proxy asks')
    await scene.host.run('iptables', '-A', 'INPUT', '-p', 'tcp', '--dport', '8080:8081', '-j', 'REJECT')
    t.equal(
      (await scene.client.ask('tcp', HOST[4], 8080)).place,
      'web',
      'INPUT does not see what is forwarded',
    )
    await t.rejects(scene.client.ask('tcp', HOST[4], 8081), 'INPUT rules over the proxy')
  })

  t.test(`${backend}: --replace moves a port without refusing anyone`, async t => {
    const scene = await Scene.open(backend, 'web', 'api')
    t.teardown(() => scene.close())
    const network = scene.network('front', 10)
    await network.add(scene.get('web'))
    await network.add(scene.get('api'))
    const tsnet = new Command(scene.host, backend)
    await tsnet.daemon()
    await tsnet.run('publish', '8080:80', 'web')

    const seen = { client: new Set<string>(), host: new Set<string>() }
    let asking = true
    const ask = async (place: 'client' | 'host', address: string) => {
      while (asking) seen[place].add((await scene[place].ask('tcp', address, 8080)).place)
    }
    const asked = Promise.all([ask('client', HOST[4]), ask('host', '127.0.0.1')])
    for (const name of ['api', 'web', 'api']) await tsnet.run('publish', '--replace', '8080:80', name)
    await waitFor(() => seen.client.has('api') && seen.host.has('api'), {
      what: 'the new container to answer',
    })
    asking = false
    await t.resolves(asked, 'no question was refused or lost')
    t.equal((await scene.client.ask('tcp', HOST[4], 8080)).place, 'api')
    t.equal((await tsnet.ports()).length, 1)

    const other = await tsnet.try('publish', '--replace', '--wait', '5s', '8080:80', 'web')
    t.match(other.stderr, /--replace keeps mode and limits of what is published on port 8080/)
    scene.get('web').listen('tcp', 81)
    await tsnet.run('publish', '--replace', '8080:81', 'web')
    t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
    t.same((await tsnet.ports())[0]?.target, { port: 81 }, 'another port of the container, too')
  })

  t.test(`${backend}: a --replace that fails leaves the rules that were there`, async t => {
    const scene = await Scene.open(backend, 'web', 'api')
    t.teardown(() => scene.close())
    const network = scene.network('front', 10)
    await network.add(scene.get('web'))
    await network.add(scene.get('api'))
    const tsnet = new Command(scene.host, backend)
    await tsnet.daemon()
    await tsnet.run('publish', '--mode', 'nat', '8080:80', 'web')
    const [before] = await tsnet.ports()
    scene.host.listen('tcp', 8081)
    const failed = await tsnet.try('publish', '--mode', 'nat', '--replace', '8080:80', '8081:80', 'api')
    t.match(failed.stderr, /8081\/tcp is already in use/)
    t.equal((await scene.client.ask('tcp', HOST[4], 8080)).place, 'web')
    t.same(await tsnet.ports(), [before])
    await tsnet.run('publish', '--mode', 'nat', '--replace', '8080:80', 'api')
    t.equal((await scene.client.ask('tcp', HOST[4], 8080)).place, 'api')
    t.match(await tsnet.ports(), [{ asked: '8080:80', containers: [{ asked: 'api' }] }])
  })

  t.test(
    `${backend}: whoever is connected through the rules is reset when a port is unpublished`,
    async t => {
      const scene = await Scene.open(backend, 'web')
      t.teardown(() => scene.close())
      await scene.network('front', 10).add(scene.get('web'))
      const tsnet = new Command(scene.host, backend)
      await tsnet.daemon()
      await tsnet.run('publish', '--mode', 'nat', '8080:80', 'web')
      const talk = `(while sleep 0.05; do echo hello; done) | socat -T 20 - TCP:${HOST[4]}:8080 2>&1`
      const client = scene.client.start('sh', '-c', talk)
      await waitFor(() => client.stdout.includes('web'), { what: 'an answer' })
      await tsnet.run('unpublish', 'web')
      t.match((await client.finished).stdout, /Connection reset by peer|Broken pipe/)
      const { stdout } = await scene.host.run('conntrack', '-L', '-p', 'tcp')
      t.notMatch(stdout, /ESTABLISHED .*dport=8080/)
    },
  )
}

t.test('a port that is taken is refused, naming who has it, and nothing of the request stays', async t => {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  const network = scene.network('front', 10)
  await network.add(scene.get('web'), { ports: [{ hostPort: 9000, containerPort: 80 }] })
  const tsnet = new Command(scene.host, 'iptables')
  await tsnet.daemon()
  await scene.host.start('socat', 'TCP-LISTEN:9001,fork', 'SYSTEM:true')
  await waitFor(async () => (await scene.host.run('ss', '-ltn')).stdout.includes(':9001'), {
    what: 'socat to listen',
  })

  await tsnet.run('publish', '8080:80', 'web')
  const before = await rulesAndFiles(scene)
  for (const [spec, reason] of [
    ['9000:80', /port 9000\/tcp is already published for container web on network front/],
    ['9001:80', /port 9001\/tcp is already in use by socat \(pid \d+\)/],
    ['8080:80', /port 8080\/tcp is already published for container web by tsnet publish/],
  ] as const) {
    const refused = await tsnet.try('publish', '8090:80', spec, 'web')
    t.equal(refused.code, 1)
    t.match(refused.stderr, reason)
  }
  t.same(await rulesAndFiles(scene), before)
})

t.test('bad words change nothing and are explained', async t => {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  const tsnet = new Command(scene.host, 'iptables')
  await scene.remember()
  for (const [words, code, reason] of [
    [['publish', '80x', 'netns:web'], 2, /container port "80x" is not a number/],
    [['publish', '--mode', 'magic', '80', 'netns:web'], 2, /--mode: "magic" is not auto, nat, proxy/],
    [['publish', '--wait', 'soon', '80', 'netns:web'], 2, /--wait: "soon" is not a time/],
    [['publish', '--allow', 'me', '80', 'netns:web'], 2, /--allow: "me" is not an address/],
    [['unpublish'], 2, /name the ports/],
    [['nonsense'], 2, /unknown command/],
  ] as const) {
    const refused = await tsnet.try(...words)
    t.equal(refused.code, code, words.join(' '))
    t.match(refused.stderr, reason)
    t.equal(refused.stdout, '')
  }
  t.same(await scene.differences(), [], 'not even a daemon was started')
  await tsnet.daemon()
  for (const [name, reason] of [
    ['nobody', /no container answers to "nobody"/],
    ['netns:nobody', /network namespace "\/run\/netns\/nobody" not found/],
    ['netns:/etc/passwd', /is not a network namespace/],
    ['pid:999999', /not found/],
  ] as const) {
    const refused = await tsnet.try('publish', '8080:80', name)
    t.equal(refused.code, 1, name)
    t.match(refused.stderr, reason)
  }
  t.same(await tsnet.ports(), [])
})

t.test('a publication ends with its container, and with its time', async t => {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  const tsnet = new Command(scene.host, 'iptables')
  await tsnet.daemon()
  await tsnet.run('publish', '--expires', '1s', '8081:80', 'netns:web')
  await tsnet.run('publish', '8080:80', 'netns:web')
  await waitFor(async () => (await tsnet.ports()).length === 1, {
    what: 'the first to expire',
  })
  await scene.get('web').remove()
  await waitFor(async () => (await tsnet.ports()).length === 0, {
    what: 'the second to end',
  })
  await t.rejects(scene.host.ask('tcp', '127.0.0.1', 8080), { code: 'ECONNREFUSED' })
})

t.test('a daemon that was killed serves everything again when it comes back', async t => {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  const network = scene.network('front', 10)
  const tsnet = new Command(scene.host, 'iptables')
  const first = await tsnet.daemon()
  await network.add(scene.get('web'), { ports: [{ hostPort: 9000, containerPort: 80 }] })
  await tsnet.run('publish', '8080:80', 'web')
  t.equal((await scene.host.ask('tcp', '::1', 9000)).place, 'web', 'a port of an ADD answers on loopback')
  await first.stop('SIGKILL')
  t.equal((await scene.client.ask('tcp', HOST[4], 8080)).place, 'web', 'the rules serve on')
  await tsnet.daemon()
  for (const port of [8080, 9000]) {
    for (const address of ['127.0.0.1', '::1'])
      t.equal((await scene.host.ask('tcp', address, port)).place, 'web')
  }
  await network.delete(scene.get('web'))
  await t.rejects(scene.host.ask('tcp', '127.0.0.1', 9000), { code: 'ECONNREFUSED' })
})

t.test('only one daemon runs on a host', async t => {
  const scene = await Scene.open('iptables')
  t.teardown(() => scene.close())
  const tsnet = new Command(scene.host, 'iptables')
  await tsnet.daemon()
  const second = await tsnet.try('daemon')
  t.equal(second.code, 1)
  t.match(second.stderr, /a daemon runs already on \/run\/tsnet/)
})

t.test('who may connect, and how many, is kept to', async t => {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  const tsnet = new Command(scene.host, 'iptables')
  await tsnet.daemon()
  await tsnet.run('publish', '--deny', CLIENT[4], '8080:80', 'netns:web')
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
  await t.rejects(scene.client.ask('tcp', HOST[4], 8080))
  await tsnet.run('publish', '--allow', '127.0.0.0/8', '8081:80', 'netns:web')
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 8081)).place, 'web')
  await t.rejects(scene.client.ask('tcp', HOST[4], 8081))
})

t.test('a connection waits for an application that is not there yet', async t => {
  const scene = await Scene.open('iptables')
  t.teardown(() => scene.close())
  const late = await scene.host.namespace('late')
  const tsnet = new Command(scene.host, 'iptables')
  await tsnet.daemon()
  await tsnet.run('publish', '--wait', '1m', '8080:80', 'netns:late')
  const asked = scene.host.ask('tcp', '127.0.0.1', 8080, { withinMs: 60_000 })
  await waitFor(async () => (await tsnet.ports())[0]?.counters?.accepted === 1, {
    what: 'the connection to be held',
  })
  late.listen('tcp', 80)
  t.equal((await asked).place, 'late')
})

t.test('several containers share a port', async t => {
  const scene = await Scene.open('iptables', 'one', 'two')
  t.teardown(() => scene.close())
  const tsnet = new Command(scene.host, 'iptables')
  await tsnet.daemon()
  await tsnet.run('publish', '8080:80', 'netns:one,netns:two')
  const places = new Set<string>()
  for (let i = 0; i < 20; i++) places.add((await scene.host.ask('tcp', '127.0.0.1', 8080)).place)
  t.same([...places].sort(), ['one', 'two'])
})

/** What nft prints of iptables' own extensions is not the same each time; iptables-save is. */
const rulesAndFiles = async (scene: Scene): Promise<string[]> =>
  // A command of iptables is answered for before it has ended.
  (await scene.differences()).filter(line => !/^nft rule|tables-resto/.test(line))
