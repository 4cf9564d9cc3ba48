import t from 'tap'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import type { Publication } from '../../src/proxy/proxy.ts'
import { redirectPlan } from '../../src/publish/front/redirect-plan.ts'

const ip = parseIp('10.1.0.2')
const publication = (over: Partial<Publication> = {}): Publication => ({
  id: 'web',
  protocol: 'tcp',
  hostPort: 8080,
  count: 3,
  targets: [{ ip, port: 80 }],
  ...over,
})

t.test('loopback ports of one container at an address can be redirected', async t => {
  const rest = { hostPort: 8080, count: 3, target: { ip, port: 80 } }
  t.same(redirectPlan(publication()), { on: [4, 6], ...rest })
  t.same(redirectPlan(publication({ hostIps: [parseIp('0.0.0.0')] })), { on: [4], ...rest })
  t.same(redirectPlan(publication({ hostIps: [parseIp('::')] })), { on: [6], ...rest })
  const some = [parseIp('127.0.0.5'), parseIp('192.0.2.1'), parseIp('::1')]
  t.same(redirectPlan(publication({ hostIps: some })), { on: ['127.0.0.5', '::1'], ...rest })
  t.same(redirectPlan(publication({ options: { idleMs: 5, waitMs: 0, allow: [], deny: [] } })), {
    on: [4, 6],
    ...rest,
  })
})

const OBSTACLES: [over: Partial<Publication>, why: RegExp][] = [
  [{ protocol: 'udp' }, /only TCP/],
  [{ protocol: 'sctp' }, /only TCP/],
  [{ options: { allow: [parseCidr('10.0.0.0/8')] } }, /--allow/],
  [{ options: { deny: [parseCidr('10.0.0.0/8')] } }, /--deny/],
  [{ options: { maxConnections: 5 } }, /--max-connections/],
  [{ options: { proxyProtocol: 1 } }, /--proxy-protocol/],
  [{ options: { waitMs: 1 } }, /--wait/],
  [{ hostIps: [parseIp('192.0.2.1')] }, /192\.0\.2\.1 is no address of loopback/],
  [
    {
      targets: [
        { ip, port: 80 },
        { ip: parseIp('10.1.0.3'), port: 80 },
      ],
    },
    /several containers/,
  ],
  [{ count: 1, targets: [{ root: '/proc/1/root', path: '/run/web.sock' }] }, /socket path/],
  [{ targets: [{ netns: '/run/netns/web', own: [ip], port: 80 }] }, /inside a namespace/],
  [{ targets: [{ ip, port: 80, netns: '/run/netns/rootless' }] }, /inside a namespace/],
]

t.test('what takes somebody in between is the proxy’s, and it is said why', async t => {
  for (const [over, why] of OBSTACLES) t.match(redirectPlan(publication(over)), why)
})

t.test('while no container runs there is nothing to lead to, and nothing to say', async t => {
  t.equal(redirectPlan(publication({ targets: [] })), undefined)
})
