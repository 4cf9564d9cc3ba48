import t from 'tap'
import { parsePublishRequest } from '../../../src/model/publication/request.ts'

t.test('words become a request, with what nobody said', async t => {
  const request = parsePublishRequest({ ports: ['8080:80'], containers: ['web'] })
  t.match(request, {
    specs: [{ protocol: 'tcp', host: { first: 8080, count: 1 }, container: { first: 80, count: 1 } }],
    containers: ['web'],
    mode: 'auto',
    via: 'auto',
    allow: [],
    deny: [],
    waitMs: 0,
    drainMs: 0,
    replace: false,
  })
  t.notOk('expiresAt' in request)
})

t.test('options are read one by one', async t => {
  const words = {
    ports: ['53:53/udp'],
    containers: ['a', 'b'],
    mode: 'proxy',
    via: 'netns',
    allow: ['192.0.2.0/24', '2001:db8::7'],
    maxConnections: '10',
    proxyProtocol: 'v2',
    expires: '1h',
    wait: '10s',
  }
  t.match(parsePublishRequest(words, 1_000), {
    allow: ['192.0.2.0/24', '2001:db8::7/128'],
    maxConnections: 10,
    proxyProtocol: 2,
    expiresAt: 3_601_000,
    waitMs: 10_000,
  })
})

t.test('without ports, all that the container listens on is meant', async t => {
  for (const name of ['web', 'docker:web', 'pid:812', 'docker:8080', 'a:b'])
    t.same(parsePublishRequest({ ports: [], containers: [name] }).specs, [], name)
  for (const ports of ['8080:80', '127.0.0.1:8080:80', '[::1]:8080:80', '8080-8089:80-89/udp'])
    t.throws(() => parsePublishRequest({ ports: [], containers: [ports] }), {
      code: 'invalid-environment',
      message: /name a container after the ports/,
    })
})

t.test('words of another shape, and values that are none, are refused', async t => {
  const words = { ports: ['80'], containers: ['web'] }
  const bad: unknown[] = [
    undefined,
    7,
    [],
    { ...words, containers: [] },
    { ...words, ports: '80' },
    { ...words, ports: [80] },
    { ...words, replace: 'yes' },
    { ...words, mode: 'fast' },
    { ...words, via: 'air' },
    { ...words, proxyProtocol: 'v3' },
    { ...words, maxConnections: '0' },
    { ...words, maxConnections: '1e3' },
    { ...words, allow: ['192.0.2.0/33'] },
    { ...words, expires: 'soon' },
  ]
  for (const each of bad)
    t.throws(() => parsePublishRequest(each), { name: 'TsnetError' }, JSON.stringify(each))
})

t.test('who names the container first is told the order', async t => {
  for (const [ports, container, line] of [
    [['web'], '8080:80', '8080:80 web'],
    [['web', '80:80'], '443:443/tcp', '80:80 443:443/tcp web'],
    [['web'], '[::1]:8080:80', '[::1]:8080:80 web'],
  ] as const)
    t.throws(() => parsePublishRequest({ ports: [...ports], containers: [container] }), {
      code: 'invalid-environment',
      message: `the container comes last: tsnet publish ${line}`,
    })
})

t.test('a service is a name, and what needs a container of this host is refused with it', async t => {
  const ports = ['8080:80', '53:53/udp']
  const asked = { ports, containers: [], service: 'Web', network: 'front', keep: true, proxyProtocol: 'v2' }
  t.match(parsePublishRequest(asked), {
    service: { name: 'web', network: 'front' },
    containers: [],
    keep: true,
    proxyProtocol: 2,
  })
  t.notOk('service' in parsePublishRequest({ ports, containers: ['web'] }))
  for (const [words, why] of [
    [{ ports, containers: ['web'], service: 'web' }, /says whom it leads to; "web" is no port/],
    [{ ports: [], containers: [], service: 'web' }, /name the ports/],
    [{ ports, containers: [], service: 'a b' }, /"a b" can be no name/],
    [{ ports, containers: [], service: '' }, /can be no name/],
    [{ ports, containers: [], service: 'web', via: 'netns' }, /--via netns/],
    [{ ports: ['/run/a.sock'], containers: [], service: 'web' }, /no port that other hosts reach/],
    [{ ports, containers: ['web'], network: 'front' }, /--network says where/],
  ] as const)
    t.throws(() => parsePublishRequest(words), { code: 'invalid-environment', message: why })
})
