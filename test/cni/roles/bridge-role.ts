import t from 'tap'
import { callPlugin, configuration, requestOf } from '../../support/cni-call.ts'

const ipam = { type: 'host-local', subnet: '10.1.2.0/24' }
const called = (more: object, env: Record<string, string> = {}) =>
  callPlugin({ calledAs: 'bridge', stdin: configuration({ type: 'bridge', ipam, ...more }), env })

t.test('what is not said has the defaults of the reference', async t => {
  const request = requestOf(await called({}))
  t.match(request.network, {
    bridge: { name: 'cni0', isGateway: false, hairpinMode: false, macspoofchk: false, vlanTrunk: [] },
    ipMasq: false,
    dropIn: true,
  })
  t.equal(request.network.bridge.mtu, undefined, 'the MTU is the kernel’s, not the uplink’s')
  t.equal(request.mac, undefined)
  t.same(request.ports, [])
})

t.test('keys count in any case', async t => {
  const { network } = requestOf(await called({ BRIDGE: 'br7', IsGateway: true, IPMASQ: true }))
  t.match(network, { bridge: { name: 'br7', isGateway: true }, ipMasq: true })
})

t.test('what belongs to other plugins of the chain is passed over', async t => {
  const runtimeConfig = {
    portMappings: [{ hostPort: 80, containerPort: 80 }],
    bandwidth: { ingressRate: 1, ingressBurst: 1 },
  }
  const request = requestOf(await called({ runtimeConfig, backend: 'firewalld', capabilities: {} }))
  t.same([request.ports, request.bandwidth], [[], undefined])
})

t.test('without a type in ipam there are no addresses, whatever else stands there', async t => {
  for (const none of [{}, { subnet: '10.1.2.0/24' }, undefined]) {
    t.same(requestOf(await called({ ipam: none })).network.ipam, { kind: 'none' })
  }
})

t.test('0.1.0 and 0.2.0 have no result without addresses', async t => {
  for (const cniVersion of ['0.1.0', '0.2.0']) {
    const { json, asked } = await called({ ipam: {}, cniVersion })
    t.match(json, { code: 1, msg: 'cannot convert: no valid IP addresses' })
    t.same(asked, [])
  }
})

t.test('runtimeConfig.mac before args.cni.mac before MAC of CNI_ARGS', async t => {
  const env = { CNI_ARGS: 'IgnoreUnknown=1;MAC=02:00:00:00:00:01' }
  const args = { cni: { mac: '02:00:00:00:00:02' } }
  const runtimeConfig = { mac: '02:00:00:00:00:03' }
  t.equal(requestOf(await called({}, env)).mac, '02:00:00:00:00:01')
  t.equal(requestOf(await called({ args }, env)).mac, '02:00:00:00:00:02')
  t.equal(requestOf(await called({ args, runtimeConfig }, env)).mac, '02:00:00:00:00:03')
})

t.test('CNI_ARGS with a key that nobody knows is refused unless IgnoreUnknown is set', async t => {
  t.match((await called({}, { CNI_ARGS: 'COLOUR=red' })).json, { code: 4, msg: /unknown args/ })
  t.equal((await called({}, { CNI_ARGS: 'COLOUR=red;IgnoreUnknown=true' })).exitCode, 0)
})

const trunks: [object[], { minID: number; maxID: number }[]][] = [
  [[], []],
  [[{}], []],
  [[{ id: 1 }], [{ minID: 1, maxID: 1 }]],
  [[{ id: 4094 }], [{ minID: 4094, maxID: 4094 }]],
  [[{ minID: 5, maxID: 5 }], [{ minID: 5, maxID: 5 }]],
  [[{ minID: 1, maxID: 4094 }], [{ minID: 1, maxID: 4094 }]],
  [
    [{ minID: 200, maxID: 210 }, { id: 101 }],
    [
      { minID: 200, maxID: 210 },
      { minID: 101, maxID: 101 },
    ],
  ],
  [
    [{ minID: 200, maxID: 210, id: 101 }],
    [
      { minID: 200, maxID: 210 },
      { minID: 101, maxID: 101 },
    ],
  ],
]

t.test('vlanTrunk: single ids, ranges, both, or nothing', async t => {
  for (const [vlanTrunk, expected] of trunks) {
    t.same(requestOf(await called({ vlanTrunk })).network.bridge.vlanTrunk, expected)
  }
})

const refusals: [object, string][] = [
  [{ vlan: -1 }, 'invalid VLAN ID -1 (must be between 0 and 4094)'],
  [{ vlan: 4095 }, 'invalid VLAN ID 4095 (must be between 0 and 4094)'],
  [{ vlanTrunk: [{ minID: 0, maxID: 1 }] }, 'incorrect trunk minID parameter'],
  [{ vlanTrunk: [{ minID: 4095, maxID: 4095 }] }, 'incorrect trunk minID parameter'],
  [{ vlanTrunk: [{ minID: 1, maxID: 0 }] }, 'incorrect trunk maxID parameter'],
  [{ vlanTrunk: [{ minID: 1, maxID: 4095 }] }, 'incorrect trunk maxID parameter'],
  [{ vlanTrunk: [{ minID: 2, maxID: 1 }] }, 'minID is greater than maxID in trunk parameter'],
  [{ vlanTrunk: [{ minID: 2 }] }, 'minID and maxID should be configured simultaneously, maxID is missing'],
  [{ vlanTrunk: [{ maxID: 2 }] }, 'minID and maxID should be configured simultaneously, minID is missing'],
  [{ vlanTrunk: [{ id: 0 }] }, 'incorrect trunk id parameter'],
  [{ vlanTrunk: [{ id: 4095 }] }, 'incorrect trunk id parameter'],
  [{ hairpinMode: true, promiscMode: true }, 'cannot set hairpin mode and promiscuous mode at the same time'],
  [{ disableContainerInterface: true }, 'cannot use IPAM when DisableContainerInterface flag is set'],
  [{ ipMasqBackend: 'pf' }, 'unknown ipmasq backend "pf"'],
]

t.test('what cannot be is refused in the words of the reference, before anything is done', async t => {
  for (const [more, msg] of refusals) {
    const { json, asked } = await called(more)
    t.match(json, { code: 7, msg })
    t.same(asked, [])
  }
})

t.test('a prevResult counts for nothing at ADD, and is required at CHECK', async t => {
  const prevResult = {
    interfaces: [{ name: 'lo', sandbox: '/run/netns/web-1' }],
    ips: [{ address: '127.0.0.1/8', interface: 0 }],
  }
  const { json } = await called({ prevResult })
  t.same(
    (json.interfaces as { name: string }[]).map(({ name }) => name),
    ['cni0', 'veth1', 'eth0'],
  )
  t.match((await called({}, { CNI_COMMAND: 'CHECK' })).json, { code: 7, msg: 'Required prevResult missing' })
})

t.test('the interface that has the gateway of a VLAN stands at the end of the result', async t => {
  const { attachmentOf } = await import('../../support/cni-call.ts')
  const gatewayInterface = { name: 'cni0.100', mac: '02:00:00:00:00:09', mtu: 1500 }
  const { json } = await callPlugin({
    calledAs: 'bridge',
    stdin: configuration({ type: 'bridge', ipam, cniVersion: '1.0.0', vlan: 100, isGateway: true }),
    operations: { attach: async request => attachmentOf(request, { gatewayInterface }) },
  })
  t.same((json.interfaces as object[])[3], { name: 'cni0.100', mac: '02:00:00:00:00:09' })
  t.equal((json.ips as { interface: number }[])[0]?.interface, 2)
})

t.test('DEL hands on what it knows, also of a configuration and a prevResult that make no sense', async t => {
  const env = { CNI_COMMAND: 'DEL' }
  const prevResult = {
    interfaces: [
      { name: 'cni0', mac: '02:00:00:00:00:01' },
      { name: 'veth1', mac: '02:00:00:00:00:02' },
      { name: 'eth0', mac: '02:00:00:00:00:03', sandbox: '/run/netns/web-1' },
    ],
    ips: [{ address: '10.1.2.3/24', interface: 2 }],
  }
  const good = await called({ prevResult }, env)
  t.match(good.asked[0]?.arguments[1], {
    netns: '/run/netns/web-1',
    ipam: { kind: 'host-local' },
    foreign: { hostInterfaces: [{ name: 'cni0' }, { name: 'veth1' }], addresses: ['10.1.2.3/24'] },
  })
  for (const more of [
    { prevResult: { ips: [{ address: 'x' }] } },
    { prevResult: 7 },
    { vlan: 9999 },
    { ipam: 7 },
  ]) {
    const { exitCode, asked } = await called(more, env)
    t.equal(exitCode, 0)
    t.match(asked[0]?.arguments[1], { foreign: { hostInterfaces: [], addresses: [] } })
  }
})
