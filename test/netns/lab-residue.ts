/**
 * Snapshots of a host: everything that a network plugin could leave behind is seen.
 */

import t from 'tap'
import { diff, type Host, lab, snapshot } from 'tsnet/lab'

t.setTimeout(600_000) // on a busy machine

/** What a command leaves, by kind: `[command, the sentence that reports it]`. */
const cases: [command: string, sentence: RegExp][] = [
  ['ip link add br0 type bridge', /^link host br0 appeared: bridge, down, mtu 1500/],
  ['ip link set lo mtu 9000', /^link host lo changed: .*mtu 65536.* → .*mtu 9000/],
  ['ip address add 10.1.2.3/24 dev lo', /^address host lo 10\.1\.2\.3\/24 appeared/],
  ['ip address add fd01::1/64 dev lo', /^address host lo fd01::1\/64 appeared/],
  [
    'ip route add 10.5.0.0/16 dev lo table 7',
    /^route host unicast 10\.5\.0\.0\/16 in table 7 on lo appeared/,
  ],
  [
    'ip link add v0 up type veth; ip neigh add 10.1.2.4 lladdr 02:00:00:00:00:01 dev v0',
    /^neighbour host 10\.1\.2\.4 02:00:00:00:00:01 on v0 appeared/,
  ],
  ['tc qdisc add dev lo root tbf rate 8mbit burst 10000 latency 25ms', /^qdisc host tbf on lo rate 1000000 /],
  ['nft add table inet mine', /^nft rule host table inet mine appeared$/],
  ['iptables -A FORWARD -j DROP', /^iptables rule host filter -A FORWARD -j DROP appeared$/],
  ['ip6tables -A FORWARD -j DROP', /^ip6tables rule host filter -A FORWARD -j DROP appeared$/],
  ['iptables-legacy -A FORWARD -j DROP', /^iptables-legacy rule host filter -A FORWARD -j DROP appeared$/],
  ['ip6tables-legacy -A FORWARD -j DROP', /^ip6tables-legacy rule host filter -A FORWARD -j DROP appeared$/],
  [
    'conntrack -I -p tcp -s 10.1.1.1 -d 10.1.1.2 --sport 1 --dport 2 --state LISTEN -t 100 -u ASSURED',
    /^connection host tcp .*src=10\.1\.1\.1 dst=10\.1\.1\.2 sport=1 dport=2/,
  ],
  ['iptables -P FORWARD DROP', /^iptables rule host filter :FORWARD DROP appeared$/],
  ['sysctl -qw net.ipv4.ip_forward=1', /^setting host net\/ipv4\/ip_forward changed: 0 → 1$/],
  ['echo x >/var/lib/cni/lease', /^file \/var\/lib\/cni\/lease appeared: 2 bytes 644/],
  ['echo y >/run/there', /^file \/run\/there changed: 0 bytes .* → 2 bytes/],
  ['unshare --net=/run/there true', /^mount \/run\/there nsfs net:\[\d+\] appeared$/],
  ['umount /run/there; rm /run/there', /^file \/run\/there is gone/],
  ['setsid sleep 99 >/dev/null 2>&1 &', /^process sleep 99 appeared$/],
]

async function afresh(): Promise<{ host: Host; end: () => Promise<unknown> }> {
  const world = await lab()
  const host = await world.host('host')
  await host.run('touch', '/run/there')
  return { host, end: () => world.end() }
}

t.test('what is left on a host is told in words', async t => {
  const { host, end } = await afresh()
  let before = await snapshot(host)
  for (const [command, sentence] of cases) {
    await host.run('sh', '-c', command)
    const after = await snapshot(host)
    const differences = diff(before, after)
    t.ok(
      differences.some(line => sentence.test(line)),
      command,
      { differences, sentence: String(sentence) },
    )
    before = after
  }
  await end()
})

t.test('sockets and container namespaces are seen', async t => {
  const { host, end } = await afresh()
  const web = await host.namespace('web')
  const before = await snapshot(host)
  const server = web.listen('tcp', 80, '127.0.0.1')
  host.listen('udp', 53, '::1')
  await web.run('nft', 'add', 'table', 'ip', 'mine')
  t.strictSame(diff(before, await snapshot(host)), [
    'nft rule web table ip mine appeared',
    'socket host udp6 [::1]:53 appeared',
    'socket web tcp 127.0.0.1:80 listening appeared',
  ])
  server.close()
  await end()
})

t.test('a host that is left alone stays the same', async t => {
  const { host, end } = await afresh()
  host.listen('tcp', 80)
  await host.run('touch', '/run/xtables.lock')
  const before = await snapshot(host)
  // Which makes the table and its chains.
  for (const iptables of ['iptables', 'ip6tables', 'iptables-legacy']) {
    await host.run(iptables, '-A', 'FORWARD', '-j', 'ACCEPT')
    await host.run(iptables, '-D', 'FORWARD', '-j', 'ACCEPT')
  }
  await host.ask('tcp', '127.0.0.1', 80)
  t.strictSame(diff(before, await snapshot(host)), [])
  await end()
})
