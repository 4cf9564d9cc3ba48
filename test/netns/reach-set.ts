/** The list of a container that lives, changed, against what it tries and what it is connected to. */

import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { type Host, waitFor } from 'tsnet/lab'
import type { Attachment } from '../../src/model/network.ts'
import type { Reached } from '../../src/network/reached.ts'
import { Command, EXECUTABLE } from '../support/daemon.ts'
import { askUdp } from '../support/dns.ts'
import { withNetworks } from '../support/networks.ts'
import { addressOf } from '../support/plugin.ts'
import { answering, hold } from '../support/reach.ts'
import { far, GATEWAY, openNamesSite } from '../support/reach-names-site.ts'
import { ALSO, openReachSite, PUBLISHED } from '../support/reach-site.ts'
import { ANSWERS, BACKENDS, CLIENT, HOST } from '../support/scene.ts'

t.setTimeout(900_000) // on a busy machine

const isNotTheTest = (line: string): boolean => !/^socket /.test(line)

const listOf = async (tsnet: Command, word: string): Promise<string[]> => {
  const rows = JSON.parse((await tsnet.run('egress', word, '--json')).stdout) as Reached[]
  return rows.filter(({ outcome }) => outcome !== 'denied').map(({ entry }) => entry)
}

/** What the host remembers of what a container began with somebody. */
const tracked = async (host: Host, from: string, to: string): Promise<string[]> => {
  const family = from.includes(':') ? 'ipv6' : 'ipv4'
  const { stdout } = await host.run('conntrack', '-L', '-f', family, '--orig-src', from, '--orig-dst', to, {
    mayFail: true,
  })
  return stdout.split('\n').filter(line => line !== '')
}

for (const backend of BACKENDS) {
  t.test(`${backend}: what has no permission any more ends, and all else goes on`, async t => {
    const site = await openReachSite(backend)
    const { scene, box, free, results } = site
    t.teardown(() => scene.close())
    const tsnet = new Command(scene.host, backend)
    const boxed = scene.get('boxed')
    const own = { 4: addressOf(results.boxed, 4), 6: addressOf(results.boxed, 6) }
    using going4 = hold(boxed, CLIENT[4], ANSWERS)
    using going6 = hold(boxed, CLIENT[6], ANSWERS)
    using staying4 = hold(boxed, ALSO[4], 81)
    using staying6 = hold(boxed, ALSO[6], 81)
    using host4 = hold(boxed, HOST[4], 81)
    using coming = hold(scene.client, HOST[4], 8090)
    const mate = scene.get('mate')
    using near4 = hold(boxed, addressOf(results.mate, 4), 81)
    using near6 = hold(boxed, addressOf(results.mate, 6), 81)
    using neighbour = hold(mate, own[4], ANSWERS)
    const all = [going4, going6, staying4, staying6, host4, coming, near4, near6, neighbour]
    for (const each of all) t.not(await each.said(), 'nobody')
    t.equal(await answering(boxed, 'udp', '203.0.113.7', 92), 'client')
    const before = await listOf(tsnet, 'boxed')
    const words = ['egress', 'set', 'boxed', ALSO[4], ALSO[6]]
    const rehearsed = await tsnet.run(...words, '--dry-run')
    t.match(rehearsed.stdout, /^would let boxed eth0 box reach 192\.168\.50\.3 fd50::3\nwould end /)
    t.strictSame(await listOf(tsnet, 'boxed'), before, 'a rehearsal changes nothing')
    for (const each of all) t.not(await each.said(), 'nobody')

    const { stdout } = await tsnet.run(...words)
    t.equal(
      stdout,
      rehearsed.stdout.replace('would let ', '').replace(' reach', '').replaceAll('would end', 'ended'),
    )
    t.strictSame(
      stdout.trim().split('\n').slice(1).sort(),
      [
        ...['192.168.50.2:80/tcp', '[fd50::2]:80/tcp', '192.168.50.1:81/tcp', '203.0.113.7:92/udp'],
        ...[`${addressOf(results.mate, 4)}:81/tcp`, `[${addressOf(results.mate, 6)}]:81/tcp`],
      ]
        .map(each => `ended ${each}`)
        .sort(),
    )
    for (const each of [staying4, staying6]) t.equal(await each.said(), 'client', 'what is allowed goes on')
    for (const each of [coming, neighbour]) t.equal(await each.said(), 'boxed', 'who came is answered')
    for (const each of [going4, going6, host4, near4, near6])
      await waitFor(() => each.error !== undefined, { what: 'the program to be told' })
    for (const family of [4, 6] as const) {
      t.strictSame(
        await tracked(scene.host, own[family], CLIENT[family]),
        [],
        'what was translated is forgotten',
      )
      t.not((await tracked(scene.host, own[family], ALSO[family])).length, 0, 'control')
      t.equal(await answering(boxed, 'tcp', CLIENT[family], ANSWERS), 'nobody')
      t.equal(
        await answering(scene.get('mate'), 'tcp', CLIENT[family], ANSWERS),
        'client',
        'control: its neighbour',
      )
    }
    t.strictSame(await tracked(scene.host, own[4], '203.0.113.7'), [], 'of datagrams, too')
    await box.check(boxed, results.boxed)
    t.equal((await tsnet.run('reconcile', '--dry-run')).stdout, 'nothing is lacking\n')
    t.strictSame(await listOf(tsnet, 'boxed'), [ALSO[4], ALSO[6]])

    await tsnet.run('egress', 'set', 'boxed', 'deny')
    t.equal(await answering(boxed, 'tcp', ALSO[4], 81), 'nobody')
    t.equal(await answering(scene.client, 'tcp', HOST[4], 8090), 'boxed')
    t.strictSame(await listOf(tsnet, 'boxed'), [])
    await tsnet.run('egress', 'set', 'boxed', `${CLIENT[4]}:81`)
    t.equal(await answering(boxed, 'tcp', CLIENT[4], 81), 'client')
    await box.check(boxed, results.boxed)
    for (const who of ['boxed', 'mate', 'free'] as const)
      await (who === 'free' ? free : box).delete(scene.get(who))
    t.strictSame(await scene.residue(isNotTheTest), [])
  })

  t.test(`${backend}: who may reach everybody gets a list, and loses it`, async t => {
    const site = await openReachSite(backend)
    const { scene, box, free, results } = site
    t.teardown(() => scene.close())
    const tsnet = new Command(scene.host, backend)
    const lone = scene.get('free')
    const guards = async () =>
      (await scene.host.run('nft', 'list', 'tables', 'netdev')).stdout.split('\n').length
    const before = await guards()
    t.equal((await tsnet.run('egress', 'set', 'free', '--deny')).stdout, 'free eth0 free nobody\n')
    t.equal(await guards(), before + 1, 'with a guard against spoofing')
    t.equal(await answering(lone, 'tcp', CLIENT[4], ANSWERS), 'nobody')
    t.equal(await answering(scene.client, 'tcp', HOST[4], PUBLISHED), 'free', 'it is answered')
    await free.check(lone, results.free)
    await scene.host.run('nft', 'delete', 'table', 'inet', 'tsnet-reach')
    await tsnet.run('reconcile')
    t.equal(await answering(lone, 'tcp', CLIENT[4], ANSWERS), 'nobody', 'what others flush comes back')
    t.equal((await tsnet.run('egress', 'set', 'free', '--open')).stdout, 'free eth0 free everybody\n')
    t.equal(await guards(), before)
    t.equal(await answering(lone, 'tcp', CLIENT[4], ANSWERS), 'client')
    await free.check(lone, results.free)
    t.strictSame(await listOf(tsnet, 'free'), ['everybody'])

    // Lists and guards go with the container, whoever gave it them.
    await tsnet.run('egress', 'set', 'free', `${CLIENT[4]}:${ANSWERS}`)
    for (const who of ['boxed', 'mate', 'free'] as const)
      await (who === 'free' ? free : box).delete(scene.get(who))
    t.strictSame(await scene.residue(isNotTheTest), [])
  })
}

t.test('what cannot be is refused, and what fails leaves the list of before in force', async t => {
  const { scene, box, results } = await openReachSite('nftables')
  t.teardown(() => scene.close())
  const tsnet = new Command(scene.host, 'nftables')
  const { host } = scene
  const boxed = scene.get('boxed')
  const before = await listOf(tsnet, 'boxed')
  for (const [words, code, why] of [
    [['boxed'], 2, /say whom it may reach: entries such as/],
    [['boxed', 'deny', '192.0.2.7'], 2, /egress set deny allows nobody/],
    [['boxed', '--open', '192.0.2.7'], 2, /open is everybody/],
    [['boxed', '192.0.2.7:x'], 2, /"192\.0\.2\.7:x" is no address/],
    [['boxed', 'dns'], 1, /"dns" is the name service of the network, which has none/],
    [['boxed', 'example.org'], 1, /"example\.org" is a name, and the network's name service is not there/],
    [['boxed', 'network:nowhere'], 1, /"network:nowhere" is no network of this host/],
    [['boxed', '--network', 'front', '192.0.2.7'], 2, /boxed has no such interface; it is on box \(eth0\)/],
    [['nobody', '192.0.2.7'], 1, /nobody/],
  ] as const)
    t.match(await tsnet.try('egress', 'set', ...words), { code, stderr: why }, words.join(' '))
  await box.add(boxed, { ifname: 'eth1' })
  t.match(await tsnet.try('egress', 'set', 'boxed', '--deny'), {
    code: 2,
    stderr: /boxed is on box \(eth\d\), box \(eth\d\): say which with --network or --interface/,
  })
  await tsnet.run('egress', 'set', 'boxed', '--deny', '--interface', 'eth1')
  await box.delete(boxed, { ifname: 'eth1' })

  // Somebody leads to its chain, so that it cannot be replaced.
  const { stdout } = await host.run('nft', 'list', 'table', 'inet', 'tsnet-reach')
  await host.run('nft', 'add', 'chain', 'inet', 'tsnet-reach', 'other')
  const chains = [...stdout.matchAll(/chain (list-[0-9a-f]{16})/g)].map(([, name = '']) => name)
  for (const each of chains)
    await host.run('nft', 'add', 'rule', 'inet', 'tsnet-reach', 'other', 'jump', each)
  using held = hold(boxed, CLIENT[4], ANSWERS)
  t.equal(await held.said(), 'client')
  for (const wish of ['--deny', '--open'])
    t.match(await tsnet.try('egress', 'set', 'boxed', wish), { code: 1, stderr: /may reach/ }, wish)
  t.strictSame(await listOf(tsnet, 'boxed'), before)
  t.equal(await held.said(), 'client', 'what was allowed goes on')
  t.equal(await answering(boxed, 'tcp', CLIENT[4], 81), 'nobody', 'what was not is not')
  t.match(await tsnet.try('egress', 'set', 'free', '--deny'), { code: 0 }, 'control: who has no chain yet')
  await host.run('nft', 'delete', 'chain', 'inet', 'tsnet-reach', 'other')
  await box.check(boxed, results.boxed)

  await tsnet.run('egress', 'set', 'free', '--open')
  const free = scene.get('free')
  await free.run('ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:77')
  t.match(await tsnet.try('egress', 'set', 'free', '--deny'), {
    code: 1,
    stderr:
      /sends as 02:00:00:00:00:77, and was given .*: a list knows it by that, and would let nothing through/,
  })
})

t.test(
  'names are told by the new list at once, and who is connected by a name that stays goes on',
  async t => {
    const { scene, tsnet, box, results } = await openNamesSite(t, 'nftables')
    const boxed = scene.get('boxed')
    const ask = (name: string) => askUdp(boxed, { server: GATEWAY[4], name, type: 'A' })
    const events = scene.host.start(EXECUTABLE, 'events', '--json', '--filter', 'event=egress')
    const inWords = scene.host.start(EXECUTABLE, 'events', '--filter', 'event=egress')
    await ask('registry.example.org')
    using held = hold(boxed, far(7)[4], ANSWERS)
    t.equal(await held.said(), 'client')
    const record = (await tsnet.run('egress', 'boxed', '--json')).stdout
    const [{ owner = '' } = {}] = JSON.parse(record) as Reached[]
    const { attachment } = JSON.parse(
      readFileSync(scene.host.path(`/run/tsnet/attachments/${owner}.json`), 'utf8'),
    ) as { attachment: Attachment }
    const names = (await listOf(tsnet, 'boxed')).filter(each => /example/.test(each))
    t.equal(attachment.reach?.allow.length, names.length + 2)
    await tsnet.run('egress', 'set', 'boxed', ...names)
    t.equal(await held.said(), 'client', 'the same names: what was told of them stays')
    t.equal(await answering(boxed, 'tcp', far(7)[4], ANSWERS), 'client', 'and need not be asked again')
    t.equal(await answering(boxed, 'tcp', ALSO[4], 81), 'nobody')

    await tsnet.run('egress', 'set', 'boxed', `other.example.org:${ANSWERS}`)
    await waitFor(() => held.error !== undefined, { what: 'the program to be told' })
    t.equal(
      await answering(boxed, 'tcp', far(7)[4], ANSWERS),
      'nobody',
      'a name that is not in the list any more',
    )
    await ask('registry.example.org')
    t.equal(await answering(boxed, 'tcp', far(7)[4], ANSWERS), 'nobody', 'and is asked for in vain')
    await ask('other.example.org')
    t.equal(await answering(boxed, 'tcp', far(8)[4], ANSWERS), 'client', 'a name that is new')
    await box.check(boxed, results.boxed)
    await waitFor(() => events.stdout.includes('other.example.org') && inWords.stdout.includes('other'), {
      what: 'events',
    })
    t.match(JSON.parse(events.stdout.trim().split('\n').at(-1) ?? ''), {
      event: 'egress',
      network: 'box',
      ifname: 'eth0',
      containers: [{ id: 'boxed' }],
      what: ['other.example.org:80/tcp'],
      number: 1,
    })
    t.match(inWords.stdout, /egress +boxed \(box eth0\) may reach other\.example\.org:80\/tcp\n/)
  },
)

t.test('who is killed between what is written down and the kernel leaves no names of before', async t => {
  const { scene, tsnet, box, results } = await openNamesSite(t, 'nftables')
  const boxed = scene.get('boxed')
  const [old, named] = ['registry.example.org', 'other.example.org'].map(name => `${name}:${ANSWERS}`)
  await tsnet.run('egress', 'set', 'boxed', `${old}`)
  await askUdp(boxed, { server: GATEWAY[4], name: 'registry.example.org', type: 'A' })
  using held = hold(boxed, far(7)[4], ANSWERS)
  t.equal(await held.said(), 'client')
  const [{ owner = '' } = {}] = JSON.parse((await tsnet.run('egress', 'boxed', '--json')).stdout) as Reached[]
  const path = scene.host.path(`/run/tsnet/attachments/${owner}.json`)
  // Of both the kernel has the same rules, maps and counters.
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll('registry.example.org', 'other.example.org'))
  t.strictSame(await listOf(tsnet, 'boxed'), [`${named}/tcp`])
  await t.rejects(box.check(boxed, results.boxed), /may reach .* has other rules than it should/)
  await tsnet.run('reconcile')
  t.equal(await answering(boxed, 'tcp', far(7)[4], ANSWERS), 'nobody')
  await box.check(boxed, results.boxed)
})

t.test(
  'where nothing is translated, who is not allowed any more gets nothing through, and is told',
  async t => {
    const { scene, tsnet, network, join } = await withNetworks(t, 'nftables', 'web', 'a')
    for (const name of ['front', 'back']) await network('create', name, '--no-masquerade', '--direct')
    const [a = ''] = await join('back', 'a')
    const [own = ''] = await join('front', 'web')
    const web = scene.get('web')
    using held = hold(web, a, ANSWERS)
    t.equal(await held.said(), 'a')
    t.match(await tracked(scene.host, own, a), [/dport=80/])
    await tsnet.run('egress', 'set', 'netns:web', 'network:front')
    await waitFor(() => held.error !== undefined, { what: 'the program to be told' })
    t.equal(await answering(web, 'tcp', a, ANSWERS), 'nobody')
    t.equal(await answering(scene.get('a'), 'tcp', own, ANSWERS), 'web', 'who comes is answered')
    await tsnet.run('egress', 'set', 'netns:web', `network:back:${ANSWERS}`)
    t.equal(await answering(web, 'tcp', a, ANSWERS), 'a', 'control')
  },
)
