import t from 'tap'
import {
  deviceName,
  difference,
  groundOf,
  linkAddress,
  networkIdentifier,
  ownAddresses,
  type Place,
  thingsOf,
} from '../../src/hosts/carrier/plan.ts'
import type { Member } from '../../src/hosts/members.ts'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import { overheadOf, prefixesOf, rangesOf, roomOf } from '../../src/model/hosts/hosts.ts'

const pools = [
  { subnet: parseCidr('10.200.0.0/16'), hostPrefix: 24 },
  { subnet: parseCidr('fd00:200::/48'), hostPrefix: 64 },
]
const place: Place = {
  network: 'front',
  layout: { pools, carrier: 'vxlan', port: 4789 },
  number: 7,
  mac: '06:00:00:00:00:07',
}
const member: Member = {
  id: '0000000000000009',
  name: 'nine',
  addresses: [parseIp('192.168.1.9'), parseIp('fd77::9')],
  mac: '06:00:00:00:00:09',
  number: 9,
}
const link = { index: 3, name: 'tsx0' }
const words = (things: { put(): { equivalent: string | (() => string) } }[]) =>
  things.map(({ put }) => {
    const { equivalent } = put()
    return typeof equivalent === 'string' ? equivalent : equivalent()
  })

t.test('over vxlan a host is an entry, and a neighbour and a route for each family', async t => {
  t.strictSame(words(thingsOf(place, member, link)), [
    'bridge fdb replace 06:00:00:00:00:09 dev tsx0 dst 192.168.1.9 self static',
    'ip neighbour replace 10.200.9.0 lladdr 06:00:00:00:00:09 dev tsx0 nud permanent',
    'ip -4 route replace 10.200.9.0/24 via 10.200.9.0 dev tsx0 src 10.200.7.0 onlink proto 116',
    'ip neighbour replace fd00:200:0:9:ffff:ffff:ffff:ffff lladdr 06:00:00:00:00:09 dev tsx0 nud permanent',
    'ip -6 route replace fd00:200:0:9::/64 via fd00:200:0:9:ffff:ffff:ffff:ffff dev tsx0 src fd00:200:0:7:ffff:ffff:ffff:ffff onlink proto 116',
  ])
})

t.test('by routes a host is a route for each family, by its address of that family', async t => {
  const routed: Place = { ...place, layout: { ...place.layout, carrier: 'routes' } }
  t.strictSame(words(thingsOf(routed, member, undefined)), [
    'ip -4 route replace 10.200.9.0/24 via 192.168.1.9 src 10.200.7.0 proto 116',
    'ip -6 route replace fd00:200:0:9::/64 via fd77::9 src fd00:200:0:7:ffff:ffff:ffff:ffff proto 116',
  ])
  const single = { ...member, addresses: [parseIp('192.168.1.9')] }
  t.equal(thingsOf(routed, single, undefined).length, 1, 'IPv6 is not led through IPv4')
})

t.test('what has no host leads nowhere', async t => {
  t.strictSame(words(groundOf(place)), [
    'ip -4 route replace unreachable 10.200.0.0/16 metric 4000000000 proto 116',
    'ip -6 route replace unreachable fd00:200::/48 metric 4000000000 proto 116',
  ])
})

t.test('only what differs is asked for, and what goes away goes first', async t => {
  const things = thingsOf(place, member, link)
  const there = new Map(things.map(thing => [thing.key, thing]))
  t.strictSame(difference(there, there), [])
  const moved = thingsOf(place, { ...member, addresses: [parseIp('192.168.1.10')] }, link)
  const steps = difference(there, new Map(moved.map(thing => [thing.key, thing])))
  t.strictSame(words(steps.map(({ request }) => ({ put: () => request }))), [
    'bridge fdb replace 06:00:00:00:00:09 dev tsx0 dst 192.168.1.10 self static',
  ])
  const other = thingsOf(place, { ...member, mac: '06:00:00:00:00:0a' }, link)
  const [first] = difference(there, new Map(other.map(thing => [thing.key, thing])))
  t.match(first, { isRemoval: true, key: 'entry 06:00:00:00:00:09' })
  t.equal(difference(there, new Map()).length, 5)
})

t.test('names, numbers and link addresses are the same whenever they are asked for', async t => {
  t.match(deviceName('front'), /^tsx[0-9a-f]{8}$/)
  t.not(deviceName('front'), deviceName('back'))
  t.ok(networkIdentifier('front') > 0 && networkIdentifier('front') < 2 ** 24)
  t.match(linkAddress('0000000000000009', 'front'), /^06(:[0-9a-f]{2}){5}$/)
  t.not(linkAddress('0000000000000009', 'front'), linkAddress('0000000000000008', 'front'))
  t.strictSame(ownAddresses(place), ['10.200.7.0/32', 'fd00:200:0:7:ffff:ffff:ffff:ffff/128'])
})

t.test('a subnet is cut into prefixes, of which IPv6 keeps the last address for the host', async t => {
  t.equal(roomOf(pools), 256)
  t.equal(roomOf([{ subnet: parseCidr('fd00::/16'), hostPrefix: 64 }]), 65_536, 'and no more')
  t.strictSame(prefixesOf(pools, 255), ['10.200.255.0/24', 'fd00:200:0:ff::/64'])
  t.strictSame(rangesOf(prefixesOf(pools, 1)), [
    [{ subnet: '10.200.1.0/24' }],
    [{ subnet: 'fd00:200:0:1::/64', rangeEnd: 'fd00:200:0:1:ffff:ffff:ffff:fffe' }],
  ])
  t.strictSame([overheadOf('vxlan', 4), overheadOf('vxlan', 6), overheadOf('routes', 4)], [50, 70, 0])
})
