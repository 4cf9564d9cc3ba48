import t from 'tap'
import { readNetwork } from '../../../src/cni/config/config.ts'
import type { Call } from '../../../src/cni/request.ts'
import { Json } from '../../../src/model/json/json.ts'

const call: Call = {
  command: 'ADD',
  containerId: 'c',
  netns: '/x',
  ifname: 'eth0',
  args: '',
  path: [],
  allowOwnNetns: false,
}

const ipam = { type: 'host-local', subnet: '10.1.0.0/24' }
const hosts = { engine: 'etcd', endpoints: ['http://10.0.0.1:2379'], subnet: '10.200.0.0/16' }
const usual = { name: 'front', bridge: 'front0', isDefaultGateway: true, ipMasq: true }

const read = (egress: unknown, more: object = { ipam }) =>
  readNetwork(new Json({ ...usual, ...more, egress }, ''), '1.0.0', call, {}).egress

t.test('an address of a family each, and hosts in their order', async t => {
  t.equal(read(undefined), undefined)
  t.strictSame(read({ address: '198.51.100.7' }), {
    hosts: [],
    addresses: ['198.51.100.7'],
    otherwise: 'none',
  })
  t.match(read({ address6: '2001:DB8::7' }), { addresses: ['2001:db8::7'] })
  t.strictSame(
    read({ host: 'node1', address: '198.51.100.7', address6: '2001:db8::7', otherwise: 'own' }, { hosts }),
    { hosts: ['node1'], addresses: ['198.51.100.7', '2001:db8::7'], otherwise: 'own' },
  )
  t.match(read({ host: ['node1', '9e5b2f0c6a7d1e34', 'node1'] }, { hosts }), {
    hosts: ['node1', '9e5b2f0c6a7d1e34'],
    addresses: [],
    otherwise: 'none',
  })
})

t.test('what contradicts itself is refused by its key', async t => {
  const cases: [egress: unknown, message: RegExp, more?: object][] = [
    ['open', /^egress: "open" is not an object/],
    [{}, /^egress: .* says neither a host nor an address/],
    [{ address: '2001:db8::7' }, /^egress\.address: .* is no IPv4 address/],
    [{ address6: '198.51.100.7' }, /^egress\.address6: .* is no IPv6 address/],
    [{ address: 'fw' }, /^egress\.address: "fw" is not an IP address/],
    [{ address: '127.0.0.1' }, /^egress\.address: .* no address that others could answer to/],
    [{ address6: 'fe80::1' }, /^egress\.address6: .* no address that others could answer to/],
    [{ address: '0.0.0.0' }, /^egress\.address: /],
    [{ host: 'node1' }, /^egress\.host: "node1" needs a network of many hosts/],
    [{ host: ['node1', 7] }, /^egress\.host\[1\]: 7 is not a string/, { hosts }],
    [{ host: 'a/b' }, /^egress\.host: "a\/b" is neither the name of a host nor its id/, { hosts }],
    [{ address: '198.51.100.7', otherwise: 'own' }, /^egress\.otherwise: .* there is none/],
    [{ host: 'node1', otherwise: 'drop' }, /^egress\.otherwise: "drop" is neither "own"/, { hosts }],
    [{ address: '198.51.100.7' }, /^egress: .* needs ipMasq/, { ipam, ipMasq: false }],
    [{ address: '198.51.100.7' }, /^egress: .* cannot be without an ipam section/, {}],
  ]
  for (const [egress, message, more] of cases)
    t.throws(() => read(egress, more), { message }, JSON.stringify(egress))
})

t.test('a list with names needs a network that tells those of others', async t => {
  const allow = ['192.0.2.1', '*.example.org:443']
  const reachOf = (more: object) =>
    readNetwork(
      new Json({ ...usual, ipam, egress: { allow }, isGateway: true, ...more }, ''),
      '1.0.0',
      call,
      {},
    ).reach
  t.match(reachOf({ names: true })?.allow[1], { to: '*.example.org', service: { first: 443 } })
  t.throws(() => reachOf({}), {
    message:
      /^egress\.allow\[1\]: "\*\.example\.org:443" is a name, and the network's name service is not there/,
  })
  t.throws(() => reachOf({ names: { forward: false } }), { message: /name service asks nobody else/ })
})
