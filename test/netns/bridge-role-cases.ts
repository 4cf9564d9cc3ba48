/**
 * dist/drop-in/bridge on a real kernel, the lesser cases: settings of the interfaces, calls out of order, bad
 * input, and host-local of either beside it.
 */

import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { Namespace } from 'tsnet/lab'
import { openStages, type RoleCall, type Stage, tidyAnswer } from '../support/bridge-role.ts'
import { environmentOf, folders } from '../support/drop-in.ts'

t.setTimeout(600_000)

const v4 = { subnet: '10.1.2.0/24' }
const hostLocal = (...ranges: object[]) => ({ type: 'host-local', ranges: ranges.map(range => [range]) })
const routed = { bridge: 'br7', isGateway: true, ipMasq: true, ipam: hostLocal(v4) }
const both = ['reference', 'tsnet'] as const

/** All that a call may leave: links, rules, files. */
async function everything(stage: Stage, place?: Namespace): Promise<string[]> {
  // host-local's lock and its mark of the round robin stay.
  const files =
    'find /run/tsnet /var/lib/cni -type f 2>/dev/null | grep -v "last_reserved_ip\\|/lock$" | sort'
  const inside = place === undefined ? '' : (await place.run('ip', '-o', 'link')).stdout
  return [
    ...(await stage.links()),
    ...(await stage.rules()),
    ...(await stage.lines('nft', 'list', 'tables')),
    ...(await stage.lines('sh', '-c', files)),
    ...(await stage.lines('sysctl', 'net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding')),
    inside,
  ]
}

/** The same scene on both hosts, one answer each. */
async function alike<T>(t: Test, scene: (stage: Stage, web: Namespace) => Promise<T>): Promise<T> {
  const { theirs, ours } = await openStages(t)
  const expected = await scene(theirs, await theirs.container('web'))
  const found = await scene(ours, await ours.container('web'))
  t.strictSame(found, expected)
  return found
}

t.test('promiscMode makes the bridge promiscuous, absence does not', async t => {
  const flags = await alike(t, async (stage, web) => {
    const flagsOf = async (promiscMode: boolean, bridge: string, ifname: string) => {
      await stage.call('ADD', web, { bridge, promiscMode, ipam: {} }, { ifname })
      return (await stage.lines('ip', 'link', 'show', bridge)).some(line => line.includes('PROMISC'))
    }
    return [await flagsOf(true, 'br7', 'eth0'), await flagsOf(false, 'br8', 'eth1')]
  })
  t.same(flags, [true, false])
})

t.test('enabledad: the kernel looks for duplicates before ADD says that the address is there', async t => {
  const ipam = hostLocal({ subnet: '2001:db8:42::/64' })
  const settings = await alike(t, async (stage, web) => {
    const found: string[] = []
    for (const [ifname, enabledad] of [
      ['eth0', true],
      ['eth1', false],
    ] as const) {
      const config = { ...routed, name: ifname, bridge: `br-${ifname}`, enabledad, ipam }
      t.equal((await stage.call('ADD', web, config, { ifname })).code, 0)
      const { stdout } = await web.run('ip', '-6', 'address', 'show', 'dev', ifname, 'scope', 'global')
      t.notMatch(stdout, /tentative|dadfailed/)
      for (const key of ['accept_dad', 'disable_ipv6']) {
        found.push((await web.run('cat', `/proc/sys/net/ipv6/conf/${ifname}/${key}`)).stdout.trim())
      }
    }
    return found
  })
  t.same(settings, ['1', '0', '0', '0'])
})

t.test('a resolv.conf named in ipam is the result’s dns; the network’s own dns comes before it', async t => {
  const { theirs, ours } = await openStages(t)
  const add = async (stage: Stage, name: string, dns?: object) => {
    writeFileSync(stage.host.path('/run/resolv.conf'), 'nameserver 192.0.2.3\ndomain a.test\nsearch b.test\n')
    const ipam = { ...hostLocal(v4), resolvConf: '/run/resolv.conf' }
    const config = { ...routed, isDefaultGateway: true, dns, ipam }
    return tidyAnswer(await stage.call('ADD', await stage.container(name), config))
  }
  // Debian's version keeps what the network says, even if that is nothing.
  t.match(await add(ours, 'a'), {
    code: 0,
    result: { dns: { nameservers: ['192.0.2.3'], domain: 'a.test', search: ['b.test'] } },
  })
  const own = { nameservers: ['192.0.2.53'] }
  const expected = await add(theirs, 'b', own)
  const found = await add(ours, 'b', own)
  t.same([found.result?.dns, expected.result?.dns], [own, own])
})

t.test('ipMasqBackend iptables is what the default is here', async t => {
  const { ours } = await openStages(t)
  const web = await ours.container('web')
  const rules: string[][] = []
  for (const more of [{}, { ipMasqBackend: 'iptables' }]) {
    const config = {
      ...routed,
      ...more,
      ipam: hostLocal({ ...v4, rangeStart: '10.1.2.9', rangeEnd: '10.1.2.9' }),
    }
    t.equal((await ours.call('ADD', web, config)).code, 0)
    rules.push(await ours.rules())
    t.same(await ours.call('DEL', web, config), { code: 0 })
  }
  t.ok(rules[0]?.some(line => line.includes('-j MASQUERADE')))
  t.same(rules[1], rules[0])
})

t.test('layer 2: CHECK, GC and STATUS; DEL without the namespace', async t => {
  const { ours } = await openStages(t)
  const config = { bridge: 'br7', ipam: {}, cniVersion: '1.1.0' }
  const [a, b] = [await ours.container('a'), await ours.container('b')]
  const added = await ours.call('ADD', a, config)
  await ours.call('ADD', b, config)
  t.same(await ours.call('CHECK', a, config, { top: { prevResult: added.result } }), { code: 0 })
  t.same(await ours.call('STATUS', '', config), { code: 0 })
  const valid = [{ containerID: 'a', ifname: 'eth0' }]
  t.same(await ours.call('GC', '', config, { top: { 'cni.dev/valid-attachments': valid } }), { code: 0 })
  const has = async (place: Namespace) =>
    (await place.run('ip', 'link', 'show', 'eth0', { mayFail: true })).code === 0
  t.same([await has(a), await has(b)], [true, false])
  t.same(await ours.call('DEL', 'a', config), { code: 0 })
  t.equal(await has(a), false)
  t.same(await ours.lines('find', '/run/tsnet', '-type', 'f', '-name', '*.json'), [''])
})

t.test(
  'a VLAN on a bridge of somebody else that does not look at VLANs is refused without effect',
  async t => {
    const { ours } = await openStages(t)
    const web = await ours.container('web')
    await ours.host.run('ip', 'link', 'add', 'br7', 'type', 'bridge')
    const before = await everything(ours, web)
    for (const vlans of [{ vlan: 100 }, { vlanTrunk: [{ id: 101 }, { minID: 200, maxID: 210 }] }]) {
      const { code, error } = await ours.call('ADD', web, { ...routed, ipMasq: false, ...vlans })
      t.equal(code, 1)
      t.match(error, /^vlan: bridge "br7" does not filter VLANs/)
      t.same(await everything(ours, web), before)
    }
  },
)

/** The error object as it stands on stdout. */
async function errorOf(
  stage: Stage,
  place: Namespace,
  config: object,
  { top, ...more }: RoleCall,
): Promise<{ code: number; msg: string }> {
  const call = {
    plugin: 'bridge',
    command: 'ADD',
    config,
    containerId: place.name,
    netns: place.path,
    ...more,
  }
  const { stdout, code } = await stage.host.run(`${folders[stage.whose]}/bridge`, {
    env: environmentOf(stage.whose, call),
    stdin: JSON.stringify({ cniVersion: '1.0.0', name: 'net', type: 'bridge', ...config, ...top }),
    mayFail: true,
  })
  if (code !== 1) throw new Error(`exit code ${code}: ${stdout}`)
  return JSON.parse(stdout)
}

const bad: [what: string, config: object, more: RoleCall, code: number, msg: RegExp][] = [
  ['a container id with a slash', routed, { containerId: '../x' }, 4, /CNI_CONTAINERID/],
  ['an interface name that is none', routed, { ifname: 'a/b' }, 4, /CNI_IFNAME/],
  ['a namespace that is none', routed, { netns: '/etc/hostname' }, 8, /\/etc\/hostname/],
  ['a namespace that is gone', routed, { netns: '/run/netns/gone' }, 8, /\/run\/netns\/gone/],
  ['the host’s own namespace', routed, { netns: '/proc/self/ns/net' }, 8, /\/proc\/self\/ns\/net/],
  ['CNI_ARGS that are no pairs', routed, { args: 'MAC' }, 4, /^CNI_ARGS: invalid pair "MAC"/],
  ['a MAC of many', routed, { args: 'MAC=01:00:5e:00:00:01' }, 7, /01:00:5e:00:00:01/],
  ['conflicting options', { ...routed, hairpinMode: true, promiscMode: true }, {}, 7, /^cannot set hairpin/],
  [
    'IPv6 with an MTU too small',
    { ...routed, mtu: 1000, ipam: hostLocal({ subnet: '2001:db8::/64' }) },
    {},
    7,
    /^mtu/,
  ],
  ['a subnet with host bits', { ...routed, ipam: hostLocal({ subnet: '10.1.2.3/24' }) }, {}, 7, /host bits/],
  ['an address outside', routed, { top: { args: { cni: { ips: ['192.0.2.1'] } } } }, 7, /192\.0\.2\.1/],
  [
    'a resolv.conf that is not there',
    { ...routed, ipam: { ...hostLocal(v4), resolvConf: '/gone' } },
    {},
    5,
    /\/gone/,
  ],
  ['an ipam plugin that is not there', { ...routed, ipam: { type: 'gone' } }, {}, 105, /"?gone"?/],
  [
    'an ipam plugin that refuses',
    { ...routed, ipam: { type: 'static' } },
    { env: { CNI_PATH: folders.reference } },
    0,
    /./,
  ],
]

t.test('bad input is refused by number, and the kernel and the files are as they were', async t => {
  const { ours } = await openStages(t)
  const web = await ours.container('web')
  const before = await everything(ours, web)
  for (const [what, config, more, code, msg] of bad) {
    const error = await errorOf(ours, web, config, more)
    if (code !== 0) t.equal(error.code, code, `${what}: ${error.msg}`)
    t.match(error.msg, msg, what)
    t.same(await everything(ours, web), before, what)
  }
})

t.test('our bridge and their host-local share the files: each sees and ends what the other has', async t => {
  const { ours: stage } = await openStages(t)
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].map(name => stage.container(name)))
  if (a === undefined || b === undefined || c === undefined) throw new Error('no containers')
  const alone: RoleCall = { plugin: 'host-local' }
  const addressOf = (result: Record<string, unknown> | undefined) =>
    (result?.ips as { address: string }[] | undefined)?.[0]?.address
  const given = [
    addressOf((await stage.call('ADD', a, routed)).result),
    addressOf((await stage.call('ADD', b, routed, alone, 'reference')).result),
    addressOf((await stage.call('ADD', c, routed)).result),
  ]
  t.same(given, ['10.1.2.2/24', '10.1.2.3/24', '10.1.2.4/24'])
  t.same(await stage.call('CHECK', a, routed, alone, 'reference'), { code: 0 })
  t.same(await stage.call('DEL', a, routed, alone, 'reference'), { code: 0 })
  t.same(await stage.call('DEL', b, routed, alone), { code: 0 })
  for (const place of [a, c]) t.same(await stage.call('DEL', place, routed), { code: 0 })
  t.same(await stage.lines('sh', '-c', 'ls /var/lib/cni/networks/net'), ['last_reserved_ip.0', 'lock', ''])
})

t.test(
  'whole chains of both, link by bridge of one, addresses by host-local of the other, leave nothing',
  async t => {
    const { ours: stage } = await openStages(t)
    const web = await stage.container('web')
    await stage.call('ADD', web, routed)
    await stage.call('DEL', web, routed)
    const before = await everything(stage, web)
    for (const maker of both) {
      for (const ender of both) {
        for (const ipamOf of both) {
          // The reference runs what is in CNI_PATH; ours has host-local in itself.
          const env = { CNI_PATH: folders[ipamOf] }
          const added = await stage.call('ADD', web, routed, { env }, maker)
          t.equal(added.code, 0, `${maker}: ${added.error}`)
          const top = { prevResult: added.result }
          t.same(await stage.call('CHECK', web, routed, { env, top }, ender), { code: 0 })
          t.same(await stage.call('DEL', web, routed, { env, top }, ender), { code: 0 })
          t.same(await stage.call('DEL', web, routed, { env }), { code: 0 })
          t.same(await everything(stage, web), before, `${maker}, ${ender}, host-local of ${ipamOf}`)
        }
      }
    }
  },
)
