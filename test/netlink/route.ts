import t from 'tap'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import * as k from '../../src/netlink/constants.ts'
import { Netlink } from '../../src/netlink/netlink.ts'
import {
  addRoute,
  appendRoute,
  deleteRoute,
  listRoutes,
  type NewRoute,
  readRoute,
  replaceRoute,
} from '../../src/netlink/route.ts'
import { routeMessage } from '../../src/netlink/route-tables.ts'
import { asked } from '../support/asked.ts'
import { captured } from '../support/captures.ts'
import { done, part, refusal, ScriptedKernel } from '../support/scripted-kernel.ts'

const link = { index: 7, name: 'web' }

t.test('a route is read as the kernel sent it', async t => {
  t.strictSame(readRoute(captured('route-default')), {
    destination: '0.0.0.0/0',
    type: 'unicast',
    table: 254,
    scope: 0,
    protocol: 3,
    gateway: '10.1.0.7',
    index: 2,
    priority: 50,
    preferredSource: '10.1.0.1',
    mtu: 1300,
    advmss: 1200,
    onlink: false,
    linkDown: false,
  })
})

t.test('a route with several ways has each of them, also by a gateway of the other family', async t => {
  t.match(readRoute(captured('route-multipath')), {
    destination: '10.20.0.0/16',
    gateway: undefined,
    nextHops: [
      { gateway: '10.1.0.3', index: 2, weight: 2 },
      { gateway: '2001:db8:1::4', index: 2, weight: 1 },
    ],
  })
})

t.test('several ways are written as they are read', async t => {
  const { payload } = captured('route-multipath')
  const written = routeMessage.encode(routeMessage.decode(payload))
  t.strictSame(routeMessage.decode(written), routeMessage.decode(payload))
  // The kernel puts the table first, we have the order of the uapi header; the next hops are byte for byte the same.
  const nextHops = (bytes: Uint8Array) =>
    Buffer.from(bytes)
      .toString('hex')
      .match(/34000900.{96}/)?.[0]
  t.equal(nextHops(written), nextHops(payload))
})

t.test('routes of other protocols than IP are passed over', async t => {
  t.equal(readRoute({ payload: routeMessage.encode({ header: { family: 28 }, attributes: {} }) }), undefined)
})

t.test('routes are listed by family, table and link, and default ones alone', async t => {
  const route = (table: number, index: number, destinationLength = 0) =>
    routeMessage.encode({
      header: { family: k.AF_INET, type: 1, destinationLength },
      attributes: { table, index },
    })
  const kernel = () =>
    new ScriptedKernel(request => [
      part(request, route(254, 7)),
      part(request, route(254, 8, 24)),
      part(request, route(255, 7)),
      done(request),
    ])
  t.equal(listRoutes(new Netlink(kernel())).length, 3)
  t.match(listRoutes(new Netlink(kernel()), { table: 254, link }), [{ table: 254, index: 7 }])
  t.equal(listRoutes(new Netlink(kernel()), { table: 254, link }).length, 1)
  t.match(listRoutes(new Netlink(kernel()), { table: 254, onlyDefault: true }), [{ index: 7 }])
})

t.test('a table that does not exist is empty', async t => {
  const kernel = new ScriptedKernel(
    request => [done(request, 'ENOENT', 'FIB table does not exist')],
    request => [done(request, 'EPERM')],
  )
  const nl = new Netlink(kernel)
  t.strictSame(listRoutes(nl, { table: 4711 }), [])
  t.throws(() => listRoutes(nl, { table: 4711 }), { code: 'EPERM' })
})

t.test('a route is added with all that it is given', async t => {
  const { type, flags, payload, command } = asked(nl =>
    addRoute(nl, {
      destination: parseCidr('10.8.0.0/16'),
      gateway: parseIp('192.0.2.1'),
      link,
      priority: 5,
      table: 300,
      preferredSource: parseIp('10.1.0.1'),
      mtu: 1300,
      advmss: 1260,
      onlink: true,
    }),
  )
  t.match(
    { type, flags },
    { type: k.RTM_NEWROUTE, flags: k.NLM_F_REQUEST | k.NLM_F_ACK | k.NLM_F_CREATE | k.NLM_F_EXCL },
  )
  t.match(routeMessage.decode(payload), {
    header: {
      family: k.AF_INET,
      destinationLength: 16,
      scope: 0,
      type: 1,
      protocol: 3,
      flags: k.RTNH_F_ONLINK,
    },
    attributes: {
      destination: '10.8.0.0',
      index: 7,
      gateway: '192.0.2.1',
      priority: 5,
      preferredSource: '10.1.0.1',
      metrics: { mtu: 1300, advmss: 1260 },
      table: 300,
    },
  })
  t.equal(
    command,
    'ip -4 route add 10.8.0.0/16 via 192.0.2.1 dev web src 10.1.0.1 metric 5 table 300 mtu 1300 advmss 1260 onlink',
  )
})

t.test('the default route has no destination on the wire', async t => {
  const { payload } = asked(nl =>
    addRoute(nl, { destination: parseCidr('::/0'), gateway: parseIp('fd00::1') }),
  )
  t.match(routeMessage.decode(payload), {
    header: { family: k.AF_INET6, destinationLength: 0 },
    attributes: { destination: undefined, gateway: 'fd00::1', table: 254 },
  })
})

t.test('a gateway of the other family travels as RTA_VIA', async t => {
  const { payload, command } = asked(nl =>
    addRoute(nl, { destination: parseCidr('10.0.0.0/8'), gateway: parseIp('fe80::1'), link }),
  )
  t.match(routeMessage.decode(payload).attributes, { via: 'fe80::1', gateway: undefined })
  t.equal(command, 'ip -4 route add 10.0.0.0/8 via inet6 fe80::1 dev web')
})

t.test('the scope is what ip route takes when nobody names it', async t => {
  const scopeOf = (route: NewRoute) =>
    routeMessage.decode(asked(nl => addRoute(nl, route)).payload).header.scope
  const destination = parseCidr('10.0.0.0/8')
  t.equal(scopeOf({ destination, link }), 253)
  t.equal(scopeOf({ destination, gateway: parseIp('10.0.0.1') }), 0)
  t.equal(scopeOf({ destination, type: 'local', link }), 254)
  t.equal(scopeOf({ destination, type: 'blackhole' }), 0)
  t.equal(scopeOf({ destination, type: 'multicast', link }), 253)
  t.equal(scopeOf({ destination: parseCidr('fd00::/8'), link }), 0)
  t.equal(scopeOf({ destination, link, scope: 200 }), 200)
})

t.test(
  'append and replace differ from add by their flags, delete names no more than it is given',
  async t => {
    const route: NewRoute = { destination: parseCidr('10.0.0.0/8'), type: 'blackhole' }
    const of = (work: typeof addRoute) => asked(nl => work(nl, route))
    const both = k.NLM_F_REQUEST | k.NLM_F_ACK
    t.equal(of(appendRoute).flags, both | k.NLM_F_CREATE | k.NLM_F_APPEND)
    t.equal(of(replaceRoute).flags, both | k.NLM_F_CREATE | k.NLM_F_REPLACE)
    t.equal(of(deleteRoute).flags, both)
    t.equal(of(deleteRoute).command, 'ip -4 route delete blackhole 10.0.0.0/8')
    const any = asked(nl => deleteRoute(nl, { destination: parseCidr('10.0.0.0/8') }))
    t.match(routeMessage.decode(any.payload).header, { type: 0, scope: 255, protocol: 0 })
  },
)

t.test("a route that cannot be is refused in the kernel's words", async t => {
  const kernel = new ScriptedKernel(request => [
    refusal(request, 'ENETUNREACH', 'Nexthop has invalid gateway'),
  ])
  t.throws(
    () =>
      addRoute(new Netlink(kernel), { destination: parseCidr('10.0.0.0/8'), gateway: parseIp('1.1.1.1') }),
    { code: 'ENETUNREACH', message: /^ip -4 route add 10.0.0.0\/8 via 1.1.1.1: Nexthop has invalid gateway/ },
  )
})
