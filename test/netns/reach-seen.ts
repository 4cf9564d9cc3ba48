/** What a container with a list reached, and what it was denied, as whoever asks is told of it. */

import { resolve } from 'node:path'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { REMEMBERED_S } from '../../src/nat/reach/refused.ts'
import type { Reached } from '../../src/network/reached.ts'
import type { CountersReport } from '../../src/observe/observe.ts'
import { EXECUTABLE, withDaemon } from '../support/daemon.ts'
import { addressOf } from '../support/plugin.ts'
import { answering } from '../support/reach.ts'
import { ALSO, METADATA, openReachSite, type ReachSite } from '../support/reach-site.ts'
import { ANSWERS, BACKENDS, CLIENT, HOST } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

const tsnet = async ({ scene }: ReachSite, ...words: string[]): Promise<string> =>
  (await scene.host.run(resolve('dist/bin/tsnet'), 'egress', ...words)).stdout

const seen = async (site: ReachSite, ...words: string[]): Promise<Reached[]> =>
  JSON.parse(await tsnet(site, ...words, '--json')) as Reached[]

for (const backend of BACKENDS) {
  t.test(
    `${backend}: entries are told with their packets, and what was denied with what would allow it`,
    async t => {
      const site = await openReachSite(backend)
      t.teardown(() => site.scene.close())
      const { scene, results, box } = site
      const boxed = scene.get('boxed')
      const before = await seen(site, 'boxed')
      t.strictSame([...new Set(before.map(({ outcome }) => outcome))], ['allowed'])
      t.strictSame([...new Set(before.map(({ packets }) => packets))], [0], 'unused entries are told too')
      for (const family of [4, 6] as const) {
        const mate = addressOf(results.mate, family)
        t.equal(await answering(boxed, 'tcp', CLIENT[family], ANSWERS), 'client')
        t.equal(await answering(boxed, 'udp', ALSO[family], ANSWERS), 'client')
        t.equal(await answering(boxed, 'tcp', mate, 81), 'mate')
        for (const [transport, to, port] of [
          ['tcp', CLIENT[family], 81],
          ['udp', METADATA[family], 53],
          ['tcp', mate, ANSWERS],
        ] as const)
          t.equal(await answering(boxed, transport, to, port), 'nobody')
        await boxed.run('ping', '-c', '2', '-i', '0.2', '-W', '1', CLIENT[family], { mayFail: true })
      }
      const all = await seen(site, 'boxed')
      const of = (entry: string) => all.find(each => each.entry === entry)
      const used = [
        ...['192.168.50.2:80/tcp', '[fd50::2]:80/tcp', '192.168.50.3', 'fd50::3'],
        ...['10.1.0.0/16:81/tcp', '[fd1::/64]:81/tcp'],
      ]
      for (const each of all.filter(({ outcome }) => outcome === 'allowed'))
        t.equal(each.packets > 0, used.includes(each.entry), each.entry)
      for (const [entry, protocol, port] of [
        ['192.168.50.2:81/tcp', 'tcp', 81],
        ['[fd50::2]:81/tcp', 'tcp', 81],
        ['169.254.169.254:53/udp', 'udp', 53],
        ['[fd00:ec2::254]:53/udp', 'udp', 53],
        [`${addressOf(results.mate, 4)}:80/tcp`, 'tcp', 80],
        [`[${addressOf(results.mate, 6)}]:80/tcp`, 'tcp', 80],
      ] as const)
        t.match(of(entry), { outcome: 'denied', protocol, port, last: String, network: 'box' }, entry)
      t.match(
        of('192.168.50.2'),
        { outcome: 'denied', protocol: 'icmp', packets: 2 },
        'an echo, as an address',
      )
      t.match(of('fd50::2'), { outcome: 'denied', protocol: 'ipv6-icmp', packets: 2 })
      const [latest] = all.filter(({ outcome }) => outcome === 'denied')
      t.ok(Date.now() - Date.parse(latest?.last ?? '') < 1000 * REMEMBERED_S)

      const [{ owner = '', containerId = '' } = {}] = all
      for (const word of [owner, containerId, addressOf(results.boxed, 4), `netns:${boxed.path}`])
        t.equal((await seen(site, word)).length, all.length, word)
      t.match(
        await tsnet(site, 'ls', 'boxed'),
        /^OUTCOME +ENTRY +PACKETS +LAST .*\nallowed +192\.168\.50\.2:80\/tcp +\d+ +- /,
      )
      t.equal(
        await tsnet(site, 'boxed', '--quiet', '--filter', 'outcome=denied', '--filter', 'used=yes').then(
          lines => lines.trim().split('\n').length,
        ),
        all.filter(({ outcome }) => outcome === 'denied').length,
      )
      t.match(
        await seen(site, 'free'),
        [{ outcome: 'open', entry: 'everybody', network: 'free' }],
        'without a list',
      )
      t.match(
        (await seen(site, 'mate')).map(({ entry, isShared }) => [entry, isShared]),
        [
          ['0.0.0.0/0', true],
          ['::/0', true],
          ['169.254.0.0/16', true],
        ],
        'entries that touch are counted together, and said to be',
      )
      await t.rejects(tsnet(site, 'nobody-of-this-name'), /nobody-of-this-name/)

      await box.check(boxed, results.boxed)
      await box.delete(boxed)
      await t.rejects(tsnet(site, 'boxed'), 'what is gone is nobody')
      const { stdout } = await scene.host.run('nft', 'list', 'sets')
      t.notMatch(stdout, new RegExp(owner), 'and nothing of it is left')
    },
  )
}

t.test('a scan fills what is remembered, and is dropped and counted all the same', async t => {
  const site = await openReachSite('nftables')
  t.teardown(() => site.scene.close())
  const boxed = site.scene.get('boxed')
  const scan = 'for port in {10000..10599}; do echo > /dev/udp/$0/$port; done'
  await boxed.run('bash', '-c', scan, CLIENT[4])
  const denied = await seen(site, 'boxed', '--filter', 'outcome=denied')
  t.equal(denied.filter(({ port = 0 }) => port >= 10_000).length, 512)
})

t.test('a daemon tells of what is denied as it happens, and counts it', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web', 'free')
  const [web, free] = [scene.get('web'), scene.get('free')]
  const events = scene.host.start(EXECUTABLE, 'events', '--json', '--filter', 'event=denied')
  await scene.network('box', 10, { egress: { allow: [] } }).add(web)
  await scene.network('open', 11).add(free)
  t.equal(await answering(free, 'tcp', CLIENT[4], ANSWERS), 'client', 'a control')
  await waitFor(
    async () => {
      await answering(web, 'tcp', CLIENT[4], ANSWERS)
      return events.stdout.includes('"denied"')
    },
    { what: 'the event' },
  )
  const [line = ''] = events.stdout.split('\n')
  t.match(JSON.parse(line), {
    event: 'denied',
    containers: [{ name: 'web' }],
    network: 'box',
    what: ['192.168.50.2:80/tcp'],
    number: Number,
  })
  const { containers } = (await tsnet.ask('counters')) as CountersReport
  const of = (who: string) => containers.find(({ name }) => name === who)
  t.ok((of('web')?.denied ?? 0) > 0)
  t.equal(of('free')?.denied, undefined, 'who may reach everybody is not asked about')
})

t.test('a list that was learned is enough for what was done meanwhile, and for nothing else', async t => {
  const site = await openReachSite('nftables')
  t.teardown(() => site.scene.close())
  const { scene } = site
  const free = scene.get('free')
  const watching = scene.host.start(EXECUTABLE, 'egress', 'learn', 'free', '--json')
  await waitFor(() => watching.stderr.includes('watching free'), { what: 'it to watch' })
  const doings = [
    ['tcp', CLIENT[4], ANSWERS],
    ['udp', CLIENT[6], ANSWERS],
    ['tcp', HOST[4], 81],
  ] as const
  for (const [transport, to, port] of doings) t.not(await answering(free, transport, to, port), 'nobody')
  await free.run('ping', '-c', '1', ALSO[4])
  const { stdout } = await watching.stop('SIGINT')
  const allow = JSON.parse(stdout) as string[]
  t.strictSame(allow, ['192.168.50.2:80/tcp', '192.168.50.3', '[fd50::2]:80/udp', 'host:81/tcp'])

  await site.free.delete(free)
  await site.free.add(free, { config: { runtimeConfig: { egress: allow } } })
  for (const [transport, to, port] of doings) t.not(await answering(free, transport, to, port), 'nobody')
  await free.run('ping', '-c', '1', ALSO[4])
  t.equal(await answering(free, 'tcp', CLIENT[4], 81), 'nobody')
  t.match(await tsnet(site, 'learn', 'free', '--for', '1ms'), /^192\.168\.50\.2:80\/tcp\n/, 'an entry a line')
})

t.test(
  'a prefix has the broadcast address of its subnet, and no entry has multicast to neighbours',
  async t => {
    const site = await openReachSite('nftables', ['10.1.0.0/24', '224.0.0.0/4'])
    t.teardown(() => site.scene.close())
    const many = ['10.1.255.255', '224.0.0.1', '255.255.255.255']
    const deniedTo = async (who: string) => {
      const ping = (to: string) =>
        site.scene.get(who).run('ping', '-b', '-c', '1', '-W', '1', to, { mayFail: true })
      await Promise.all(many.map(ping))
      const all = await seen(site, who, '--filter', 'outcome=denied')
      return all.map(({ to }) => to).sort()
    }
    t.strictSame(await deniedTo('boxed'), many, 'whose prefix is narrower than the subnet')
    t.strictSame(await deniedTo('mate'), ['224.0.0.1', '255.255.255.255'], 'a control: who has every address')
  },
)
