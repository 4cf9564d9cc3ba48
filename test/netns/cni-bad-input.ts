/**
 * Bad input gets an error object with the spec's code and a message that names the key and the value; the
 * kernel, the files and the rules of others are the same before and after.
 *
 *     client eth0 ──── lan0 host ── br-front ┬─ a    8001 of the host → 80, attached all the while
 *                         │                  └─ b    the container that every call is about
 *                         └── rules and files of somebody else
 */

import t from 'tap'
import { environment } from '../support/cni-call.ts'
import { NO_DAEMON } from '../support/no-daemon.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const scene = await Scene.open('nftables', 'a', 'b')
t.teardown(() => scene.close())
const { host } = scene
const front = scene.network('front', 10)
const ports = [{ hostPort: 8001, containerPort: 80 }]
const prevResult = await front.add(scene.get('a'), { ports })

// Somebody else's, with names that a careless template would run into.
await host.run('nft', '-f', '-', {
  stdin: `table ip victim { chain c { type filter hook input priority 0; policy accept; tcp dport 1 accept; }; }
    table inet tsnet-not-ours { set s { type ipv4_addr; elements = { 192.0.2.1 }; }; }`,
})
await host.run(
  'iptables',
  '-A',
  'INPUT',
  '-p',
  'tcp',
  '--dport',
  '7',
  '-m',
  'comment',
  '--comment',
  'front',
  '-j',
  'ACCEPT',
)
await host.run(
  'sh',
  '-c',
  'echo 192.0.2.9 >/etc/cni/note; mkdir -p /var/lib/cni/networks/other; echo x >/var/lib/cni/networks/other/10.10.0.9',
)
await scene.remember()

interface Bad {
  env?: Record<string, string>
  /** Over the configuration of the network; a string is all of stdin. */
  stdin?: Record<string, unknown> | string
  code: number
  /** What the message, or its details, must name. */
  names: (string | RegExp)[]
}

const mapping = (more: object) => ({
  runtimeConfig: { portMappings: [{ hostPort: 9, containerPort: 9, ...more }] },
})
const local = (ipam: object) => ({ ipam: { type: 'host-local', ...ipam } })
const injection = 'tcp dport 1 accept\nflush chain ip victim c\ndelete table ip victim\n'

const bad: Record<string, Bad> = {
  'no JSON': { stdin: '{"name":', code: 6, names: ['stdin'] },
  'no object': { stdin: '[1]', code: 6, names: ['[1]'] },
  'nothing on stdin': { stdin: '', code: 6, names: ['stdin'] },
  '10 MB on stdin': { stdin: `{"name":"front","x":"${'y'.repeat(10_000_000)}"}`, code: 5, names: ['stdin'] },
  'ten million brackets': { stdin: '['.repeat(9_000_000), code: 6, names: ['stdin', 'nested'] },
  'an unknown version': { stdin: { cniVersion: '9.0.0' }, code: 1, names: ['cniVersion', '"9.0.0"'] },
  'a version that is no text': { stdin: { cniVersion: 1.1 }, code: 7, names: ['cniVersion', '1.1'] },
  'an unknown command': { env: { CNI_COMMAND: 'MOVE' }, code: 4, names: ['CNI_COMMAND', 'MOVE'] },
  'no container id': { env: { CNI_CONTAINERID: '' }, code: 4, names: ['CNI_CONTAINERID'] },
  'a container id that leads elsewhere': {
    env: { CNI_CONTAINERID: '../../x' },
    code: 4,
    names: ['CNI_CONTAINERID', '../../x'],
  },
  'a container id without end': {
    env: { CNI_CONTAINERID: 'x'.repeat(5000) },
    code: 4,
    names: ['CNI_CONTAINERID', 'xxxx'],
  },
  'an interface that is an option': { env: { CNI_IFNAME: '-h' }, code: 4, names: ['CNI_IFNAME', '-h'] },
  'an interface that the kernel would number': {
    env: { CNI_IFNAME: 'x%d' },
    code: 4,
    names: ['CNI_IFNAME', 'x%d'],
  },
  'an interface that means all': { env: { CNI_IFNAME: 'all' }, code: 4, names: ['CNI_IFNAME', 'all'] },
  'an interface with a name too long': {
    env: { CNI_IFNAME: 'a'.repeat(16) },
    code: 4,
    names: ['CNI_IFNAME', 'aaaa'],
  },
  'an interface that is a shell': { env: { CNI_IFNAME: '$(id)' }, code: 4, names: ['CNI_IFNAME', '$(id)'] },
  'a namespace that is not there': {
    env: { CNI_NETNS: '/run/netns/gone' },
    code: 8,
    names: ['/run/netns/gone'],
  },
  'a namespace that is a file': { env: { CNI_NETNS: '/etc/passwd' }, code: 8, names: ['/etc/passwd'] },
  'a namespace that is a folder': { env: { CNI_NETNS: '/etc' }, code: 8, names: ['/etc'] },
  'a namespace of another kind': {
    env: { CNI_NETNS: '/proc/self/ns/mnt' },
    code: 8,
    names: ['/proc/self/ns/mnt'],
  },
  'our own namespace': { env: { CNI_NETNS: '/proc/self/ns/net' }, code: 8, names: ['/proc/self/ns/net'] },
  'a relative path': { env: { CNI_NETNS: 'netns/b' }, code: 4, names: ['CNI_NETNS', 'netns/b'] },
  'CNI_ARGS that are no pairs': { env: { CNI_ARGS: 'IP' }, code: 4, names: ['CNI_ARGS', '"IP"'] },
  'an unknown key in CNI_ARGS': { env: { CNI_ARGS: 'FOO=bar' }, code: 4, names: ['CNI_ARGS', 'FOO=bar'] },
  'an address in CNI_ARGS that is none': {
    env: { CNI_ARGS: 'IP=here' },
    code: 7,
    names: ['CNI_ARGS.IP', '"here"'],
  },
  'an unknown backend': { env: { TSNET_NAT: 'ebtables' }, code: 4, names: ['TSNET_NAT', 'ebtables'] },
  'no name': { stdin: { name: null }, code: 7, names: ['name'] },
  'a name that leads elsewhere': { stdin: { name: '../other' }, code: 7, names: ['name', '../other'] },
  'a name that is ours': { stdin: { name: '.tsnet' }, code: 7, names: ['name', '.tsnet'] },
  'a name without end': { stdin: { name: 'x'.repeat(200) }, code: 7, names: ['name', 'xxxx'] },
  'a bridge that is no name': { stdin: { bridge: 'a/b' }, code: 7, names: ['bridge', 'a/b'] },
  'a bridge that is no bridge': { stdin: { bridge: 'lan0' }, code: 101, names: ['lan0'] },
  'an MTU of 1': { stdin: { mtu: 1 }, code: 7, names: ['mtu', '1'] },
  'an MTU of 65536': { stdin: { mtu: 65536 }, code: 7, names: ['mtu', '65536'] },
  'an MTU too small for IPv6': { stdin: { mtu: 1000 }, code: 7, names: ['mtu', '1000'] },
  'an MTU in words': { stdin: { mtu: '1500' }, code: 7, names: ['mtu', '"1500"'] },
  'a flag in words': { stdin: { ipMasq: 'yes' }, code: 7, names: ['ipMasq', '"yes"'] },
  'hairpin on a promiscuous bridge': {
    stdin: { hairpinMode: true, promiscMode: true },
    code: 7,
    names: ['hairpinMode', 'promiscMode'],
  },
  'addresses on an interface that stays down': {
    stdin: { disableContainerInterface: true },
    code: 7,
    names: ['disableContainerInterface'],
  },
  'a VLAN that is none': { stdin: { vlan: 4095 }, code: 7, names: ['vlan', '4095'] },
  'a trunk upside down': { stdin: { vlanTrunk: [{ minID: 20, maxID: 10 }] }, code: 7, names: ['20', '10'] },
  'a backend of another plugin': {
    stdin: { ipMasqBackend: 'firewalld' },
    code: 2,
    names: ['ipMasqBackend', 'firewalld'],
  },
  'IPAM without a type': { stdin: { ipam: { subnet: '10.10.0.0/16' } }, code: 7, names: ['ipam.type'] },
  'an IPAM plugin that leads elsewhere': {
    stdin: { ipam: { type: '../../bin/sh' } },
    code: 7,
    names: ['ipam.type', '../../bin/sh'],
  },
  'an IPAM plugin that is not there': { stdin: { ipam: { type: 'nowhere' } }, code: 105, names: ['nowhere'] },
  'no range': { stdin: local({}), code: 7, names: ['ipam.ranges'] },
  'a subnet that is none': {
    stdin: local({ subnet: '10.10.0/16' }),
    code: 7,
    names: ['ipam.subnet', '10.10.0/16'],
  },
  'a subnet with host bits': {
    stdin: local({ subnet: '10.10.0.7/16' }),
    code: 7,
    names: [/10\.10\.0\.[07]/, 'host bits'],
  },
  'a subnet for nobody': { stdin: local({ subnet: '10.10.0.0/31' }), code: 7, names: ['10.10.0.0/31'] },
  'a range outside its subnet': {
    stdin: local({ subnet: '10.10.0.0/16', rangeStart: '10.11.0.1' }),
    code: 7,
    names: ['10.11.0.1'],
  },
  'a range upside down': {
    stdin: local({ subnet: '10.10.0.0/16', rangeStart: '10.10.0.9', rangeEnd: '10.10.0.3' }),
    code: 7,
    names: ['10.10.0.3', '10.10.0.9'],
  },
  'ranges that overlap': {
    stdin: local({ ranges: [[{ subnet: '10.10.0.0/16' }], [{ subnet: '10.10.5.0/24' }]] }),
    code: 7,
    names: ['ranges', 'overlap'],
  },
  'families mixed in a set': {
    stdin: local({ ranges: [[{ subnet: '10.10.0.0/16' }, { subnet: 'fd10::/64' }]] }),
    code: 7,
    names: ['ranges', 'famil'],
  },
  'a resolv.conf that is not there': {
    stdin: local({ subnet: '10.10.0.0/16', resolvConf: '/run/none' }),
    code: 5,
    names: ['/run/none'],
  },
  'a route to nowhere': {
    stdin: local({ subnet: '10.10.0.0/16', routes: [{ dst: 'default' }] }),
    code: 7,
    names: ['ipam.routes[0].dst', 'default'],
  },
  'a route with host bits': {
    stdin: local({ subnet: '10.10.0.0/16', routes: [{ dst: '10.9.0.1/16' }] }),
    code: 7,
    names: ['ipam.routes[0].dst', '10.9.0.1/16'],
  },
  'an address outside the pool': {
    stdin: { runtimeConfig: { ips: ['172.16.0.1'] } },
    code: 7,
    names: ['172.16.0.1'],
  },
  'the address of the gateway': {
    stdin: { runtimeConfig: { ips: ['10.10.0.1'] } },
    code: 7,
    names: ['10.10.0.1'],
  },
  'the address of another container': {
    stdin: { runtimeConfig: { ips: [prevResult.ips?.[0]?.address] } },
    code: 100,
    names: [prevResult.ips?.[0]?.address.split('/')[0] ?? ''],
  },
  'a MAC that is none': {
    stdin: { runtimeConfig: { mac: '02:00' } },
    code: 7,
    names: ['runtimeConfig.mac', '02:00'],
  },
  'a MAC of a group': {
    stdin: { runtimeConfig: { mac: '01:00:5e:00:00:01' } },
    code: 7,
    names: ['runtimeConfig.mac', '01:00:5e'],
  },
  'port 0': { stdin: mapping({ hostPort: 0 }), code: 7, names: ['hostPort', '0'] },
  'port 65536': { stdin: mapping({ containerPort: 65536 }), code: 7, names: ['containerPort', '65536'] },
  'a port in words': { stdin: mapping({ hostPort: 'http' }), code: 7, names: ['hostPort', '"http"'] },
  'a protocol without ports': { stdin: mapping({ protocol: 'icmp' }), code: 2, names: ['protocol', 'icmp'] },
  'a protocol that is a program': {
    stdin: mapping({ protocol: injection }),
    code: 2,
    names: ['protocol', 'flush chain'],
  },
  'an address that is a program': {
    stdin: mapping({ hostIP: injection }),
    code: 7,
    names: ['hostIP', 'flush chain'],
  },
  'an address not on this host': { stdin: mapping({ hostIP: '1.1.1.1' }), code: 7, names: ['1.1.1.1'] },
  'an address not on this host, of the other family': {
    stdin: mapping({ hostIP: '2001:db8::9' }),
    code: 7,
    names: ['2001:db8::9'],
  },
  'a port that is published': { stdin: mapping({ hostPort: 8001 }), code: 101, names: ['8001'] },
  'a port that leads to two places': {
    stdin: {
      runtimeConfig: {
        portMappings: [
          { hostPort: 9, containerPort: 1 },
          { hostPort: 9, containerPort: 2 },
        ],
      },
    },
    code: 7,
    names: ['portMappings', '9/tcp'],
  },
  'ports without addresses': {
    stdin: { ipam: {}, isDefaultGateway: false, ipMasq: false, ...mapping({}) },
    code: 2,
    names: ['portMappings'],
  },
  'a limit without a burst': {
    stdin: { runtimeConfig: { bandwidth: { ingressRate: 1000 } } },
    code: 7,
    names: ['ingressRate', '1000'],
  },
  'a burst of 4 GB': {
    stdin: { ingressRate: 1, ingressBurst: 2 ** 35 },
    code: 7,
    names: ['ingressBurst', '34359738368'],
  },
  'a resolver that is a line': {
    stdin: { dns: { nameservers: ['10.0.0.1\nsearch x'] } },
    code: 7,
    names: ['dns.nameservers[0]'],
  },
  'an alias that is a line': {
    stdin: { runtimeConfig: { aliases: ['a\nb'] } },
    code: 7,
    names: ['aliases[0]'],
  },
  'a prevResult that is none': {
    stdin: { prevResult: { ips: 'x' } },
    code: 7,
    names: ['prevResult.ips', '"x"'],
  },
  'CHECK without prevResult': { env: { CNI_COMMAND: 'CHECK' }, code: 7, names: ['prevResult'] },
  'CHECK in 0.3.1': {
    env: { CNI_COMMAND: 'CHECK' },
    stdin: { cniVersion: '0.3.1', prevResult },
    code: 1,
    names: ['CHECK', '0.3.1'],
  },
  'CHECK of nobody': {
    env: { CNI_COMMAND: 'CHECK' },
    stdin: { prevResult },
    code: 102,
    names: ['container b', 'front'],
  },
  'GC in 1.0.0': {
    env: { CNI_COMMAND: 'GC' },
    stdin: { cniVersion: '1.0.0' },
    code: 1,
    names: ['GC', '1.0.0'],
  },
  'GC with a list that is none': {
    env: { CNI_COMMAND: 'GC' },
    stdin: { 'cni.dev/valid-attachments': 'none' },
    code: 7,
    names: ['valid-attachments', '"none"'],
  },
  'GC with an entry that is none': {
    env: { CNI_COMMAND: 'GC' },
    stdin: { 'cni.dev/valid-attachments': [{ containerID: 'a' }] },
    code: 7,
    names: ['valid-attachments[0].ifname'],
  },
  'STATUS of no range': { env: { CNI_COMMAND: 'STATUS' }, stdin: local({}), code: 7, names: ['ipam.ranges'] },
  'DEL of our own namespace': {
    env: { CNI_COMMAND: 'DEL', CNI_NETNS: '/proc/self/ns/net', CNI_IFNAME: 'lan0' },
    code: 8,
    names: ['/proc/self/ns/net'],
  },
  'DEL without a name': { env: { CNI_COMMAND: 'DEL' }, stdin: { name: '' }, code: 7, names: ['name'] },
}

for (const [what, { env = {}, stdin = {}, code, names }] of Object.entries(bad)) {
  t.test(`${what}: error ${code}, and nothing is changed`, async t => {
    const finished = await host.run(`${process.cwd()}/dist/bin/tsnet`, {
      env: {
        ...environment,
        ...NO_DAEMON,
        CNI_CONTAINERID: 'b',
        CNI_NETNS: '/run/netns/b',
        TSNET_NAT: 'nftables',
        ...env,
      },
      stdin: typeof stdin === 'string' ? stdin : JSON.stringify({ ...front.config, ...stdin }),
      mayFail: true,
    })
    t.equal(finished.code, 1)
    t.equal(finished.stderr, '')
    const error = JSON.parse(finished.stdout) as {
      cniVersion: string
      code: number
      msg: string
      details?: string
    }
    t.type(error.cniVersion, 'string')
    t.equal(error.code, code, error.msg)
    const said = `${error.msg} ${error.details ?? ''}`
    for (const name of names)
      t.ok(typeof name === 'string' ? said.includes(name) : name.test(said), `${name} in: ${said}`)
    t.ok(error.msg.length < 1000, 'not a book')
    t.strictSame(await scene.differences(), [])
  })
}

t.test('and the container that was attached all the while is as it was', async t => {
  await front.check(scene.get('a'), prevResult, { ports })
  t.match(await scene.client.ask('tcp', '192.168.50.1', 8001), { place: 'a' })
})
