/**
 *     client eth0 ───────────── lan0 host ─── br-front ─── web
 *       192.168.50.2   192.168.50.1
 *       fd50::2             fd50::1
 *
 * `tsnet publish` on hosts whose owner has rules that drop what is forwarded to a container.
 */

import t from 'tap'
import { type Host, waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { docker28, ufw } from '../support/firewalls.ts'
import { BACKENDS, CLIENT, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const restore = (host: Host, rules: string) =>
  host.run('sh', '-c', 'printf %s "$1" | iptables-restore --noflush', 'sh', rules)

/** Rules of others, the command that takes them away, and how the one that drops is told. */
const OBSTACLES: [name: string, on: string, off: string, told: RegExp][] = [
  [
    'a bridge that nobody may come to',
    'for t in iptables ip6tables; do $t -I FORWARD ! -i br-front -o br-front -j DROP; done',
    'for t in iptables ip6tables; do $t -D FORWARD ! -i br-front -o br-front -j DROP; done',
    /iptables table filter, chain FORWARD, rule 1: "! -i br-front -o br-front -j DROP"/,
  ],
  [
    'a last REJECT',
    'for t in iptables ip6tables; do $t -I FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; $t -I FORWARD 2 -j REJECT; done',
    'for t in iptables ip6tables; do $t -D FORWARD 2; $t -D FORWARD 1; done',
    /chain FORWARD, rule 2: "-j REJECT --reject-with icmp/,
  ],
  [
    'a table of nft that drops by policy',
    "nft 'add table inet strict; add chain inet strict forward { type filter hook forward priority 10; policy drop; }'",
    'nft delete table inet strict',
    /nft table inet strict, chain forward: "policy drop"/,
  ],
  [
    'legacy iptables',
    'for t in iptables-legacy ip6tables-legacy; do $t -I FORWARD -o br-front -j DROP; done',
    'for t in iptables-legacy ip6tables-legacy; do $t -F FORWARD; done',
    /iptables-legacy table filter, chain FORWARD, rule 1: "-o br-front -j DROP"/,
  ],
]

for (const backend of BACKENDS) {
  // What the backends have in common is tried with one.
  for (const [name, on, off, told] of backend === 'iptables' ? OBSTACLES : OBSTACLES.slice(0, 3)) {
    t.test(`${backend}: beside ${name} the proxy serves, and the kernel again without it`, async t => {
      const scene = await Scene.open(backend, 'web')
      t.teardown(() => scene.close())
      await scene.network('front', 10).add(scene.get('web'))
      const tsnet = new Command(scene.host, backend)
      const daemon = await tsnet.daemon()
      await scene.host.run('sh', '-c', on)
      const peers = (port: number, protocol: 'tcp' | 'udp') =>
        Promise.all(
          ([4, 6] as const).map(async family => (await scene.client.ask(protocol, HOST[family], port)).peer),
        )

      for (const protocol of ['tcp', 'udp'] as const) {
        const { stderr } = await tsnet.run('publish', `8080:80/${protocol}`, 'web')
        t.match(stderr, told, 'whoever publishes is told')
        for (const peer of await peers(8080, protocol)) {
          t.notOk(Object.values(CLIENT).includes(peer as never), 'the proxy asks')
        }
        const refused = await tsnet.try('publish', '--mode', 'nat', `8081:80/${protocol}`, 'web')
        t.equal(refused.code, 1)
        t.match(refused.stderr, told, '--mode nat is refused, with the rule')
      }
      const published = await tsnet.ports()
      t.same(
        published.map(({ nat }) => nat),
        [undefined, undefined],
        'there are no rules that lead nowhere',
      )
      for (const { natObstacle = '' } of published) t.match(natObstacle, told)

      await scene.host.run('sh', '-c', off)
      const direct = async () =>
        JSON.stringify(await peers(8080, 'tcp')) === JSON.stringify(Object.values(CLIENT))
      await waitFor(direct, { what: 'the kernel to serve', withinMs: 20_000 })
      await waitFor(() => daemon.stderr.match(/cleared 8080/g)?.length === 2, {
        what: 'both to be cleared',
        withinMs: 20_000,
      })
      t.same(
        (await tsnet.ports()).map(({ natObstacle }) => natObstacle),
        [undefined, undefined],
      )
      await tsnet.run('publish', '--mode', 'nat', '8082:80', 'web')

      await scene.host.run('sh', '-c', on)
      await waitFor(() => daemon.stderr.match(/obstructed 808[02]/g)?.length === 3, {
        what: 'all to be obstructed',
        withinMs: 20_000,
      })
      t.notOk(Object.values(CLIENT).includes((await peers(8080, 'tcp'))[0] as never), 'the proxy asks again')
      const nat = (await tsnet.ports()).find(({ hostPort }) => hostPort === 8082)
      t.match(nat?.natObstacle, told, 'of what the proxy may not serve it is said')
      await scene.host.run('sh', '-c', off)
      await tsnet.run('unpublish', '--all')
    })
  }

  t.test(`${backend}: where the host keeps clients from the proxy as well, both rules are named`, async t => {
    const scene = await Scene.open(backend, 'web')
    t.teardown(() => scene.close())
    await restore(scene.host, ufw('REJECT'))
    await scene.network('front', 10).add(scene.get('web'))
    const tsnet = new Command(scene.host, backend)
    await tsnet.daemon()
    const { stderr } = await tsnet.run('publish', '0.0.0.0:8080:80', 'web')
    t.match(stderr, /ufw-reject-forward, rule 1: "-j REJECT.*; and .*chain INPUT: "policy DROP"/)
    await scene.host.run('iptables', '-A', 'ufw-user-input', '-p', 'tcp', '--dport', '8080', '-j', 'ACCEPT')
    t.equal((await scene.client.ask('tcp', HOST[4], 8080)).place, 'web', 'what the owner opens is open')
  })
}

t.test('with the rules of Docker 28 a container on its bridge is served', async t => {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  await restore(scene.host, docker28('br-front'))
  await scene.network('front', 10).add(scene.get('web'))
  const tsnet = new Command(scene.host, 'iptables')
  await tsnet.daemon()
  const { stderr } = await tsnet.run('publish', '0.0.0.0:8080:80', 'web')
  t.match(stderr, /chain DOCKER, rule 1: "! -i br-front -o br-front -j DROP"/)
  t.equal((await scene.client.ask('tcp', HOST[4], 8080)).place, 'web')
})

t.test('addresses that the owner of the host has barred stay barred, and the kernel serves', async t => {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  await scene.network('front', 10).add(scene.get('web'))
  const tsnet = new Command(scene.host, 'iptables')
  await tsnet.daemon()
  await scene.host.run('iptables', '-I', 'FORWARD', '-s', '203.0.113.7', '-j', 'DROP')
  t.equal((await tsnet.run('publish', '8080:80', 'web')).stderr, '')
  t.equal((await scene.client.ask('tcp', HOST[4], 8080)).peer, CLIENT[4])
  await scene.host.run('iptables', '-I', 'FORWARD', '-s', CLIENT[4], '-j', 'DROP')
  await t.rejects(scene.client.ask('tcp', HOST[4], 8080))
})

t.test('where one family is barred, the kernel serves the other', async t => {
  const scene = await Scene.open('nftables', 'web')
  t.teardown(() => scene.close())
  await scene.network('front', 10).add(scene.get('web'))
  const tsnet = new Command(scene.host, 'nftables')
  const daemon = await tsnet.daemon()
  await scene.host.run('ip6tables', '-I', 'FORWARD', '-j', 'REJECT')
  await tsnet.run('publish', '8080:80', 'web')
  const peer = async (family: 4 | 6) => (await scene.client.ask('tcp', HOST[family], 8080)).peer
  t.equal(await peer(4), CLIENT[4])
  t.not(await peer(6), CLIENT[6], 'the proxy asks')
  t.match((await tsnet.ports())[0]?.natObstacle, /ip6tables table filter, chain FORWARD, rule 1: "-j REJECT/)
  await scene.host.run('ip6tables', '-F', 'FORWARD')
  await waitFor(() => daemon.stderr.includes('cleared'), { what: 'it to be cleared', withinMs: 20_000 })
  t.equal(await peer(6), CLIENT[6])
})
