/** Faults that are planted on a host, each of which `tsnet doctor` finds and names with its cure; see test/support/doctor.ts. */

import t, { type Test } from 'tap'
import { hold, type Row, Ward } from '../support/doctor.ts'
import { firewalld, ufw } from '../support/firewalls.ts'

t.setTimeout(600_000) // on a busy machine

/** What a running daemon puts back at once, without one. */
const TAKEN: Row[] = [
  {
    name: 'all rules flushed',
    plant: 'nft delete table inet tsnet',
    undo: 'tsnet reconcile',
    found: ['ours'],
    what: /rule|table|chain/,
    cure: /tsnet reconcile/,
  },
  {
    name: 'a bridge that is down',
    plant: 'ip link set br-front down',
    undo: 'tsnet reconcile',
    found: ['ours'],
    what: /bridge br-front is down/,
    cure: /tsnet reconcile/,
  },
  {
    name: "a bridge without its network's gateway",
    plant: 'ip address del 10.10.0.1/16 dev br-front',
    undo: 'tsnet reconcile',
    found: ['ours'],
    what: /br-front lacks address 10\.10\.0\.1/,
    cure: /tsnet reconcile/,
  },
  {
    name: 'a port taken off its bridge',
    plant: 'ip link set $VETH nomaster',
    undo: 'tsnet reconcile',
    found: ['ours'],
    what: /is no port of br-front/,
    cure: /tsnet reconcile/,
  },
  {
    name: 'a host that does not forward IPv4',
    plant: 'sysctl -q -w net.ipv4.ip_forward=0',
    undo: 'tsnet reconcile',
    found: ['ours'],
    what: /does not forward IPv4/,
    cure: /tsnet reconcile/,
  },
  {
    name: 'a host that does not forward IPv6',
    plant: 'sysctl -q -w net.ipv6.conf.all.forwarding=0',
    undo: 'tsnet reconcile',
    found: ['ours'],
    what: /does not forward IPv6/,
    cure: /tsnet reconcile/,
  },
  {
    name: 'a record that is damaged',
    plant: 'mkdir -p /run/tsnet/damaged; echo { >/run/tsnet/damaged/web.json',
    undo: 'rm -r /run/tsnet/damaged',
    found: ['records'],
    what: /web\.json/,
    cure: /remove it/,
  },
]

const nft = (table: string) => `nft -f - <<'END'\n${table}\nEND`
const restore = (rules: string) => `iptables-restore --noflush <<'END'\n${rules}\nEND`
/** As of a host that serves nobody: an accept in any other chain does not help. */
const STRICT_INPUT =
  'table inet strict { chain in { type filter hook input priority 0; policy drop; iif lo accept; ct state established accept; }\n}'

const HOST_RULES: Row[] = [
  {
    name: 'a drop in FORWARD of iptables',
    plant: 'iptables -I FORWARD -o br-front -j DROP',
    undo: 'iptables -D FORWARD 1',
    found: ['foreign-rules'],
    what: /iptables table filter, chain FORWARD, rule 1: "-o br-front -j DROP"/,
    cure: /-I FORWARD -o br-front -j ACCEPT/,
  },
  {
    name: 'a reject in FORWARD of ip6tables',
    plant: 'ip6tables -A FORWARD -j REJECT',
    undo: 'ip6tables -D FORWARD -j REJECT',
    found: ['foreign-rules'],
    what: /ip6tables table filter, chain FORWARD, .*REJECT/,
    cure: /-I FORWARD/,
  },
  {
    name: 'a drop of legacy iptables',
    plant: 'iptables-legacy -I FORWARD -o br-front -j DROP',
    undo: 'iptables-legacy -F FORWARD',
    found: ['foreign-rules'],
    what: /iptables-legacy table filter, chain FORWARD/,
    cure: /same command/,
    of: 'front',
  },
  {
    name: 'a table of nft that drops by policy',
    plant: nft('table inet strict { chain forward { type filter hook forward priority 10; policy drop; }\n}'),
    undo: 'nft delete table inet strict',
    found: ['foreign-rules'],
    what: /nft table inet strict, chain forward: "policy drop"/,
    cure: /nft insert rule .* oifname "br-front" accept/,
    of: '8080',
  },
  {
    name: 'ufw, which rejects what is routed',
    plant: `iptables-save >/run/saved; ${restore(ufw('REJECT'))}`,
    undo: 'iptables-restore </run/saved',
    found: ['foreign-rules'],
    of: 'netns:web',
    what: /ufw-|chain FORWARD/,
    cure: /ufw route allow|-I FORWARD/,
  },
  {
    name: 'firewalld, to which the bridge is a stranger',
    plant: nft(firewalld({ dnat: false, intraZone: false })),
    undo: 'nft delete table inet firewalld',
    found: ['foreign-rules'],
    of: 'netns:web',
    what: /nft table inet firewalld/,
    cure: /firewall-cmd .*--zone=trusted --add-interface=br-front/,
  },
  {
    name: 'a rule that keeps this host from its own loopback',
    plant: 'iptables -I OUTPUT -o lo -p tcp --dport 8080 -j DROP',
    undo: 'iptables -D OUTPUT 1',
    found: ['loopback-rules'],
    what: /chain OUTPUT, rule 1/,
    cure: /-o lo -j ACCEPT/,
    of: '8080/tcp',
  },
  {
    name: 'a rule that keeps clients from the proxy',
    // The daemon puts names' own accepts before it, which are not meant.
    plant:
      'tsnet publish --mode proxy 8090:80 netns:web; iptables -I INPUT -p tcp --dport 8090 -j DROP; until iptables -S INPUT | grep -q TSNET; do :; done',
    undo: 'iptables -D INPUT -p tcp --dport 8090 -j DROP; tsnet unpublish 8090',
    found: ['foreign-rules', 'loopback-rules'],
    what: /chain INPUT, rule 2/,
    cure: /iptables -I INPUT/,
    of: '8090',
  },
  {
    name: 'a rule that keeps containers from names',
    // In INPUT the daemon would mend it at once.
    plant: 'iptables -t raw -I PREROUTING -i br-alone -p udp --dport 53 -j DROP',
    undo: 'iptables -t raw -D PREROUTING -i br-alone -p udp --dport 53 -j DROP',
    found: ['names'],
    what: /gateway 10\.30\.0\.1 does not answer on port 53: what 10\.30\.0\.2 asks port 53\/udp of 10\.30\.0\.1 is dropped by iptables table raw, chain PREROUTING, rule 1/,
    cure: /iptables -t raw -I PREROUTING -i br-alone -p udp --dport 53 -j ACCEPT/,
    of: 'netns:alone',
  },
  {
    name: "a firewall of nft's own that lets nobody in",
    plant: `tsnet publish --mode proxy 8090:80 netns:web; ${nft(STRICT_INPUT)}`,
    undo: 'nft delete table inet strict; tsnet unpublish 8090',
    found: ['foreign-rules'],
    what: /port 8090\/tcp of this host is dropped by nft table inet strict, chain in: "policy drop"/,
    cure: /nft insert rule inet strict in tcp dport 8090 accept/,
    of: '8090',
  },
  {
    name: "a firewall of nft's own that keeps containers from names",
    plant: nft(STRICT_INPUT),
    undo: 'nft delete table inet strict',
    found: ['names'],
    what: /gateway 10\.30\.0\.1 does not answer on port 53: what 10\.30\.0\.2 asks .* is dropped by nft table inet strict, chain in: "policy drop"/,
    cure: /nft insert rule inet strict in iifname "br-alone" udp dport 53 accept/,
    of: 'netns:alone',
  },
]

const BELOW: Row[] = [
  {
    name: 'a rule of a bridge, as ebtables makes it',
    plant: nft(
      'table bridge lan { chain o { type filter hook output priority 0; ip daddr 10.10.0.2 tcp dport 80 drop; }\n}',
    ),
    undo: 'nft delete table bridge lan',
    found: ['frames'],
    what: /port 8080\/tcp is dropped by nft table bridge lan, chain o, rule 1: "meta protocol ip ip daddr 10\.10\.0\.2 .*dport 80 drop"/,
    cure: /nft insert rule bridge TABLE CHAIN obrname "br-front" accept/,
    of: 'netns:web',
  },
  {
    name: 'rules of ebtables itself, of which those before the last are about other packets',
    plant: [
      'ip dst 10.10.0.99',
      'ip src 192.168.0.0/17 --ip-proto udp',
      'ip dst ! 10.10.0.0/16',
      'ip proto tcp --ip-dport 81:90',
      'ip tos 0xb8',
    ]
      .map(rule => `ebtables-nft -A OUTPUT -p IPv4 --${rule.replace(' ', '-')} -j DROP`)
      .join('; ')
      .concat(
        '; ebtables-nft -A OUTPUT --mark 7 -j DROP; ebtables-nft -A OUTPUT --pkttype-type multicast -j DROP',
        '; ebtables-nft -A OUTPUT -p IPv6 --ip6-dst fd10::99 -j DROP; ebtables-nft -A OUTPUT -p ARP --arp-ip-dst 10.10.0.2 -j DROP',
        '; ebtables-nft -A OUTPUT -p IPv4 --ip-dst 10.10.0.0/28 --ip-proto tcp --ip-dport 80 -j DROP',
      ),
    undo: 'nft delete table bridge filter',
    found: ['frames'],
    what: /port 8080\/tcp is dropped by nft table bridge filter, chain OUTPUT, rule 10:/,
    cure: /ebtables -L/,
    of: 'netns:web',
  },
  {
    name: 'a bridge whose ports are to send each other nothing',
    plant: nft('table bridge lan { chain f { type filter hook forward priority 0; policy drop; }\n}'),
    undo: 'nft delete table bridge lan',
    found: ['frames'],
    what: /what 10\.10\.0\.\d sends to others of 10\.10\.0\.0\/16 is dropped by nft table bridge lan, chain f: "policy drop"/,
    cure: /ebtables -L/,
    of: 'front',
  },
  {
    name: 'a drop at the ingress of the way in, and a rule about another port beside it',
    plant: nft(
      'table netdev wire { chain i { type filter hook ingress device lan0 priority 0; tcp dport 9 drop; tcp dport 8080 drop; }\n}',
    ),
    undo: 'nft delete table netdev wire',
    found: ['frames'],
    what: /port 8080\/tcp is dropped .*by nft table netdev wire, chain i, rule 2: ".*dport 8080 drop"/,
    cure: /nft -a list table netdev TABLE/,
  },
  {
    name: "a drop at the ingress of the container's own link",
    plant: nft(
      'table netdev wire { chain i { type filter hook ingress device $VETH priority 0; ether type ip6 drop; }\n}',
    ).replaceAll("'END'", 'END'),
    undo: 'nft delete table netdev wire',
    found: ['frames'],
    what: /answers from port 8080\/tcp is dropped by nft table netdev wire, chain i, rule 1: ".*ether type ip6 drop"/,
    cure: /netdev/,
    of: 'netns:web',
  },
]

const KERNEL: Row[] = [
  {
    name: 'a bridge that does not forward',
    plant: 'sysctl -q -w net.ipv4.conf.br-front.forwarding=0',
    undo: 'sysctl -q -w net.ipv4.conf.br-front.forwarding=1',
    found: ['forwarding'],
    what: /net\/ipv4\/conf\/br-front\/forwarding is 0/,
    cure: /sysctl -w net\.ipv4\.conf\.br-front\.forwarding=1/,
  },
  {
    name: 'bridged packets that pass iptables, which drops them',
    plant:
      'sysctl -q -w net.bridge.bridge-nf-call-iptables=1; iptables -I FORWARD -i br-front -o br-front -j DROP',
    undo: 'iptables -D FORWARD -i br-front -o br-front -j DROP; sysctl -q -w net.bridge.bridge-nf-call-iptables=0',
    found: ['forwarding'],
    what: /bridge-nf-call-iptables is 1, and .*chain FORWARD, rule 1/,
    cure: /bridge-nf-call-iptables=0/,
  },
  {
    name: 'a second way in, with strict reverse path filtering',
    plant:
      'ip link add up1 type veth peer name up2; ip link set up2 up; ip link set up1 up; ip address add 192.0.2.1/24 dev up1; sysctl -q -w net.ipv4.conf.up1.rp_filter=1; ip route add default via 192.168.50.2 metric 10; ip route add default via 192.0.2.2 metric 50',
    undo: 'ip link delete up1; ip route delete default',
    found: ['return-path'],
    what: /strict/,
    cure: /net\.ipv4\.conf\.up1\.rp_filter=2/,
  },
  {
    name: 'a way out that takes less than containers send',
    plant: 'ip route add default via 192.168.50.2; ip link set lan0 mtu 1400',
    undo: 'ip link set lan0 mtu 1500; ip route delete default',
    found: ['mtu'],
    what: /1500 bytes, and the host's way out 1400/,
    cure: /"mtu": 1400/,
  },
  {
    name: 'a neighbour that is somebody else',
    plant: 'ip neighbour replace 10.10.0.2 lladdr 02:00:00:00:00:99 dev br-front nud permanent',
    undo: 'ip neighbour delete 10.10.0.2 dev br-front',
    found: ['neighbours'],
    what: /10\.10\.0\.2 for 02:00:00:00:00:99/,
    cure: /ip neighbour delete 10\.10\.0\.2 dev br-front/,
  },
  {
    name: 'a bridge that looks for a container behind the wrong port',
    plant: 'bridge fdb replace $MAC dev $OTHER master sticky static',
    undo: 'bridge fdb delete $MAC dev $OTHER master',
    found: ['neighbours'],
    what: /behind \S+ \(static\), and not behind/,
    cure: /bridge fdb delete/,
  },
  {
    name: 'a port of a bridge that is disabled',
    plant: 'bridge link set dev $VETH state 0',
    undo: 'tsnet doctor --fix --yes || true',
    found: ['bridge-ports'],
    what: /its port of bridge br-front, is disabled/,
    cure: /state 3/,
    of: 'netns:web',
  },
  {
    name: 'a route that leads past the bridge',
    plant: 'ip route add 10.10.0.2/32 dev lan0',
    undo: 'ip route delete 10.10.0.2/32 dev lan0',
    found: ['routes', 'lists'],
    what: /leads over lan0, not over br-front/,
    cure: /ip route get 10\.10\.0\.2/,
  },
  {
    name: 'connections that began before the rules',
    plant:
      'conntrack -I -p udp -s 192.168.50.2 -d 192.168.50.1 --sport 999 --dport 8080 -r 192.168.50.1 -q 192.168.50.2 --reply-port-src 8080 --reply-port-dst 999 -t 60',
    undo: 'tsnet doctor --fix --yes || true',
    found: ['connections'],
    what: /remembers a connection/,
    cure: /conntrack -D/,
  },
]

/** What is ours is mended without a question where that was said, and a daemon started for it. */
async function fixes(t: Test, ward: Ward): Promise<void> {
  const plant =
    'nft delete table inet tsnet; ip link set br-front down; sysctl -q -w net.ipv4.ip_forward=0; iptables -I FORWARD -o br-front -j DROP'
  await ward.shell(plant)
  for (const words of ['--fix', '--yes']) {
    const { code, stderr } = await ward.shell(`tsnet doctor ${words} </dev/null`, true)
    t.equal(code, 2, words)
    t.match(stderr, words === '--fix' ? /nobody is there to answer: add --yes/ : /--yes is the answer/)
  }
  t.match(
    (await ward.faults()).map(({ check }) => check),
    ['daemon'],
    'nothing was done',
  )
  const fixed = await ward.shell('tsnet doctor --fix --yes', true)
  t.match(fixed, {
    code: 1,
    stdout: /what is left:\n\n✗ [^\n]* \(foreign-rules\)\n(?![\s\S]*\((daemon|ours)\))/,
  })
  t.match(fixed.stderr, /done: start the daemon/)
  await ward.shell('iptables -D FORWARD 1')
  t.match(await ward.shell('tsnet doctor --fix --yes', true), { code: 0, stdout: 'nothing is wrong\n' })
}

t.test('planted faults are found, each with its cure, and a host without any has none', async t => {
  const ward = await Ward.open(t)
  for (const row of TAKEN) await hold(t, ward, row, ['daemon'])
  const [missing] = await ward.faults()
  t.match(missing, { check: 'daemon', what: 'no daemon runs', fix: { do: 'start-daemon' } }, 'no daemon')
  const daemon = await ward.tsnet.daemon()
  t.strictSame(await ward.faults(), [], 'a host on which all is well')
  for (const row of [...HOST_RULES, ...BELOW, ...KERNEL]) await hold(t, ward, row)
  t.strictSame(await ward.faults(), [], 'and again in the end')
  await daemon.stop()
  await fixes(t, ward)
})
