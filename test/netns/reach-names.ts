/** Names in the list of a container, against what it tries. */

import t from 'tap'
import { type Namespace, waitFor } from 'tsnet/lab'
import type { Reached } from '../../src/network/reached.ts'
import { askUdp } from '../support/dns.ts'
import { dataOf, NAMES } from '../support/names.ts'
import { answering, arrives, hold } from '../support/reach.ts'
import {
  ADDRESSES,
  ALLOW,
  EDGE,
  far,
  GATEWAY,
  type NameAttempt,
  type NamesSite,
  openNamesSite,
  surpriseOf,
} from '../support/reach-names-site.ts'
import { ANSWERS, BACKENDS, CLIENT } from '../support/scene.ts'

t.setTimeout(900_000) // on a busy machine

const attemptsOf = (family: 4 | 6): NameAttempt[] => {
  const tcp = (name: string, port: number, ...answers: NameAttempt['answers']): NameAttempt => ({
    name,
    transport: 'tcp',
    port,
    family,
    answers,
  })
  const udp = (name: string, port: number, ...answers: NameAttempt['answers']): NameAttempt => ({
    ...tcp(name, port, ...answers),
    transport: 'udp',
  })
  return [
    tcp('registry.example.org', ANSWERS, 'client'),
    { ...tcp('REGISTRY.example.org', ANSWERS, 'client'), carrier: 'tcp' },
    tcp('registry.example.org', 81, 'nobody'),
    udp('registry.example.org', ANSWERS, 'nobody'),
    tcp('other.example.org', ANSWERS, 'nobody'),
    tcp('alias.example.org', ANSWERS, 'client'),
    tcp('alias.example.org', 81, 'nobody'),
    tcp('many.example.org', ANSWERS, 'client', 'client', 'client'),
    tcp('many.example.org', 81, 'client', 'client', 'client'),
    tcp('a.wild.example.org', 81, 'client'),
    tcp('b.c.wild.example.org', ANSWERS, 'client'),
    tcp('wild.example.org', ANSWERS, 'nobody'),
    tcp('xwild.example.org', ANSWERS, 'nobody'),
    udp('udp.example.org', 92, 'client'),
    udp('udp.example.org', 96, 'nobody'),
    tcp('udp.example.org', ANSWERS, 'nobody'),
    tcp('near.example.org', ANSWERS, 'nobody'),
    tcp('also.example.org', ANSWERS, 'client'),
    tcp('metadata.example.org', ANSWERS, 'nobody'),
    tcp('own.example.org', ANSWERS, 'nobody'),
    tcp('own.example.org', 81, 'nobody'),
    tcp('mixed.example.org', ANSWERS, 'nobody', 'client'),
    tcp('twice.example.org', ANSWERS, 'client', 'client'),
  ]
}

/** Whoever may reach everybody is answered by whom there is. */
const openly = ({ name, answers }: NameAttempt): string[] =>
  answers.map(() => (name.startsWith('own.') ? 'host' : 'client'))

for (const backend of BACKENDS) {
  t.test(`${backend}: what a name leads to is reached once it was asked for, and nothing else`, async t => {
    const site = await openNamesSite(t, backend)
    const { scene, box, results, daemon } = site
    const boxed = scene.get('boxed')
    for (const family of [4, 6] as const)
      t.equal(
        await answering(boxed, 'tcp', far(7)[family], ANSWERS),
        'nobody',
        'before its name was asked for',
      )
    const attempts = ([4, 6] as const).flatMap(attemptsOf)
    const surprises = (who: 'boxed' | 'mate', wanted: (attempt: NameAttempt) => readonly string[]) =>
      Promise.all(attempts.map(each => surpriseOf(site, who, each, wanted(each)))).then(all => all.flat())
    t.strictSame(await surprises('boxed', each => each.answers), [])
    t.comment(`figure: attempts by names, ${backend}: ${attempts.length}`)
    t.strictSame(await surprises('mate', openly), [], 'control: who may reach everybody')
    t.match(daemon.stdout + daemon.stderr, /name near\.example\.org: container .* an entry of the address/)
    t.equal(await answering(boxed, 'udp', CLIENT[4], 53), 'nobody', 'another name server is not asked')
    const ofHost = scene.host.listen('udp', 7777)
    for (const family of [4, 6] as const) {
      const asked = {
        server: GATEWAY[family],
        name: 'edge.example.org',
        type: family === 4 ? 'A' : 'AAAA',
      } as const
      const to = EDGE[family]
      t.strictSame(dataOf(await askUdp(boxed, asked)), [to])
      t.notOk(await arrives(boxed, to, 7777, ofHost, `boxed to ${to}`), `the host, by ${to}`)
      t.ok(
        await arrives(scene.get('mate'), to, 7777, ofHost, `mate to ${to}`),
        'control: who may reach everybody',
      )
    }
    ofHost.close()
    await box.check(boxed, results.boxed)
    for (const who of ['boxed', 'mate']) await box.delete(scene.get(who))
    await daemon.stop()
    t.strictSame(await scene.residue(line => !/^socket client /.test(line)), [])
  })
}

/** What `tsnet egress ls` says of boxed. */
const seen = async ({ tsnet }: NamesSite): Promise<Reached[]> =>
  JSON.parse((await tsnet.run('egress', 'ls', 'boxed', '--json')).stdout) as Reached[]

const REGISTRY = `registry.example.org:${ANSWERS}/tcp`

t.test('each name counts by itself, and an address that several have for the most exact', async t => {
  const site = await openNamesSite(t, 'nftables')
  const { scene, box, results } = site
  const boxed = scene.get('boxed')
  const packets = async (): Promise<Record<string, number>> =>
    Object.fromEntries(
      (await seen(site)).flatMap(({ outcome, entry, packets, isShared }) =>
        outcome === 'allowed' && packets > 0 && isShared !== true ? [[entry, packets]] : [],
      ),
    )
  const use = async (name: string, port: number, family: 4 | 6 = 4): Promise<void> => {
    for (const to of (await ask(boxed, name, family)) as string[])
      if (/^[\d.]+$|:/.test(to)) t.equal(await answering(boxed, 'tcp', to, port), 'client', name)
  }
  t.strictSame(await packets(), {})
  await use('registry.example.org', ANSWERS)
  const once = (await packets())[REGISTRY] ?? 0
  t.ok(once > 2)
  await use('registry.example.org', ANSWERS, 6)
  t.ok(((await packets())[REGISTRY] ?? 0) > once, 'of both families')
  await use('alias.example.org', ANSWERS)
  await use('many.example.org', 81)
  await use('a.wild.example.org', 81)
  await boxed.run('ping', '-c', '2', '-i', '0.2', far(13)[4])
  const all = await packets()
  t.strictSame(Object.keys(all).sort(), [
    '*.wild.example.org',
    'alias.example.org:80/tcp',
    // 80-81 has as many ports, and comes first where it has less than 81-90.
    'many.example.org:80-81/tcp',
    REGISTRY,
  ])
  const before = all['*.wild.example.org'] ?? 0
  await boxed.run('ping', '-c', '3', '-i', '0.2', far(13)[4])
  t.equal((await packets())['*.wild.example.org'], before + 3, 'what has no ports is counted once')
  t.strictSame((await packets())[REGISTRY], all[REGISTRY])
  // By another name the address is the first one's as long as it is there.
  await use('twice.example.org', ANSWERS)
  t.ok(((await packets())[REGISTRY] ?? 0) > (all[REGISTRY] ?? 0))
  t.equal((await packets())['twice.example.org:80/tcp'], undefined)
  await box.check(boxed, results.boxed)
})

t.test('a counter that somebody took away is missed, and comes back with the list', async t => {
  const site = await openNamesSite(t, 'nftables')
  const { scene, tsnet, box, results, daemon } = site
  const boxed = scene.get('boxed')
  // It would put it back by itself.
  await daemon.stop()
  const counters = async (): Promise<string[]> => {
    const { stdout } = await scene.host.run('nft', 'list', 'table', 'inet', 'tsnet-reach')
    return [...stdout.matchAll(/counter (name\d+-[0-9a-f]+-[0-9a-f]+) {/g)].flatMap(([, name = '']) => name)
  }
  const all = await counters()
  t.equal(all.length, ALLOW.length - 2, 'one for each name')
  const [first = ''] = all
  await scene.host.run('nft', 'delete', 'counter', 'inet', 'tsnet-reach', first)
  await t.rejects(box.check(boxed, results.boxed), /does not count by names/)
  await tsnet.run('reconcile')
  await box.check(boxed, results.boxed)
  t.strictSame((await counters()).sort(), all.sort())
  await box.delete(boxed)
  t.strictSame(await counters(), [], 'mate has a list without names, and the table is there')
})

t.test('ten thousand names are added, read and taken away, each counted by itself', async t => {
  const site = await openNamesSite(t, 'nftables')
  const { scene, box } = site
  const boxed = scene.get('boxed')
  await box.delete(boxed)
  for (const size of [1_000, 10_000]) {
    const tookMs: number[] = []
    const egress = Array.from({ length: size - 1 }, (_, i) => `n${i}.example.org:443`)
    const timed = async <T>(work: () => Promise<T>): Promise<T> => {
      const began = performance.now()
      const done = await work()
      tookMs.push(Math.round(performance.now() - began))
      return done
    }
    const added = await timed(() =>
      box.add(boxed, { config: { runtimeConfig: { egress: [...egress, REGISTRY] } } }),
    )
    await ask(boxed, 'registry.example.org')
    t.equal(await answering(boxed, 'tcp', far(7)[4], ANSWERS), 'client')
    const used = (await timed(() => seen(site))).filter(({ packets }) => packets > 0)
    t.match(used, [{ entry: REGISTRY, outcome: 'allowed' }])
    await timed(() => box.check(boxed, added))
    await timed(() => box.delete(boxed))
    t.comment(`figure: a list of ${size} names, ADD, egress ls, CHECK and DEL: ${tookMs.join(', ')} ms`)
  }
  const { stdout } = await scene.host.run('nft', 'list', 'counters')
  t.notMatch(stdout, /counter /)
})

const ask = async (from: Namespace, name: string, family: 4 | 6 = 4): Promise<unknown> =>
  dataOf(await askUdp(from, { server: GATEWAY[4], name, type: family === 4 ? 'A' : 'AAAA' }))

t.test('an address goes a minute after its time to live, and a connection to it goes on', async t => {
  const site = await openNamesSite(t, 'nftables')
  const { scene } = site
  const boxed = scene.get('boxed')
  const denied = async () => (await answering(boxed, 'tcp', far(7)[4], ANSWERS)) === 'nobody'
  t.strictSame(await ask(boxed, 'registry.example.org'), [far(7)[4]])
  t.strictSame(await ask(boxed, 'registry.example.org', 6), [far(7)[6]])
  const since = performance.now()
  using of4 = hold(boxed, far(7)[4], ANSWERS)
  using of6 = hold(boxed, far(7)[6], ANSWERS)
  for (const held of [of4, of6]) t.equal(await held.said(), 'client')
  await waitFor(denied, { what: 'the address to go', withinMs: 120_000 })
  t.ok(performance.now() - since > 50_000, 'not before')
  const counted = (await seen(site)).find(({ entry }) => entry === REGISTRY)
  t.ok((counted?.packets ?? 0) > 4, 'what was counted for the name stays')
  for (const held of [of4, of6]) t.equal(await held.said(), 'client', 'who is connected notices nothing')
  const later = await seen(site)
  t.strictSame(
    later.find(({ entry }) => entry === REGISTRY),
    counted,
    'nothing is counted for the name',
  )
  t.match(
    later.find(({ outcome }) => outcome === 'kept'),
    { entry: 'names', packets: Number },
  )
  await ask(boxed, 'registry.example.org')
  t.notOk(await denied(), 'until it is asked for again')
  const { stdout } = await scene.host.run('nft', 'list', 'table', 'inet', 'tsnet-reach')
  for (const [, kind = '', set = ''] of stdout.matchAll(/\b(set|map) ((?:kept|ports)[46]-[0-9a-f]+) {/g))
    await scene.host.run('nft', 'flush', kind, 'inet', 'tsnet-reach', set)
  t.equal(await of4.said(), 'nobody', 'control: it is its place among the kept by which it went on')
})

t.test('what is asked again stays, and nobody is told to remember longer than that', async t => {
  const { scene, ttl } = await openNamesSite(t, 'nftables')
  const boxed = scene.get('boxed')
  const expiry = async (): Promise<number> => {
    const { stdout } = await scene.host.run('nft', 'list', 'table', 'inet', 'tsnet-reach')
    const [, days = '0', hours = '0', minutes = '0', seconds = '0'] =
      /203\.0\.113\.7 .*?expires (?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?/.exec(stdout) ?? []
    return ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)
  }
  for (const [ttlS, from, to] of [
    [0, 30, 60],
    [1_000, 1_030, 1_060],
    [5, 1_020, 1_060],
    [1_000_000, 86_400, 86_460],
  ] as const) {
    ttl.s = ttlS
    await ask(boxed, 'registry.example.org')
    const left = await expiry()
    t.ok(left >= from && left <= to, `${left} s after a time to live of ${ttlS}`)
  }
})

t.test('with the daemon gone nothing is added or lost, and its successor goes on', async t => {
  const { scene, box, tsnet, daemon, results } = await openNamesSite(t, 'nftables')
  const [boxed, mate] = [scene.get('boxed'), scene.get('mate')]
  await ask(boxed, 'registry.example.org')
  await box.delete(mate)
  await daemon.stop('SIGKILL')
  t.equal(await answering(boxed, 'tcp', far(7)[4], ANSWERS), 'client', 'what was told may be reached')
  t.equal(await answering(boxed, 'tcp', far(9)[4], ANSWERS), 'nobody')
  await box.check(boxed, results.boxed)
  await t.rejects(box.add(mate), {
    message: /egress\.allow has registry\.example\.org:80\/tcp, and no daemon runs/,
  })
  await t.rejects(box.add(mate, { config: { names: false } }), {
    message: /is a name, and the network's name service is not there/,
  })
  const next = await tsnet.daemon()
  t.equal(await answering(boxed, 'tcp', far(7)[4], ANSWERS), 'client')
  await ask(boxed, 'alias.example.org')
  t.equal(await answering(boxed, 'tcp', far(9)[4], ANSWERS), 'client')
  const last = await tsnet.daemon('--replace')
  t.equal((await next.finished).code, 0)
  await ask(boxed, 'many.example.org')
  t.equal(await answering(boxed, 'tcp', far(11)[4], 81), 'client')
  await last.stop()
})

t.test('what others flush comes back empty, and fills with the next question', async t => {
  const { scene, box, tsnet, results } = await openNamesSite(t, 'nftables')
  const boxed = scene.get('boxed')
  const reached = () => answering(boxed, 'tcp', far(7)[4], ANSWERS)
  await ask(boxed, 'registry.example.org')
  t.equal(await reached(), 'client')
  await box.check(boxed, results.boxed)
  for (const family of ['inet', 'bridge'])
    await scene.host.run('nft', 'delete', 'table', family, 'tsnet-reach')
  await tsnet.run('reconcile')
  await box.check(boxed, results.boxed)
  t.equal(await reached(), 'nobody')
  await ask(boxed, 'registry.example.org')
  t.equal(await reached(), 'client')
  await box.collect([])
  const { stdout } = await scene.host.run('nft', 'list', 'tables')
  t.notMatch(stdout, /tsnet-reach/)
})

t.test('from an answer to the first packet nothing is lost', async t => {
  const { scene } = await openNamesSite(t, 'nftables')
  const { host, client } = scene
  const boxed = scene.get('boxed')
  host.route('198.51.0.0/16', CLIENT[4])
  await client.run('ip', 'route', 'add', 'local', '198.51.0.0/16', 'dev', 'lo')
  const server = client.listen('udp', 90)
  const count = process.env.TSNET_FAULTS === 'all' ? 10_000 : 300
  const lost: string[] = []
  const isHeard = (ip: string): Promise<boolean> => {
    // Its answer comes from another address.
    void boxed.ask('udp', ip, 90, { text: ip, withinMs: 10 }).catch(() => {})
    const heard = () => server.heard.at(-1)?.text === ip
    return waitFor(heard, { what: ip, withinMs: 2_000 }).then(
      () => true,
      () => false,
    )
  }
  for (let i = 0; i < count; i++) {
    const ip = `198.51.${100 + (i >> 8)}.${i & 255}`
    ADDRESSES[`n${i}.wild.example.org`] = [{ 4: ip, 6: '::' }]
    t.strictSame(await ask(boxed, `n${i}.wild.example.org`), [ip])
    if (!(await isHeard(ip))) lost.push(ip)
  }
  t.comment(`figure: names asked, and reached by one datagram: ${count}`)
  t.strictSame(lost, [])
  t.notOk(await isHeard('198.51.200.1'), 'control: an address without a name')
})

t.test('a container on two networks may ask on either', async t => {
  const { scene } = await openNamesSite(t, 'nftables')
  const boxed = scene.get('boxed')
  const beside = { ...NAMES, isDefaultGateway: false, isGateway: true }
  await scene.network('side', 2, beside).add(boxed, { ifname: 'eth1' })
  t.equal(await answering(boxed, 'tcp', far(7)[4], ANSWERS), 'nobody')
  t.strictSame(dataOf(await askUdp(boxed, { server: '10.2.0.1', name: 'registry.example.org' })), [far(7)[4]])
  t.equal(await answering(boxed, 'tcp', far(7)[4], ANSWERS), 'client')
})
