import t from 'tap'
import { checkBridgeOptions } from '../../../src/bridge/bridge.ts'
import { callPlugin, configuration, requestOf } from '../../support/cni-call.ts'

const requestFor = async (config: object, env: Record<string, string> = {}) =>
  requestOf(await callPlugin({ stdin: configuration(config), env }))

/** The error object that a configuration gets. */
const refused = async (config: object, env: Record<string, string> = {}) => {
  const { json, exitCode, asked } = await callPlugin({ stdin: configuration(config), env })
  return { ...json, exitCode, asked: asked.length }
}

t.test('a request carries names, namespace and network', async t => {
  t.match(await requestFor({ ipMasq: true }), {
    network: { name: 'front', ipMasq: true, bridge: { name: 'cni0' }, ipam: { kind: 'host-local' } },
    containerId: 'web-1',
    ifname: 'eth0',
    netns: '/run/netns/web-1',
    requestedIps: [],
    ports: [],
    aliases: [],
  })
})

t.test(
  'direct routing is kept out where the network hides behind the host, unless it is allowed',
  async t => {
    t.equal((await requestFor({})).network.allowDirectRouting, true)
    t.equal((await requestFor({ ipMasq: true })).network.allowDirectRouting, false)
    t.equal((await requestFor({ ipMasq: true, allowDirectRouting: true })).network.allowDirectRouting, true)
    t.equal((await requestFor({ allowDirectRouting: false })).network.allowDirectRouting, false)
  },
)

t.test("the runtime's MAC comes before that of args.cni, which comes before that of CNI_ARGS", async t => {
  const mac = (last: number) => `02:00:00:00:00:0${last}`
  const runtimeConfig = { mac: mac(1) }
  const args = { cni: { mac: mac(2) } }
  const env = { CNI_ARGS: `MAC=${mac(3)}` }
  t.equal((await requestFor({ runtimeConfig, args }, env)).mac, mac(1))
  t.equal((await requestFor({ args }, env)).mac, mac(2))
  t.equal((await requestFor({}, env)).mac, mac(3))
  t.equal((await requestFor({})).mac, undefined)
})

t.test('addresses that were asked for in any way are asked for together', async t => {
  const runtimeConfig = { ips: ['10.1.0.9/16', 'FD00::9'] }
  const args = { cni: { ips: ['10.1.0.8', '10.1.0.7/16'] } }
  const { requestedIps } = await requestFor({ runtimeConfig, args }, { CNI_ARGS: 'IP=10.1.0.7' })
  t.same(requestedIps, ['10.1.0.7', '10.1.0.8', '10.1.0.9', 'fd00::9'])
})

t.test('aliases are a list, or a list for each network, and the name of the pod comes last', async t => {
  const env = { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=pod' }
  const aliases = async (aliases: unknown) => (await requestFor({ runtimeConfig: { aliases } }, env)).aliases
  t.same(await aliases(['web', 'www', 'web']), ['web', 'www', 'pod'])
  t.same(await aliases({ front: ['web'], back: ['db'], Front: ['other'] }), ['web', 'pod'])
  t.same(await aliases({ back: ['db'] }), ['pod'])
  t.same(await aliases(null), ['pod'])
  t.same((await requestFor({}, { CNI_ARGS: 'K8S_POD_NAME=not a name' })).aliases, [])
  t.match(await refused({ runtimeConfig: { aliases: ['a b'] } }), {
    code: 7,
    msg: 'runtimeConfig.aliases[0]: "a b" is not a host name',
  })
})

t.test('the NAT backend is named by either key of the reference', async t => {
  t.equal((await requestFor({})).network.natBackend, undefined)
  t.equal((await requestFor({ ipMasqBackend: 'nftables' })).network.natBackend, 'nftables')
  t.equal((await requestFor({ backend: 'iptables' })).network.natBackend, 'iptables')
  t.match(await refused({ ipMasqBackend: 'firewalld' }), {
    code: 2,
    msg: 'ipMasqBackend: "firewalld" is neither iptables nor nftables',
  })
  t.match(await refused({ ipMasqBackend: 'iptables', backend: 'nftables' }), {
    code: 2,
    msg: 'backend: "nftables" contradicts ipMasqBackend "iptables"',
  })
})

t.test('TSNET_NAT overrules the NAT backend of the configuration', async t => {
  const TSNET_NAT = 'nftables'
  t.equal((await requestFor({ ipMasqBackend: 'iptables' }, { TSNET_NAT })).network.natBackend, 'nftables')
  t.match(await refused({}, { TSNET_NAT: 'ebtables' }), {
    code: 4,
    msg: 'TSNET_NAT: "ebtables" is neither iptables nor nftables',
  })
})

t.test('what needs an address is refused on a network of layer 2', async t => {
  const portMappings = [{ hostPort: 80, containerPort: 80 }]
  t.match(await refused({ ipam: {}, runtimeConfig: { portMappings } }), {
    code: 2,
    msg: /^runtimeConfig\.portMappings: .* cannot be without an ipam section/,
  })
  t.match(await refused({ ipam: {}, runtimeConfig: { ips: ['10.1.0.2'] } }), {
    code: 2,
    msg: /^runtimeConfig\.ips\[0\]/,
  })
  t.match(await refused({ ipam: {} }, { CNI_ARGS: 'IP=10.1.0.2' }), {
    code: 2,
    msg: /^CNI_ARGS\.IP: "10\.1\.0\.2"/,
  })
  t.match(await refused({ ipam: {} }), { exitCode: 0 })
})

t.test('an uplink is for a bridge of layer 2, and what it cannot stand beside is refused', async t => {
  const { network } = await requestFor({ ipam: {}, uplink: 'eth1' })
  t.equal(network.bridge.uplink, 'eth1')
  t.match(await refused({ ipam: {}, uplink: 7 }), { msg: /^uplink: / })
  t.match(await refused({ ipam: {}, uplink: 'a/b' }), { msg: /^uplink: "a\/b" is not an interface name/ })
  const check =
    (options: object, hasIpam = false) =>
    () =>
      checkBridgeOptions({ ...network.bridge, ...options }, hasIpam)
  t.doesNotThrow(check({}))
  t.throws(check({}, true), { code: 'invalid-config', message: /^uplink: .* without ipam and isGateway/ })
  t.throws(check({ isGateway: true }), { message: /^uplink: / })
  t.throws(check({ vlan: 42 }), { message: /^uplink: which VLANs/ })
  t.throws(check({ uplink: network.bridge.name }), { message: /is the bridge itself/ })
})

t.test('keys that we do not know are tolerated everywhere', async t => {
  const unknown = {
    foo: { bar: [1] },
    capabilities: { portMappings: true },
    runtimeConfig: { cgroupPath: '/x' },
  }
  t.match(await refused({ ...unknown, args: { cni: { labels: [{ key: 'a', value: 'b' }] }, other: 1 } }), {
    exitCode: 0,
  })
})

t.test("go-cni's spelling reaches every section", async t => {
  const request = await requestFor({
    runtimeConfig: {
      portMappings: [{ HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' }],
      ipRanges: [[{ Subnet: '10.9.0.0/16', RangeStart: '', RangeEnd: '', Gateway: '10.9.0.1' }]],
      bandwidth: { IngressRate: 1, IngressBurst: 2, EgressRate: 3, EgressBurst: 4 },
      dns: { Servers: ['10.9.0.1'], Searches: ['a.test'], Options: [] },
    },
  })
  t.match(request, {
    ports: [{ hostPort: 8080, containerPort: 80 }],
    bandwidth: { ingressRate: 1, egressBurst: 4 },
    network: {
      ipam: { ranges: [[{ subnet: '10.9.0.0/16', gateway: '10.9.0.1' }], [{ subnet: '10.1.0.0/16' }]] },
    },
  })
  t.same(request.network.dns, { nameservers: ['10.9.0.1'], search: ['a.test'], options: [] })
})

t.test('nulls where Go sends nil are nothing', async t => {
  const sections = ['runtimeConfig', 'args', 'dns', 'prevResult', 'vlanTrunk', 'capabilities', 'bridge']
  t.match(await refused(Object.fromEntries(sections.map(key => [key, null]))), { exitCode: 0 })
  const keys = ['portMappings', 'ipRanges', 'ips', 'mac', 'dns', 'aliases', 'bandwidth', 'egress']
  t.match(await refused({ runtimeConfig: Object.fromEntries(keys.map(key => [key, null])) }), { exitCode: 0 })
})

t.test('a configuration that is refused asks nothing of the network', async t => {
  const bad = [
    { bridge: 'a/b' },
    { mtu: 'x' },
    { ipam: { type: 'host-local' } },
    { ipam: 'host-local' },
    { runtimeConfig: [] },
    { runtimeConfig: { mac: 'x' } },
    { args: { cni: { ips: ['x'] } } },
    { dns: { nameservers: 'x' } },
    { prevResult: { ips: [{}] } },
    { ingressRate: 1 },
    { egress: { allow: ['example'] } },
  ]
  for (const config of bad)
    t.match(await refused(config), { code: 7, exitCode: 1, asked: 0 }, JSON.stringify(config))
})
