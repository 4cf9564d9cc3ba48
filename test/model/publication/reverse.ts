/** Requests in reverse: what they come to, and what has no meaning there. */

import t from 'tap'
import { type PublishWords, parsePublishRequest } from '../../../src/model/publication/request.ts'

const parse = (ports: string[], more: Partial<PublishWords> = {}) =>
  parsePublishRequest({ ports, containers: ['web'], reverse: true, ...more })

t.test('both sides are known, and the host is dialled on loopback', async t => {
  for (const [written, hostIp, host, container] of [
    ['5432:15432', '127.0.0.1', 5432, 15_432],
    ['5432', '127.0.0.1', 5432, 5432],
    ['127.0.0.5:5432:15432', '127.0.0.5', 5432, 15_432],
    ['[::1]:5432:15432', '::1', 5432, 15_432],
  ] as const)
    t.match(
      parse([written]),
      {
        reverse: true,
        mode: 'proxy',
        specs: [{ hostIp, host: { first: host }, container: { first: container } }],
      },
      written,
    )
  t.match(parse(['7000-7002:8000-8002/udp']).specs, [
    { protocol: 'udp', host: { first: 7000, count: 3 }, container: { first: 8000, count: 3 } },
  ])
  t.notOk('reverse' in parsePublishRequest({ ports: ['80'], containers: ['web'] }))
})

t.test('what has no meaning there is refused, and said', async t => {
  for (const [ports, more, reason] of [
    [[], {}, /--reverse: name the ports/],
    [['5432'], { service: 'web', containers: [] }, /in place of --service/],
    [['5432'], { mode: 'nat' }, /leave out --mode nat/],
    [['5432'], { mode: 'redirect' }, /leave out --mode redirect/],
    [['5432'], { via: 'netns' }, /leave out --via netns/],
    [['5432'], { proxyProtocol: 'v1' }, /leave out --proxy-protocol/],
    [['5432'], { allow: ['10.0.0.0/8'] }, /leave out --allow and --deny/],
    [['5432'], { deny: ['10.0.0.0/8'] }, /leave out --allow and --deny/],
    [['5432:/run/a.sock'], {}, /a socket path cannot appear in a container/],
    [['7000-7009:80'], {}, /say as many of both/],
    [['10.0.0.1:5432:5432'], {}, /10\.0\.0\.1 is not an address of loopback/],
    [['0.0.0.0:5432:5432'], {}, /0\.0\.0\.0 is not an address of loopback/],
    [['[::]:5432:5432'], {}, /:: is not an address of loopback/],
  ] as const)
    t.throws(() => parse([...ports], more as Partial<PublishWords>), {
      code: 'invalid-environment',
      message: reason,
    })
  for (const mode of ['auto', 'proxy']) t.equal(parse(['5432'], { mode }).mode, 'proxy')
  t.throws(() => parsePublishRequest({ ports: ['80'], containers: ['web'], reverse: 'yes' }), {
    message: /reverse: "yes" is not what was expected/,
  })
})
