/** Entries of a list of whom a container may reach: what they mean, and what is none. */

import t from 'tap'
import { parseCidr, parseIp } from '../../../src/model/address/address.ts'
import { isElsewhere } from '../../../src/model/address/elsewhere.ts'
import { NameIndex, type NamePattern } from '../../../src/model/address/name-pattern.ts'
import { byEntry, permissionText, readEntry } from '../../../src/model/address/reach.ts'

t.test('an entry is an address or a prefix, the host or the name service, perhaps with ports', async t => {
  const tcp = (first: number, last = first) => ({ protocol: 'tcp', first, last })
  t.strictSame(
    [
      '192.0.2.7',
      '10.2.3.4/16',
      '2001:db8::1',
      'host',
      'dns',
      '192.0.2.7:443',
      '10.2.0.0/16:8000-8100/udp',
      '[2001:db8::/32]:53/sctp',
      'host:1-65535/tcp',
    ].map(readEntry),
    [
      { to: '192.0.2.7/32' },
      { to: '10.2.0.0/16' },
      { to: '2001:db8::1/128' },
      { to: 'host' },
      { to: 'dns' },
      { to: '192.0.2.7/32', service: tcp(443) },
      { to: '10.2.0.0/16', service: { protocol: 'udp', first: 8000, last: 8100 } },
      { to: '2001:db8::/32', service: { protocol: 'sctp', first: 53, last: 53 } },
      { to: 'host', service: tcp(1, 65535) },
    ],
  )
})

t.test('an entry may be a name, or all names below one', async t => {
  t.strictSame(
    ['example.org', '*.Example.org.', 'registry.example.org:443', '*.xn--bcher-kva.example:53/udp'].map(
      readEntry,
    ),
    [
      { to: 'example.org' },
      { to: '*.example.org' },
      { to: 'registry.example.org', service: { protocol: 'tcp', first: 443, last: 443 } },
      { to: '*.xn--bcher-kva.example', service: { protocol: 'udp', first: 53, last: 53 } },
    ],
  )
  for (const text of ['*', '*:80']) t.match(readEntry(text), /^is every name/, text)
  for (const text of ['a.*.org', '*a.example.org', '*.*.example.org', 'example.*:80'])
    t.match(readEntry(text), /^has a \* that is not the whole of its first label/, text)
  for (const text of ['example', 'hosts:80', 'localhost']) t.match(readEntry(text), /^is one word/, text)
  t.match(readEntry('bücher.example'), /^has letters that DNS knows in their coded form/)
})

t.test('an entry may be a network of this host, and is written as it was', async t => {
  const texts = ['network:back', 'network:back:5432', 'network:a.b-c_d:8000-8100/udp', 'network:5432']
  t.strictSame(texts.map(readEntry), [
    { to: 'network', network: 'back' },
    { to: 'network', network: 'back', service: { protocol: 'tcp', first: 5432, last: 5432 } },
    { to: 'network', network: 'a.b-c_d', service: { protocol: 'udp', first: 8000, last: 8100 } },
    { to: 'network', network: '5432' },
  ])
  for (const text of [
    'network:',
    'network:back:',
    'network:back/udp',
    'network:-a',
    `network:${'a'.repeat(129)}`,
  ])
    t.match(readEntry(text), /^is no network, perhaps with a port/, text)
  t.match(readEntry('network:back:0'), /^has no ports within/)
  t.match(readEntry('network:back:53/icmp'), /^has a protocol/)
  t.match(readEntry('network'), /^is one word/)
  const subnets = (['10.2.0.0/24', 'fd2::/64'] as const).map(to => ({
    to: parseCidr(to),
    network: 'back',
    service: { protocol: 'udp' as const, first: 53, last: 53 },
  }))
  const other = { to: parseCidr('10.2.0.0/24') }
  t.strictSame(byEntry([...subnets, other, { ...other }]), [subnets, [other], [other]])
  t.equal(subnets.map(permissionText).join(), 'network:back:53/udp,network:back:53/udp')
  t.strictSame(readEntry('network:back:53/udp'), { ...subnets[0], to: 'network' })
})

t.test('of names, those are found that are said, and those below what is said so', async t => {
  const index = new NameIndex(
    ['example.org', '*.example.org', '*.a.example.org', '*.net'].map(text => [text as NamePattern, text]),
  )
  t.strictSame(index.find('example.org'), ['example.org'])
  t.strictSame(index.find('x.a.example.org').sort(), ['*.a.example.org', '*.example.org'])
  t.strictSame(index.find('a.example.org'), ['*.example.org'])
  t.strictSame(index.find('xexample.org'), [])
  t.strictSame(index.find('net'), [])
})

t.test('names lead to everybody, and to nobody who is near', async t => {
  const near = ['10.1.2.3', '127.0.0.1', '169.254.169.254', '100.100.100.200', '0.0.0.0', '239.1.1.1', '::1']
  near.push('::ffff:192.0.2.1', 'fe80::1', 'fd00:ec2::254', '64:ff9b::a00:1', 'ff02::1', '168.63.129.16')
  near.push('2002:c0a8:3202::1', '198.19.0.1')
  for (const ip of near) t.notOk(isElsewhere(parseIp(ip)), ip)
  for (const ip of ['192.0.2.1', '172.32.0.1', '2001:db8::1', '64:ff9b::c000:201', '2002:c000:201::1'])
    t.ok(isElsewhere(parseIp(ip)), ip)
})

t.test('an entry that was read is read again as the same', async t => {
  for (const text of [
    '192.0.2.7',
    '10.2.0.0/16:80-90/udp',
    '[2001:db8::/32]:443',
    'host',
    'host:53/udp',
    'dns',
    '*.example.org',
    'example.org:80-90/sctp',
  ]) {
    const read = readEntry(text)
    if (typeof read === 'string') t.fail(read)
    else t.strictSame(readEntry(permissionText(read)), read)
  }
})

t.test('what is no entry is refused in words', async t => {
  const none = [
    '',
    '-example.org',
    'exam ple.org',
    '[example.org]:443',
    '300.1.1.1',
    '10.0.0.0/33',
    '10.0.0',
    '1.2.3.4:',
    ':80',
    '[::1',
    '::1:',
    'host:',
    ' host',
  ]
  for (const text of none) t.match(readEntry(text), /^is no address, prefix/, text)
  for (const text of ['host:0', '10.0.0.1:65536', '10.0.0.1:9-8', '[::1]:70000'])
    t.match(readEntry(text), /^has no ports within 1-65535/, text)
  t.match(readEntry('10.0.0.1:80/icmp'), /^has a protocol that is none of tcp, udp, sctp/)
  t.match(readEntry('dns:53'), /^has a port of its own/)
})
