import t from 'tap'
import type { Ip } from '../../src/model/address/address.ts'
import { checkPublication, defaultOptions, type Publication } from '../../src/proxy/publication.ts'

const target = { ip: '10.1.0.2' as Ip, port: 80 }
const good: Publication = { id: 'web', protocol: 'tcp', hostPort: 8080, count: 1, targets: [target] }

t.test('what can be served passes', async t => {
  const cases: Partial<Publication>[] = [
    {},
    { hostPort: 0 },
    { hostPort: 1, count: 65_535, targets: [{ ...target, port: 1 }] },
    { targets: [{ root: '/proc/1/root', path: '/run/web.sock' }] },
    { options: { proxyProtocol: 2, maxConnections: defaultOptions.maxConnections } },
  ]
  for (const change of cases) t.doesNotThrow(() => checkPublication({ ...good, ...change }))
})

t.test('what cannot be served is refused by name', async t => {
  const unix = { root: '/', path: '/run/web.sock' }
  const cases: [Partial<Publication>, string, RegExp][] = [
    [{ count: 0 }, 'invalid-config', /a count of 0 ports/],
    [{ count: 1.5 }, 'invalid-config', /a count of 1.5 ports/],
    [{ hostPort: 65_536 }, 'invalid-config', /host ports 65536 are not within/],
    [{ hostPort: 65_000, count: 1000 }, 'invalid-config', /host ports 65000-65999/],
    [{ hostPort: 0, count: 2 }, 'invalid-config', /host ports 0-1/],
    [{ hostIps: [] }, 'invalid-config', /empty list of host addresses/],
    [{ targets: [{ ...target, port: 65_535 }], count: 2 }, 'invalid-config', /target ports 65535-65536/],
    [{ targets: [unix], protocol: 'udp' }, 'unsupported-field', /unix socket/],
    [{ targets: [unix], count: 2 }, 'unsupported-field', /unix socket/],
    [{ protocol: 'udp', options: { proxyProtocol: 1 } }, 'unsupported-field', /proxyProtocol is for tcp/],
    [{ options: { idleMs: -1 } }, 'invalid-config', /idleMs -1 is negative/],
    [{ options: { waitMs: Number.NaN } }, 'invalid-config', /waitMs NaN/],
  ]
  for (const [change, code, message] of cases) {
    t.throws(() => checkPublication({ ...good, ...change }), { code, message })
  }
})
