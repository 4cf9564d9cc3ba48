/** Entries of a list of whom a container may reach: what they mean, and what is none. */

import t from 'tap'
import { permissionText, readPermission } from '../../../src/model/address/reach.ts'

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
    ].map(readPermission),
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

t.test('an entry that was read is read again as the same', async t => {
  for (const text of [
    '192.0.2.7',
    '10.2.0.0/16:80-90/udp',
    '[2001:db8::/32]:443',
    'host',
    'host:53/udp',
    'dns',
  ]) {
    const read = readPermission(text)
    if (typeof read === 'string') t.fail(read)
    else t.strictSame(readPermission(permissionText(read)), read)
  }
})

t.test('what is no entry is refused in words', async t => {
  const none = [
    '',
    'example',
    'example.org:443',
    '*',
    '10.0.0.0/33',
    '10.0.0',
    '1.2.3.4:',
    ':80',
    '[::1',
    '::1:',
    'host:',
    ' host',
  ]
  for (const text of none) t.match(readPermission(text), /^is no address, prefix/, text)
  for (const text of ['host:0', '10.0.0.1:65536', '10.0.0.1:9-8', '[::1]:70000'])
    t.match(readPermission(text), /^has no ports within 1-65535/, text)
  t.match(readPermission('10.0.0.1:80/icmp'), /^has a protocol that is none of tcp, udp, sctp/)
  t.match(readPermission('dns:53'), /^has a port of its own/)
})
