/** What podman's requests come to, and what of them is refused, before anything is touched. */

import t from 'tap'
import { parseJson } from '../../src/model/json/json.ts'
import { answer } from '../../src/netavark/netavark.ts'
import { readContainer, readNetwork } from '../../src/netavark/request.ts'
import { statusOf } from '../../src/netavark/status.ts'
import { hostOf } from '../../src/networks/places.ts'
import { golden } from '../support/netavark.ts'

const parse = (value: object) => parseJson(JSON.stringify(value))

/** The error of a call that is refused. */
async function refusal(words: string[], input: object | string): Promise<string> {
  const readStdin = () => (typeof input === 'string' ? input : JSON.stringify(input))
  const host = hostOf({ NETCONFPATH: t.testdir({}) })
  const { stdout, exitCode } = await answer({ words, readStdin, host })
  const said = JSON.parse(stdout)
  t.strictSame([exitCode, Object.keys(said)], [1, ['error']], stdout)
  return said.error
}

t.test('a network of podman is read', async t => {
  t.match(readNetwork(parse(golden('create-full'))), {
    name: 'full',
    bridge: 'foo0',
    subnets: [
      { subnet: '10.77.0.0/24', gateway: '10.77.0.1', part: { first: '10.77.0.16', last: '10.77.0.20' } },
    ],
    routes: ['10.8.0.0/16,10.77.0.9,5'],
    ipv6: true,
    internal: true,
    names: true,
    nameservers: ['9.9.9.9'],
    options: { isolate: '1', mtu: '1400' },
  })
  t.match(readNetwork(parse(golden('create'))), { subnets: [], routes: [], options: {}, names: true })
})

t.test('a container is read; one entry for several protocols is one for each', async t => {
  const read = readContainer(parse(golden('setup')))
  t.match(read, {
    name: 'web',
    ifname: 'net7',
    ips: ['10.77.0.44'],
    mac: 'aa:bb:cc:00:00:01',
    ports: [
      { protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 3 },
      { protocol: 'sctp', hostPort: 99, count: 1 },
      { protocol: 'udp', hostIp: '127.0.0.1', hostPort: 5353, containerPort: 53 },
    ],
  })
  const port = { container_port: 53, host_ip: '', host_port: 53, protocol: 'tcp,udp', range: 0 }
  t.match(readContainer(parse({ ...golden('setup'), port_mappings: [port] })).ports, [
    { protocol: 'tcp', hostPort: 53, count: 1 },
    { protocol: 'udp', hostPort: 53, count: 1 },
  ])
})

t.test('what a list answers is said in the words of netavark', async t => {
  const result = {
    cniVersion: '1.0.0',
    interfaces: [
      { name: 'br0', mac: '02:00:00:00:00:01' },
      { name: 'eth0', mac: '02:00:00:00:00:02', sandbox: '/run/netns/web' },
    ],
    ips: [
      { address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 1 },
      { address: 'fd00::2/64', interface: 1 },
    ],
    dns: { nameservers: ['10.1.0.1', 'fe80::1%eth0'], search: ['tsnet.internal'] },
  }
  t.strictSame(statusOf(result, 'eth0'), {
    dns_search_domains: ['tsnet.internal'],
    dns_server_ips: ['10.1.0.1'],
    interfaces: {
      eth0: {
        mac_address: '02:00:00:00:00:02',
        subnets: [{ ipnet: '10.1.0.2/24', gateway: '10.1.0.1' }, { ipnet: 'fd00::2/64' }],
      },
    },
  })
})

t.test('what is wrong is refused by its key, in the form of the protocol', async t => {
  const [create, setup] = [golden('create'), { ...golden('setup'), network: golden('create') }]
  const networks: [input: object | string, error: RegExp][] = [
    ['', /stdin is empty/],
    ['{', /not JSON/],
    ['[]', /./],
    ['null', /./],
    ['['.repeat(100_000), /./],
    [{}, /id is missing/],
    [{ ...create, id: '../../etc' }, /id: .* is not an id/],
    [{ ...create, name: '../x' }, /name/],
    [{ ...create, driver: 'bridge' }, /driver: "bridge" is not tsnet/],
    [{ ...create, dns_enabled: 'yes' }, /dns_enabled: "yes" is neither true nor false/],
    [{ ...create, internal: undefined }, /internal is missing/],
    [{ ...create, subnets: [{ subnet: '10.0.0.0/40' }] }, /subnets\[0\]\.subnet/],
    [{ ...create, subnets: [{}] }, /subnets\[0\]\.subnet is missing/],
    [{ ...create, subnets: 7 }, /subnets: 7 is not a list/],
    [{ ...create, options: { mtu: 7 } }, /options\.mtu: 7 is not a string/],
    [{ ...create, options: { colour: 'red' } }, /^-o colour: no such option/],
    [{ ...create, options: { 'tsnet.network': 'nowhere' } }, /there is no network "nowhere"/],
    [
      { ...create, internal: true, options: { 'tsnet.network': 'front' } },
      /joins a network as it is, so there is nothing for --internal to say/,
    ],
    [{ ...create, ipam_options: { driver: 'dhcp' } }, /^--ipam-driver: dhcp/],
    [{ ...create, network_interface: 'a/b' }, /network_interface/],
  ]
  for (const [input, error] of networks) t.match(await refusal(['create'], input), error)
  const containers: [wrong: object, error: RegExp][] = [
    [{ network: null }, /network is missing/],
    [{ network_options: {} }, /interface_name is missing/],
    [{ container_id: '../x' }, /container/i],
    [
      { network_options: { interface_name: 'eth0', options: { vrf: 'red' } } },
      /options\.vrf: "red" is an option for one/,
    ],
    [{ network_options: { interface_name: 'eth0', static_mac: 'x' } }, /static_mac: "x" is not a MAC/],
    [{ network: { ...create, options: { 'tsnet.network': 'nowhere' } } }, /there is no network "nowhere"/],
    ...(
      [
        [{ host_port: 0 }, /host_port: 0 is not a whole number/],
        [{ host_port: 65_535, range: 2 }, /range: 2 ends behind port 65535/],
        [{ protocol: 'icmp' }, /protocol: "icmp" is not one of/],
        [{ host_ip: 'here' }, /host_ip/],
      ] as const
    ).map(([wrong, error]): [object, RegExp] => {
      const port = { container_port: 80, host_ip: '', host_port: 8080, protocol: 'tcp', range: 1, ...wrong }
      return [{ port_mappings: [port] }, error]
    }),
  ]
  for (const [wrong, error] of containers)
    t.match(await refusal(['setup', '/run/netns/none'], { ...setup, ...wrong }), error)
  t.match(await refusal(['setup', 'relative'], setup), /"relative" is not an absolute path/)
  t.match(await refusal(['setup'], setup), /is not an absolute path/)
  t.match(await refusal(['teardown', '/run/netns/none'], '{'), /not JSON/)
  t.match(await refusal(['destroy'], ''), /destroy: is none of create/)
})

t.test('who we are is said without a question', async t => {
  const readStdin = () => {
    throw new Error('nobody asks on stdin')
  }
  const { stdout, exitCode } = await answer({ words: ['info'], readStdin, host: hostOf({}) })
  t.match(
    { exitCode, said: JSON.parse(stdout) },
    { exitCode: 0, said: { version: String, api_version: '1.0.0' } },
  )
})
