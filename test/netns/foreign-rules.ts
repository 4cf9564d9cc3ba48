/**
 * Which rules of others are found to be in the way of a published port, on the real kernel, in every form in which
 * it keeps rules: nf_tables as nft writes them, iptables' nft variant, and legacy iptables.
 *
 *     clients ── lan0 host br0 ── container 10.5.0.2, fd05::2
 */

import { writeFileSync } from 'node:fs'
import t from 'tap'
import { type Host, lab } from 'tsnet/lab'
import {
  type Accepts,
  describeObstacle,
  type Obstacle,
  obstacleToEgress,
  obstacleToPorts,
  obstacleToProxy,
} from '../../src/foreign/foreign.ts'
import { type Family, parseCidr, parseIp } from '../../src/model/address/address.ts'
import type { Protocol } from '../../src/model/port-mapping.ts'
import { transactionOf } from '../../src/netfilter/commands.ts'
import { netfilterHere } from '../../src/netfilter/netfilter.ts'
import { docker28, firewalld, ufw } from '../support/firewalls.ts'

const CONTAINER = { 4: parseIp('10.5.0.2'), 6: parseIp('fd05::2') }
const NETWORK = { 4: parseCidr('10.5.0.0/24'), 6: parseCidr('fd05::/64') }

const portOf = (family: Family, protocol: Protocol = 'tcp') => ({
  family,
  protocol,
  hostPort: 8080,
  container: CONTAINER[family],
  network: NETWORK[family],
  containerPort: 80,
  bridge: 'br0',
})

interface Asked {
  family?: Family
  protocol?: Protocol
  accepts?: Accepts
}

const OURS: Accepts = { variant: 'nft' }

const toPort = (host: Host, { family = 4, protocol, accepts = OURS }: Asked = {}) =>
  host.inside(() => obstacleToPorts([portOf(family, protocol)], accepts))

const toProxy = (host: Host, { family = 4, protocol }: Asked = {}) =>
  host.inside(() => obstacleToProxy([portOf(family, protocol)]))

const toWorld = (host: Host, { family = 4, accepts = OURS }: Asked = {}) =>
  host.inside(() =>
    obstacleToEgress(
      [{ family, container: CONTAINER[family], network: NETWORK[family], bridge: 'br0' }],
      accepts,
    ),
  )

const told = (found: Obstacle | undefined): string =>
  found === undefined ? 'nothing' : describeObstacle(found)

/** A host with nothing on it but a bridge and a wire. */
async function open(t: { teardown: (end: () => Promise<unknown>) => unknown }): Promise<Host> {
  const world = await lab()
  t.teardown(() => world.end())
  const host = await world.host('host')
  const client = await world.host('client')
  world.wire(
    [host, 'lan0', '192.168.50.1/24', 'fd50::1/64'],
    [client, 'eth0', '192.168.50.2/24', 'fd50::2/64'],
  )
  await host.run('ip', 'link', 'add', 'name', 'br0', 'type', 'bridge')
  await host.run('ip', 'link', 'set', 'dev', 'br0', 'up')
  return host
}

const FORWARD = (rule: string) => `*filter\n-F FORWARD\n-A FORWARD ${rule}\nCOMMIT\n`

/** Rules of iptables, what they do to clients, and how the obstacle is told. */
const IPTABLES: [rules: string, certainty: string | undefined, text?: string][] = [
  [FORWARD('! -i br0 -o br0 -j DROP'), 'all', 'chain FORWARD, rule 1: "! -i br0 -o br0 -j DROP"'],
  [FORWARD('-i br0 -o br0 -j DROP'), undefined],
  [FORWARD('! -i docker0 -o docker0 -j DROP'), undefined],
  [FORWARD('-o br+ -j DROP'), 'all', '"-o br+ -j DROP"'],
  [
    FORWARD('-j REJECT --reject-with icmp-host-prohibited'),
    'all',
    '"-j REJECT --reject-with icmp-host-prohibited"',
  ],
  [
    FORWARD('-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -j REJECT'),
    'all',
    'rule 2: "-j REJECT',
  ],
  [FORWARD('-m conntrack --ctstate DNAT -j ACCEPT\n-A FORWARD -j REJECT'), undefined],
  [FORWARD('-m conntrack --ctstate NEW -j DROP'), 'all', '"-m conntrack --ctstate new -j DROP"'],
  [FORWARD('-m conntrack --ctstate INVALID -j DROP'), undefined],
  [FORWARD('-m conntrack --ctorigdstport 8080 --ctdir ORIGINAL -j DROP'), 'all'],
  [FORWARD('-m conntrack --ctorigdstport 8081 -j DROP'), undefined],
  [FORWARD('-m state --state NEW -j DROP'), 'all'],
  [FORWARD('-p tcp --dport 80 -j DROP'), 'all', '-p tcp'],
  [FORWARD('-p tcp --dport 8080 -j DROP'), undefined],
  [FORWARD('-p tcp ! --syn -m state --state NEW -j DROP'), undefined],
  [FORWARD('-p udp --dport 80 -j DROP'), undefined],
  [FORWARD('-p tcp -m multiport --dports 79:81,443 -j DROP'), 'all'],
  // Answers go to any port.
  [FORWARD('-p tcp -m multiport ! --dports 79:81,443 -j DROP'), 'outside', 'rule 1'],
  [FORWARD('-o br0 -p tcp -m multiport ! --dports 79:81,443 -j DROP'), undefined],
  [FORWARD('-d 10.5.0.0/16 -j DROP'), 'all', '"-d 10.5.0.0/16 -j DROP"'],
  [FORWARD('-d 10.6.0.0/16 -j DROP'), undefined],
  [FORWARD('-s 203.0.113.7 -j DROP'), undefined],
  [FORWARD('! -s 192.168.0.0/16 -j DROP'), 'all', '"! -s 192.168.0.0/16 -j DROP"'],
  [FORWARD('-o br0 ! -s 192.168.0.0/16 -j DROP'), 'outside', '"! -s 192.168.0.0/16 -o br0 -j DROP"'],
  [FORWARD('-i br0 -j ACCEPT\n-A FORWARD -s 192.168.0.0/16 -j ACCEPT\n-A FORWARD -j DROP'), 'outside'],
  [FORWARD('! -s 10.5.0.0/24 -o br0 -j DROP'), 'all', '"! -s 10.5.0.0/24 -o br0 -j DROP"'],
  [FORWARD('! -s 10.0.0.0/8 -o br0 -j DROP'), 'outside'],
  [FORWARD('-i lan0 -j DROP'), 'all', '"-i lan0 -j DROP"'],
  [FORWARD('-i eth7 -j DROP'), undefined],
  [FORWARD('-m iprange --dst-range 10.5.0.0-10.5.0.9 -j DROP'), 'all'],
  [FORWARD('-m limit --limit 10/s -j ACCEPT\n-A FORWARD -j DROP'), undefined],
  [FORWARD('-m connlimit --connlimit-above 20 -j REJECT'), undefined],
  [FORWARD('-m recent --name bad --update --seconds 60 -j DROP'), undefined],
  [
    FORWARD('-m hashlimit --hashlimit-above 20/s --hashlimit-mode srcip --hashlimit-name h -j DROP'),
    undefined,
  ],
  [FORWARD('-m statistic --mode random --probability 0.5 -j DROP'), 'perhaps', '-m statistic'],
  [FORWARD('-m mark --mark 0x8000/0x8000 -j DROP'), undefined],
  [FORWARD('-m mark ! --mark 0x8000/0x8000 -j DROP'), 'all'],
  [FORWARD('-m addrtype --dst-type LOCAL -j DROP'), undefined],
  [FORWARD('-m addrtype ! --dst-type LOCAL -j DROP'), 'all'],
  ['*mangle\n-A POSTROUTING -m owner --uid-owner 0 -j DROP\nCOMMIT\n', undefined],
  [FORWARD('-m policy --dir in --pol ipsec -j DROP'), undefined],
  [FORWARD('-m policy --dir in --pol none -j DROP'), 'all'],
  [FORWARD('-m comment --comment "no way" -j DROP'), 'all', "--comment 'no way' -j DROP"],
  [FORWARD('-j NFQUEUE --queue-num 1'), undefined],
  ['*filter\n:FORWARD DROP\nCOMMIT\n', undefined],
  [
    '*filter\n:a -\n:b -\n-A FORWARD -o br0 -j a\n-A a -j b\n-A b -j DROP\nCOMMIT\n',
    'all',
    'chain b, rule 1: "-j DROP"',
  ],
  ['*filter\n:a -\n-A FORWARD -g a\n-A FORWARD -j DROP\n-A a -j RETURN\nCOMMIT\n', undefined],
  ['*filter\n:a -\n-A FORWARD -j a\n-A FORWARD -j DROP\n-A a -j ACCEPT\nCOMMIT\n', undefined],
  ['*filter\n:TSNET-FORWARD -\n-A FORWARD -j TSNET-FORWARD\n-A FORWARD -j DROP\nCOMMIT\n', undefined],
  ['*mangle\n-A PREROUTING -p tcp --dport 8080 -j DROP\nCOMMIT\n', 'all', 'table mangle, chain PREROUTING'],
  ['*mangle\n-A FORWARD -p tcp --dport 80 -j DROP\nCOMMIT\n', 'all', 'table mangle, chain FORWARD'],
  ['*mangle\n-A POSTROUTING -o br0 -j DROP\nCOMMIT\n', 'all', 'table mangle, chain POSTROUTING'],
  [
    '*mangle\n-A PREROUTING -j MARK --set-mark 1\nCOMMIT\n*filter\n-A FORWARD -m mark --mark 1 -j DROP\nCOMMIT\n',
    undefined,
  ],
  ['*raw\n-A PREROUTING -d 10.5.0.2 ! -i br0 -j DROP\nCOMMIT\n', undefined],
  ['*raw\n-A PREROUTING -p tcp --dport 8080 -j DROP\nCOMMIT\n', 'all', 'table raw, chain PREROUTING'],
  ['*raw\n-A PREROUTING -m rpfilter --invert -j DROP\nCOMMIT\n', undefined],
  ['*nat\n-A PREROUTING -p tcp --dport 80 -j RETURN\nCOMMIT\n', undefined],
]

const FLUSH = 'for t in raw mangle filter nat; do $0 -t $t -F; $0 -t $t -X; done; $0 -P FORWARD ACCEPT'

for (const [variant, dialect] of [
  ['nft', 'iptables table'],
  ['legacy', 'iptables-legacy table'],
] as const) {
  t.test(
    `rules of iptables-${variant} that drop what is published are found, and others are not`,
    async t => {
      const host = await open(t)
      for (const [rules, certainty, text = ''] of IPTABLES) {
        await host.run('sh', '-c', FLUSH, `iptables-${variant}`)
        await host.run('sh', '-c', `printf %s "$1" | iptables-${variant}-restore --noflush`, 'sh', rules)
        const found = toPort(host, { accepts: { variant } })
        t.equal(found?.certainty, certainty, rules)
        if (found === undefined) continue
        const told = describeObstacle(found)
        t.ok(told.includes(text) && told.includes(dialect), `${told}, of ${rules}`)
      }
    },
  )
}

/** A table of nft with one chain at a hook. */
const table = (family: string, body: string, hook = 'forward', priority = '0; policy accept') =>
  `table ${family} other { chain c { type filter hook ${hook} priority ${priority}; ${body}\n}\n}`

const NFT: [rules: string, certainty: string | undefined, text?: string][] = [
  [table('ip', '', 'forward', '0; policy drop'), 'all', 'nft table ip other, chain c: "policy drop"'],
  [table('inet', '', 'forward', '0; policy drop'), 'all', 'nft table inet other'],
  [table('ip6', '', 'forward', '0; policy drop'), undefined],
  [table('ip', 'accept', 'forward', '0; policy drop'), undefined],
  [table('ip', '', 'input', '0; policy drop'), undefined],
  [table('ip', '', 'postrouting', '300; policy drop'), 'all'],
  [table('inet', 'iifname != "br0" oifname "br0" drop'), 'all', '"iifname != br0 oifname br0 drop"'],
  [table('inet', 'iifname "br0" oifname "br0" drop'), undefined],
  [table('inet', 'oif "br0" counter drop'), 'all'],
  [table('inet', 'iif "lo" accept; ct state established,related accept; reject'), 'all', 'rule 3: "reject"'],
  [table('inet', 'iif "lo" drop'), undefined],
  [table('inet', 'oifname "br*" drop'), 'all', '"oifname br+ drop"'],
  [table('inet', 'oifname { "br*", "eth0" } drop'), 'all'],
  [table('inet', 'oifname { "virbr*", "eth0" } drop'), undefined],
  [table('inet', 'ct state new drop'), 'all', '"ct state new drop"'],
  [table('inet', 'ct state vmap { established : accept, related : accept, invalid : drop }'), undefined],
  [table('inet', 'ct state vmap { established : accept, new : drop }'), 'all'],
  [table('inet', 'ct status dnat accept; drop'), undefined],
  [table('inet', 'ct status & dnat != dnat drop'), undefined],
  [
    table('inet', 'meta l4proto tcp ct original proto-dst 8080 drop'),
    'all',
    'ct original proto-dst 8080 drop"',
  ],
  [table('inet', 'ct direction reply drop'), 'all', 'answers from port 8080/tcp'],
  [table('ip', 'ip daddr 10.5.0.0/16 drop'), 'all', '"ip daddr 10.5.0.0/16 drop"'],
  [table('ip', 'ip daddr 10.5.0.0/17 tcp dport 80 drop'), 'all'],
  [table('ip', 'ip saddr 203.0.113.0/24 ip daddr 10.5.0.2 drop'), undefined],
  [table('ip', 'ip daddr { 10.4.0.0/16, 10.5.0.1-10.5.0.9 } drop'), 'all'],
  [table('ip', 'ip daddr { 10.4.0.0/16, 10.5.0.3-10.5.0.9 } drop'), undefined],
  [table('ip', 'ip daddr . tcp dport { 10.5.0.2 . 80 } drop'), 'all'],
  [table('ip', 'ip daddr . tcp dport { 10.5.0.0/24 . 1-79, 10.5.1.0/24 . 80 } drop'), undefined],
  [table('ip', 'ip daddr . tcp dport { 10.5.0.0/24 . 70-90 } drop'), 'all'],
  [table('inet', 'tcp dport 80 drop'), 'all', '"meta l4proto tcp th dport 80 drop"'],
  [table('inet', 'tcp dport 1-100 drop'), 'all'],
  [table('inet', 'tcp dport > 79 tcp dport < 81 drop'), 'all'],
  [table('inet', 'tcp dport != { 22, 443 } oifname "br0" drop'), 'all'],
  [table('inet', 'udp dport 80 drop'), undefined],
  [table('inet', 'tcp flags & (fin|syn|rst|ack) != syn ct state new drop'), undefined],
  [table('inet', 'limit rate over 1000/second drop'), undefined],
  [table('inet', 'limit rate 1000/second accept; drop'), undefined],
  [table('inet', 'meta mark 0x1 drop'), undefined],
  [table('inet', 'meta mark set 0x1 meta mark 0x1 drop'), 'perhaps'],
  [table('inet', 'meta mark & 0xff00 == 0 drop'), 'all'],
  [table('inet', 'fib saddr . iif oif missing drop', 'prerouting'), undefined],
  [table('inet', 'fib daddr type local accept; drop'), 'all'],
  [table('inet', 'fib daddr type local accept; drop', 'prerouting', '-150'), 'all', 'answers'],
  [
    table('inet', 'tcp dport 8080 drop', 'prerouting', '-150'),
    'all',
    '"meta l4proto tcp th dport 8080 drop"',
  ],
  [table('inet', 'tcp dport 8080 drop', 'prerouting', '0'), undefined],
  [table('inet', 'meta skuid 0 drop'), undefined],
  [table('inet', 'numgen random mod 2 0 drop'), 'perhaps'],
  [
    `table inet other { set bad { type ipv4_addr; flags interval; elements = { 203.0.113.0/24 }; }; chain c { type filter hook forward priority 0; ip saddr @bad drop\n}\n}`,
    undefined,
  ],
  [
    `table inet other { set good { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }; chain c { type filter hook forward priority 0; iifname "br0" accept; ip saddr != @good drop\n}\n}`,
    'outside',
    '@good',
  ],
  [
    `table inet other { set there { type ipv4_addr; flags interval; elements = { 10.5.0.0/24 }; }; chain c { type filter hook forward priority 0; ip daddr @there drop\n}\n}`,
    'all',
    '@there',
  ],
  [
    `table inet other { set there { type ipv4_addr; flags interval; elements = { 10.6.0.0/24 }; }; chain c { type filter hook forward priority 0; ip daddr @there drop\n}\n}`,
    undefined,
  ],
  [
    `table inet other { map m { type ifname : verdict; elements = { "br0" : goto no }; }; chain no { drop; }; chain c { type filter hook forward priority 0; oifname vmap @m\n}\n}`,
    'all',
    'chain no, rule 1',
  ],
  [
    `table inet other { flags dormant; chain c { type filter hook forward priority 0; policy drop\n}\n}`,
    undefined,
  ],
  [
    `table inet other { set f { type ipv4_addr; flags dynamic; }; chain c { type filter hook forward priority 0; add @f { ip saddr limit rate over 10/second } drop\n}\n}`,
    undefined,
  ],
  [`table inet tsnet { chain c { type filter hook forward priority 0; policy drop\n}\n}`, undefined],
]

t.test('rules of nft that drop what is published are found, and others are not', async t => {
  const host = await open(t)
  for (const [rules, certainty, text = ''] of NFT) {
    await host.run('nft', `flush ruleset; ${rules.replaceAll('}; ', '}\n')}`)
    const found = toPort(host)
    t.equal(found?.certainty, certainty, rules)
    if (found !== undefined)
      t.ok(describeObstacle(found).includes(text), `${describeObstacle(found)}, of ${rules}`)
  }
})

t.test('each family and each protocol is judged by its own rules', async t => {
  const host = await open(t)
  await host.run('ip6tables', '-A', 'FORWARD', '-p', 'udp', '-d', 'fd05::/64', '-j', 'REJECT')
  await host.run('iptables', '-A', 'FORWARD', '-p', 'sctp', '--dport', '80', '-j', 'DROP')
  const found = (['tcp', 'udp', 'sctp'] as const).flatMap(protocol =>
    ([4, 6] as const).flatMap(family => {
      const obstacle = toPort(host, { family, protocol })
      return obstacle === undefined ? [] : [`${protocol}${family} ${describeObstacle(obstacle)}`]
    }),
  )
  t.same(found, [
    'udp6 what is sent to port 8080/udp is dropped by ip6tables table filter, chain FORWARD, rule 1: "-d fd05::/64 -p udp -j REJECT --reject-with icmp6-port-unreachable"',
    'sctp4 what is sent to port 8080/sctp is dropped by iptables table filter, chain FORWARD, rule 1: "-p sctp --dport 80 -j DROP"',
  ])
})

t.test('what firewalld lets through is known by its zones', async t => {
  const host = await open(t)
  const load = (rules: string) =>
    host.run('sh', '-c', 'printf %s "$1" | nft -f -', 'sh', `flush ruleset\n${rules}`)
  for (const family of [4, 6] as const) {
    await load(firewalld({ dnat: true, intraZone: true }))
    t.equal(toPort(host, { family }), undefined, 'what is led on passes')
    t.equal(toWorld(host, { family }), undefined, 'out over an interface of the zone')
    t.match(told(toProxy(host, { family })), /table inet firewalld, chain filter_IN_public.*reject/)
    await load(firewalld({ dnat: false, intraZone: false }))
    t.equal(toPort(host, { family })?.certainty, 'all')
    t.equal(toWorld(host, { family })?.certainty, 'all')
  }
})

t.test("ufw's policy is none where our rules come before it, and its REJECT is", async t => {
  const host = await open(t)
  const load = (rules: string) => host.run('sh', '-c', 'printf %s "$1" | iptables-restore', 'sh', rules)
  await load(ufw('DROP'))
  t.equal(toPort(host), undefined)
  t.equal(toWorld(host), undefined)
  t.match(told(toPort(host, { accepts: { variant: 'legacy' } })), /chain FORWARD: "policy DROP"/)
  t.match(told(toProxy(host)), /chain INPUT: "policy DROP"/)
  await host.run('iptables', '-A', 'ufw-user-input', '-p', 'tcp', '--dport', '8080', '-j', 'ACCEPT')
  t.equal(toProxy(host), undefined)
  await load(ufw('REJECT'))
  t.match(told(toPort(host)), /chain ufw-reject-forward, rule 1: "-j REJECT/)
  t.match(told(toWorld(host)), /chain ufw-reject-forward, rule 1: "-j REJECT/)
})

t.test("Docker 28 keeps everybody from its own bridge, and nobody from another's", async t => {
  const host = await open(t)
  const load = (rules: string) => host.run('sh', '-c', 'printf %s "$1" | iptables-restore', 'sh', rules)
  await load(docker28('docker0'))
  t.equal(toPort(host), undefined)
  t.equal(toWorld(host), undefined)
  await load(docker28('br0'))
  t.match(told(toPort(host)), /chain DOCKER, rule 1: "! -i br0 -o br0 -j DROP"/)
  t.equal(toWorld(host), undefined, 'Docker lets its containers out')
})

t.test(
  'beside two thousand chains of others a look stays short, and one without changes shorter',
  async t => {
    const host = await open(t)
    const chains = Array.from({ length: 2_000 }, (_, i) => `:KUBE-SVC-${i} - [0:0]`).join('\n')
    const rules = Array.from({ length: 2_000 }, (_, i) => `-A KUBE-SVC-${i} -s 10.9.0.0/16 -j ACCEPT`).join(
      '\n',
    )
    const load = `*filter\n${chains}\n-A FORWARD -o br0 -j DROP\n${rules}\nCOMMIT\n`
    writeFileSync(host.path('/run/rules'), load)
    await host.run('sh', '-c', 'iptables-restore < /run/rules')
    t.equal(toPort(host)?.certainty, 'all')
    const counts = [toPort, toPort].map(look => {
      const before = performance.now()
      look(host)
      return performance.now() - before
    })
    t.ok(Math.min(...counts) < 20, `${counts} ms`)
  },
)

t.test(
  'what is known of the rules of others stays known over a transaction of ours, and no longer',
  async t => {
    const host = await open(t)
    await host.run('nft', 'add table ip other; add chain ip other f { type filter hook forward priority 0; }')
    const drop = ['nft', 'add', 'rule', 'ip', 'other', 'f', 'drop'] as const
    t.equal(toPort(host), undefined)
    const nl = host.inside(netfilterHere)
    let lists = 0
    const dump = nl.dump.bind(nl)
    nl.dump = request => {
      lists++
      return dump(request)
    }
    const ours = (name: string) => t.notOk(transactionOf([`add table inet tsnet-${name}`]).commit(nl))
    const isKnown = () => {
      const before = lists
      t.equal(toPort(host), undefined)
      return lists === before
    }
    t.ok(isKnown(), 'nothing was changed')
    ours('a')
    ours('b')
    t.ok(isKnown())
    ours('b')
    t.ok(isKnown(), 'it was there already, which makes no other generation')
    await host.run('nft', 'add table ip somebody')
    ours('c')
    t.notOk(isKnown(), 'somebody else has changed something before ours')
    ours('d')
    t.ok(isKnown())
    await host.run(...drop)
    ours('e')
    t.equal(toPort(host)?.certainty, 'all', 'somebody else has changed something meanwhile')
  },
)
