import fc from 'fast-check'
import t from 'tap'
import { TsnetError } from '../../../src/model/errors.ts'
import { type PortSpec, parsePortSpec } from '../../../src/model/publication/port-spec.ts'

const one = (first: number) => ({ first, count: 1 })

t.test('every form of the -p grammar is read', async t => {
  const forms: Record<string, object> = {
    '80': { protocol: 'tcp', container: one(80) },
    '80/UDP': { protocol: 'udp', container: one(80) },
    '80/sctp': { protocol: 'sctp', container: one(80) },
    '8080:80': { protocol: 'tcp', host: one(8080), container: one(80) },
    ':80': { protocol: 'tcp', container: one(80) },
    '127.0.0.1:8080:80': { protocol: 'tcp', hostIp: '127.0.0.1', host: one(8080), container: one(80) },
    '127.0.0.1::80': { protocol: 'tcp', hostIp: '127.0.0.1', container: one(80) },
    '0:80': { protocol: 'tcp', container: one(80) },
    '127.0.0.1:0:80-89': { protocol: 'tcp', hostIp: '127.0.0.1', container: { first: 80, count: 10 } },
    '0.0.0.0:8080:80': { protocol: 'tcp', hostIp: '0.0.0.0', host: one(8080), container: one(80) },
    '0.0.0.0:0:80': { protocol: 'tcp', hostIp: '0.0.0.0', container: one(80) },
    '[::1]:8080:80': { protocol: 'tcp', hostIp: '::1', host: one(8080), container: one(80) },
    '2001:DB8::1:8080:80': { protocol: 'tcp', hostIp: '2001:db8::1', host: one(8080), container: one(80) },
    '[::]:8080:80/udp': { protocol: 'udp', hostIp: '::', host: one(8080), container: one(80) },
    '[fe80::1%eth0]:8080:80': {
      protocol: 'tcp',
      hostIp: 'fe80::1%eth0',
      host: one(8080),
      container: one(80),
    },
    'FE80::1%br.7::80': { protocol: 'tcp', hostIp: 'fe80::1%br.7', container: one(80) },
    '3000-3009:80-89': {
      protocol: 'tcp',
      host: { first: 3000, count: 10 },
      container: { first: 80, count: 10 },
    },
    '8000-9000:80': { protocol: 'tcp', host: { first: 8000, count: 1001 }, container: one(80) },
    '3000-3001': { protocol: 'tcp', container: { first: 3000, count: 2 } },
    '5432:/run/pg.sock': { protocol: 'tcp', host: one(5432), container: { socket: '/run/pg.sock' } },
    '127.0.0.1:5432:/run/pg.sock': {
      protocol: 'tcp',
      hostIp: '127.0.0.1',
      host: one(5432),
      container: { socket: '/run/pg.sock' },
    },
  }
  for (const [text, spec] of Object.entries(forms)) t.same(parsePortSpec(text), spec, text)
})

t.test('what is no port specification is refused, saying which part and quoting the whole', async t => {
  const refusals: Record<string, RegExp> = {
    '': /names no container port/,
    '8080:': /names no container port/,
    '80/icmp': /protocol "icmp"/,
    '0-9:80': /host port 0 is not between 1 and 65535/,
    '8080:0': /container port 0 is not between 1 and 65535/,
    '8080:65536': /container port 65536/,
    'web:80': /host port "web" is not a number/,
    '[::1]:5432': /no host port follows the address \[::1\]; nothing between two colons is any free one/,
    '127.0.0.1:5432': /no host port follows the address 127/,
    'web:8080:80': /"web" is not an IP address/,
    'fe80::1:8080:80': /"fe80::1" is link-local: it needs the interface that it is on, such as fe80::1%eth0/,
    '[fe80::1%]:8080:80': /has no interface/,
    '10.0.0.1%eth0:8080:80': /is not link-local/,
    '90-80:80-90': /ends before it begins/,
    '3000-3009:80-84': /10 host ports cannot lead to 5 container ports/,
    '8080:80-81': /1 host ports cannot lead to 2/,
    ' 80': /is not a number/,
    '-1': /is not a number/,
    [`80:/${'x'.repeat(120)}`]: /longer than 107 bytes/,
  }
  for (const [text, message] of Object.entries(refusals)) {
    t.throws(() => parsePortSpec(text), { code: 'invalid-environment', message }, JSON.stringify(text))
    t.throws(() => parsePortSpec(text), { message: `port ${JSON.stringify(text)}: ` }, 'it quotes the whole')
  }
})

t.test('any text is either a specification within bounds or refused', async () => {
  const pieces = fc.constantFrom(
    '80',
    '8080',
    '-',
    ':',
    '/',
    '[',
    ']',
    '::1',
    '127.0.0.1',
    'tcp',
    '99999',
    '',
    'x',
    '/a',
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 9 }), parts => {
      let spec: PortSpec
      try {
        spec = parsePortSpec(parts.join(''))
      } catch (thrown) {
        return thrown instanceof TsnetError
      }
      const ranges = [spec.host, 'first' in spec.container ? spec.container : undefined]
      return ranges.every(
        range => range === undefined || (range.first > 0 && range.first + range.count - 1 <= 65535),
      )
    }),
    { numRuns: 2000 },
  )
})
