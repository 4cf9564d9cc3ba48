/**
 * dist/drop-in/bridge beside Debian's bridge plugin, on a host each: the same calls, the same answers, and
 * the same in the kernel.
 */

import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { inside, openStages, type Stage, tidyAnswer } from '../support/bridge-role.ts'
import type { DropInAnswer } from '../support/drop-in.ts'

t.setTimeout(600_000)

const v4 = { subnet: '10.1.2.0/24' }
const v6 = { subnet: '2001:db8:42::/64' }
const hostLocal = (...ranges: object[]) => ({ type: 'host-local', ranges: ranges.map(range => [range]) })
const routed = { bridge: 'br7', isGateway: true, ipMasq: true }

/** Plays a scene on both hosts and compares what was said and what there is after each step. */
async function compare(
  t: Test,
  scene: (stage: Stage, said: (answer: DropInAnswer | string[]) => void) => Promise<void>,
): Promise<{ theirs: Stage; ours: Stage }> {
  const { theirs, ours } = await openStages(t)
  const [expected, found] = await Promise.all(
    [theirs, ours].map(async stage => {
      const all: unknown[] = []
      await scene(stage, one => all.push(Array.isArray(one) ? one : tidyAnswer(one)))
      return all
    }),
  )
  t.ok((found?.length ?? 0) > 0)
  t.strictSame(found, expected)
  return { theirs, ours }
}

const digits = (text: string) => createHash('sha512').update(text).digest('hex').slice(0, 16)
const hashes = { a: `${digits('net')}-${digits('eth0:a')}`, b: `${digits('net')}-${digits('eth0:b')}` }

const plain = { ...routed, ipam: hostLocal(v4) }

const threeSubnets = {
  ...routed,
  isDefaultGateway: true,
  forceAddress: true,
  ipam: hostLocal(v4, v6, { subnet: '192.168.0.0/24' }),
}

const configurations: Record<string, object> = {
  IPv4: { ...routed, ipam: hostLocal(v4) },
  'IPv4, default gateway': { ...routed, isDefaultGateway: true, ipam: hostLocal(v4) },
  'IPv6, default gateway': { ...routed, isDefaultGateway: true, ipam: hostLocal(v6) },
  'both families, routes': {
    ...routed,
    ipam: {
      ...hostLocal(v4, v6),
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }, { dst: '192.0.2.0/24', gw: '10.1.2.9' }],
    },
  },
  'a resolver of its own, hairpin, no masquerade': {
    ...routed,
    ipMasq: false,
    hairpinMode: true,
    mtu: 1400,
    ipam: hostLocal(v4),
    dns: { nameservers: ['192.0.2.53'], domain: 'test', search: ['a.test'], options: ['ndots:2'] },
  },
  'no gateway': { bridge: 'br7', ipam: hostLocal(v4) },
  'guarded against spoofing, promiscuous': {
    ...routed,
    macspoofchk: true,
    promiscMode: true,
    ipam: hostLocal(v4),
  },
  'layer 2': { bridge: 'br7', ipam: {} },
  'layer 2, by an empty type': { bridge: 'br7', ipam: { type: '' } },
  'the bridge of the defaults': { ipam: hostLocal(v4) },
}

for (const [what, config] of Object.entries(configurations)) {
  t.test(`${what}: ADD, CHECK and DEL answer alike and leave the same`, async t => {
    await compare(t, async (stage, said) => {
      const web = await stage.container('web')
      const added = await stage.call('ADD', web, config)
      said(added)
      said(await inside(web))
      said(await stage.links())
      said(await stage.rules())
      // Debian's version cannot check a link without addresses.
      if (!what.startsWith('layer 2'))
        said(await stage.call('CHECK', web, config, { top: { prevResult: added.result } }))
      said(await stage.call('DEL', web, config, { top: { prevResult: added.result } }))
      said(await stage.links())
      said(await stage.rules())
      said(await stage.lines('sysctl', 'net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'))
      said(await stage.lines('sh', '-c', 'ls /var/lib/cni/networks/net'))
    })
  })
}

for (const cniVersion of ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0']) {
  t.test(`${cniVersion}: the result has its shape`, async t => {
    await compare(t, async (stage, said) => {
      const config = { ...configurations['both families, routes'], cniVersion }
      said(await stage.call('ADD', await stage.container('web'), config))
      const three = { ...threeSubnets, cniVersion, name: 'other', bridge: 'br8' }
      const answer = await stage.call('ADD', await stage.container('app'), three)
      said(
        cniVersion < '0.3'
          ? { code: answer.code, error: 'does not support more than 1 address per family' }
          : answer,
      )
      t.equal(answer.code, cniVersion < '0.3' ? 1 : 0)
    })
  })
}

t.test('a bridge that exists is used as it is, and stays as it is', async t => {
  await compare(t, async (stage, said) => {
    await stage.host.run('ip', 'link', 'add', 'br7', 'address', '02:00:00:00:00:77', 'type', 'bridge')
    const index = async () =>
      (await stage.lines('ip', '-o', 'link', 'show', 'br7')).map(line => line.split(':')[0] ?? '')
    const before = await index()
    const web = await stage.container('web')
    said(await stage.call('ADD', web, plain))
    t.same(await index(), before)
    said(await stage.call('DEL', web, plain))
    t.same(await index(), before)
  })
})

t.test('the MAC of the bridge stays, whatever comes and goes', async t => {
  const { ours } = await openStages(t)
  const mac = async () =>
    JSON.parse((await ours.host.run('ip', '-j', 'link', 'show', 'br7')).stdout)[0].address
  const config = { bridge: 'br7', ipam: hostLocal(v4) }
  const [a, b] = [await ours.container('a'), await ours.container('b')]
  await ours.call('ADD', a, config)
  const before = await mac()
  await ours.call('ADD', b, config)
  await ours.call('DEL', a, config)
  t.equal(await mac(), before)
  await ours.call('DEL', b, config)
  t.equal(await mac(), before)
})

t.test('MAC: runtimeConfig before args.cni before CNI_ARGS', async t => {
  await compare(t, async (stage, said) => {
    const config = plain
    const args = 'IgnoreUnknown=true;MAC=c2:11:22:33:44:55'
    const inArgs = { args: { cni: { mac: 'c2:11:22:33:44:66' } } }
    const all = { ...inArgs, runtimeConfig: { mac: 'c2:11:22:33:44:77' } }
    const macs: unknown[] = []
    for (const [i, more] of [{ args }, { args, top: inArgs }, { args, top: all }].entries()) {
      const { result } = await stage.call('ADD', await stage.container(`c${i}`), config, more)
      macs.push(((result?.interfaces ?? []) as { mac: string }[])[2]?.mac)
    }
    said({ code: 0, result: { macs } })
    t.same(macs, ['c2:11:22:33:44:55', 'c2:11:22:33:44:66', 'c2:11:22:33:44:77'])
  })
})

t.test('another IPv4 address on the bridge is refused, or taken away with forceAddress', async t => {
  await compare(t, async (stage, said) => {
    await stage.call('ADD', await stage.container('a'), { ...routed, ipam: hostLocal(v4) })
    const other = { ...routed, name: 'other', ipam: hostLocal({ subnet: '10.1.3.0/24' }) }
    const { code, error = '' } = await stage.call('ADD', await stage.container('b'), other)
    said({ code, error: error.replace(/^failed to set bridge addr: /, '') })
    said(await stage.call('ADD', await stage.container('c'), { ...other, forceAddress: true }))
    said(await stage.lines('sh', '-c', 'ip -o -4 address show dev br7'))
  })
})

t.test('an IPv6 address is refused only if the prefixes overlap', async t => {
  await compare(t, async (stage, said) => {
    await stage.call('ADD', await stage.container('a'), { ...routed, ipam: hostLocal(v6) })
    const overlapping = { ...routed, name: 'wide', ipam: hostLocal({ subnet: '2001:db8::/32' }) }
    const { code, error = '' } = await stage.call('ADD', await stage.container('b'), overlapping)
    said({ code, error: error.replace(/^failed to set bridge addr: /, '') })
    const beside = { ...routed, name: 'beside', ipam: hostLocal({ subnet: '2001:db8:43::/64' }) }
    said(await stage.call('ADD', await stage.container('c'), beside))
    said(
      (await stage.lines('ip', '-o', '-6', 'address', 'show', 'dev', 'br7'))
        .filter(line => line.includes('2001'))
        .map(line => line.replace(/ (nodad|tentative)/g, '')),
    )
  })
})

t.test('portIsolation keeps two containers of a bridge apart', async t => {
  const { ours } = await openStages(t)
  for (const [portIsolation, state] of [
    [true, 'on'],
    [false, 'off'],
  ] as const) {
    const web = await ours.container(`c${state}`)
    await ours.call('ADD', web, { bridge: 'br7', portIsolation, ipam: hostLocal(v4) })
    const ports = (await ours.host.run('bridge', '-d', 'link')).stdout
    t.match(ports, new RegExp(`isolated ${state}`))
    await ours.call('DEL', web, { bridge: 'br7', ipam: hostLocal(v4) })
  }
})

t.test('disableContainerInterface leaves the interface down', async t => {
  const { ours } = await openStages(t)
  const web = await ours.container('web')
  t.equal((await ours.call('ADD', web, { bridge: 'br7', disableContainerInterface: true })).code, 0)
  t.match((await web.run('ip', 'link', 'show', 'eth0')).stdout, /state DOWN/)
})

t.test('ipMasqBackend nftables: the table of the reference, whose rules go one by one', async t => {
  const { ours } = await openStages(t)
  const config = { ...routed, ipMasqBackend: 'nftables', ipam: hostLocal(v4, v6) }
  const [a, b] = [await ours.container('a'), await ours.container('b')]
  t.equal((await ours.call('ADD', a, config)).code, 0)
  t.equal((await ours.call('ADD', b, config)).code, 0)
  const table = async () =>
    (await ours.lines('nft', 'list', 'table', 'inet', 'cni_plugins_masquerade')).map(line => line.trim())
  t.same(
    (await table()).filter(line => line.includes('masquerade comment')),
    [
      // sha512 of "net", of "eth0:a" and "eth0:b", 16 digits each.
      'ip saddr 10.1.2.2 ip daddr != 10.1.2.0/24 masquerade comment "HASH-A, net: net, if: eth0, id: a"',
      'ip6 saddr 2001:db8:42::2 ip6 daddr != 2001:db8:42::/64 masquerade comment "HASH-A, net: net, if: eth0, id: a"',
      'ip saddr 10.1.2.3 ip daddr != 10.1.2.0/24 masquerade comment "HASH-B, net: net, if: eth0, id: b"',
      'ip6 saddr 2001:db8:42::3 ip6 daddr != 2001:db8:42::/64 masquerade comment "HASH-B, net: net, if: eth0, id: b"',
    ].map(line => line.replace('HASH-A', hashes.a).replace('HASH-B', hashes.b)),
  )
  await ours.call('DEL', a, config)
  t.equal((await table()).filter(line => line.includes('masquerade comment')).length, 2)
  await ours.call('DEL', b, config)
  t.same(
    (await table()).filter(line => line.includes('masquerade')),
    ['table inet cni_plugins_masquerade {'],
  )
})

t.test('two subnets of a family: the bridge has both gateways, and DEL takes all rules', async t => {
  const { ours } = await openStages(t)
  const web = await ours.container('web')
  for (const forceAddress of [false, true]) {
    const config = { ...threeSubnets, forceAddress, bridge: `br${Number(forceAddress)}` }
    t.equal((await ours.call('ADD', web, config)).code, 0)
    const { stdout } = await ours.host.run('ip', '-o', '-4', 'address', 'show', 'dev', config.bridge)
    t.match(stdout, /10\.1\.2\.1\/24[\s\S]*192\.168\.0\.1\/24/)
    t.same(await ours.call('DEL', web, config), { code: 0 })
    t.same(
      (await ours.rules()).filter(line => line.includes('CNI')),
      [],
    )
  }
})

const refusals: [string, object, string?][] = [
  [
    'hairpinMode with promiscMode',
    { hairpinMode: true, promiscMode: true, ipam: hostLocal(v4) },
    'cannot set hairpin mode and promiscuous mode at the same time',
  ],
  ['vlan above 4094', { vlan: 4095, ipam: hostLocal(v4) }],
  ['vlan below 0', { vlan: -1, ipam: hostLocal(v4) }],
  [
    'disableContainerInterface with ipam',
    { disableContainerInterface: true, ipam: hostLocal(v4) },
    'cannot use IPAM when DisableContainerInterface flag is set',
  ],
  ['an unknown backend', { ipMasqBackend: 'pf', ipam: hostLocal(v4) }, 'unknown ipmasq backend "pf"'],
  ['a trunk from 0', { vlanTrunk: [{ minID: 0, maxID: 9 }] }, 'incorrect trunk minID parameter'],
  ['a trunk to 4095', { vlanTrunk: [{ minID: 1, maxID: 4095 }] }, 'incorrect trunk maxID parameter'],
  [
    'a trunk that ends before it begins',
    { vlanTrunk: [{ minID: 9, maxID: 8 }] },
    'minID is greater than maxID in trunk parameter',
  ],
  [
    'a trunk without minID',
    { vlanTrunk: [{ maxID: 8 }] },
    'minID and maxID should be configured simultaneously, minID is missing',
  ],
  [
    'a trunk without maxID',
    { vlanTrunk: [{ minID: 8 }] },
    'minID and maxID should be configured simultaneously, maxID is missing',
  ],
  ['a trunk of id 0', { vlanTrunk: [{ id: 0 }] }, 'incorrect trunk id parameter'],
  ['a trunk of id 4095', { vlanTrunk: [{ id: 4095 }] }, 'incorrect trunk id parameter'],
]

t.test('what cannot be is refused in the words of the reference, and nothing is left', async t => {
  const { theirs, ours } = await openStages(t)
  const [a, b] = [await theirs.container('web'), await ours.container('web')]
  const before = await ours.links()
  for (const [what, config, words] of refusals) {
    const found = await ours.call('ADD', b, { bridge: 'br7', ...config })
    t.equal(found.code, 1, what)
    t.equal(found.error, words ?? (await theirs.call('ADD', a, { bridge: 'br7', ...config })).error, what)
  }
  t.same(await ours.links(), before)
})

t.test('a link of that name that is no bridge is refused', async t => {
  const { ours } = await openStages(t)
  await ours.host.run('ip', 'link', 'add', 'br7', 'type', 'veth', 'peer', 'name', 'other')
  const { code, error } = await ours.call('ADD', await ours.container('web'), routed)
  t.equal(code, 1)
  t.match(error, /"br7" exists already and is a veth link/)
})

t.test('an error takes everything back; the control, the reference, keeps its link', async t => {
  const { theirs, ours } = await openStages(t)
  for (const stage of [theirs, ours]) {
    const web = await stage.container('web')
    await stage.host.run('ip', 'link', 'add', 'br7', 'type', 'bridge')
    await stage.host.run('ip', 'address', 'add', '10.9.9.9/24', 'dev', 'br7')
    const before = await stage.links()
    const { code, error } = await stage.call('ADD', web, {
      ...routed,
      macspoofchk: true,
      ipam: hostLocal(v4),
    })
    t.equal(code, 1)
    t.match(error, /"br7" already has an IP address different from 10\.1\.2\.1\/24/)
    const link = await web.run('ip', 'link', 'show', 'eth0', { mayFail: true })
    t.equal(link.code === 0, stage === theirs)
    if (stage === ours) t.same(await ours.links(), before)
    if (stage === ours)
      t.same(
        (await ours.rules()).filter(line => line.includes('CNI')),
        [],
      )
    t.same(await stage.lines('sh', '-c', 'ls /var/lib/cni/networks/net | grep ^10'), [''])
  }
})

t.test('an error after a bridge was made takes that back too', async t => {
  const { ours } = await openStages(t)
  const before = await ours.links()
  // No address in the container's family can be reached over such a gateway.
  const ipam = { ...hostLocal(v4), routes: [{ dst: '192.0.2.0/24', gw: '127.0.0.1' }] }
  t.equal((await ours.call('ADD', await ours.container('web'), { ...routed, ipam })).code, 1)
  t.same(await ours.links(), before)
  t.same(
    (await ours.rules()).filter(line => line.includes('CNI')),
    [],
  )
})
