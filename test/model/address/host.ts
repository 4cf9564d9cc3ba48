import t from 'tap'
import type { HostIp } from '../../../src/model/address/address.ts'
import {
  hostIpProblem,
  ipOfHost,
  isLinkLocal,
  needsZone,
  tryParseHostIp,
  zoneOf,
} from '../../../src/model/address/host.ts'

t.test('a link-local address is printed anew, with the interface that it names', async t => {
  const host = tryParseHostIp('FE80:0::1%br-lan.7') as HostIp
  t.equal(host, 'fe80::1%br-lan.7')
  t.equal(ipOfHost(host), 'fe80::1')
  t.equal(zoneOf(host), 'br-lan.7')
  t.ok(isLinkLocal(host))
  t.notOk(needsZone(host))
  t.equal(hostIpProblem(host), undefined)
})

t.test('other addresses name none', async t => {
  for (const text of ['10.0.0.1', '169.254.0.1', '::', '::1', '2001:db8::1', 'fec0::1']) {
    const host = tryParseHostIp(text) as HostIp
    t.equal(host, text)
    t.equal(ipOfHost(host), text)
    t.equal(zoneOf(host), undefined)
    t.notOk(isLinkLocal(host) || needsZone(host), text)
    t.equal(hostIpProblem(text), undefined)
    t.match(hostIpProblem(`${text}%eth0`), /is not link-local/)
    t.equal(tryParseHostIp(`${text}%eth0`), undefined)
  }
})

t.test('what cannot be listened on is told apart', async t => {
  for (const [text, problem] of [
    ['fe80::1', /it needs the interface that it is on, such as fe80::1%eth0/],
    ['febf::1', /link-local/],
    ['224.0.0.1', /is a multicast address/],
    ['239.255.255.255', /is a multicast address/],
    ['::ffff:224.0.0.1', /is a multicast address/],
    ['ff02::1', /is a multicast address/],
    ['255.255.255.255', /is a broadcast address/],
    ['fe80::1%', /has no interface behind its percent sign/],
    ['fe80::1%e th', /has no interface/],
    ['fe80::1%eth0%eth1', /has no interface/],
    ['fe80::1%"; drop', /has no interface/],
    ['eth0', /is not an IP address/],
    ['web%eth0', /is not an IP address/],
    ['', /is not an IP address/],
  ] as const) {
    t.match(hostIpProblem(text), problem, text)
  }
  for (const text of ['223.255.255.255', '240.0.0.1', 'fe00::1', '127.0.0.1', '0.0.0.0', '::'])
    t.equal(hostIpProblem(text), undefined, text)
  t.ok(needsZone(tryParseHostIp('fe80::1') as HostIp), 'it is an address all the same')
})
