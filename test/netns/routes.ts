/**
 * Routes against the real kernel, compared with what `ip -j route` prints.
 */

import t from 'tap'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import { addAddress } from '../../src/netlink/address.ts'
import { addVeth } from '../../src/netlink/link/add.ts'
import { changeLink, getLink, type Link } from '../../src/netlink/link/link.ts'
import {
  addRoute,
  appendRoute,
  deleteRoute,
  type KernelRoute,
  listRoutes,
  replaceRoute,
} from '../../src/netlink/route.ts'
import { type Kernel, kernel } from '../support/kernel.ts'

interface IpRoute {
  dst: string
  type?: string
  gateway?: string
  via?: { host: string }
  dev?: string
  metric?: number
  prefsrc?: string
  table?: string
  flags: string[]
  metrics?: { mtu?: number; advmss?: number }[]
  nexthops?: { gateway?: string; weight: number }[]
}

const inTheirWords = (route: KernelRoute, links: Link[]) => ({
  type: route.type,
  gateway: route.gateway,
  dev: links.find(({ index }) => index === route.index)?.name,
  metric: route.priority,
  prefsrc: route.preferredSource,
  table: route.table === 254 ? undefined : String(route.table),
  onlink: route.onlink,
  mtu: route.mtu,
  advmss: route.advmss,
  nexthops: route.nextHops?.map(({ gateway, weight }) => ({ gateway, weight })),
})

const fromTheirs = (route: IpRoute) => ({
  type: route.type ?? 'unicast',
  gateway: route.gateway ?? route.via?.host,
  dev: route.dev,
  metric: route.metric,
  prefsrc: route.prefsrc,
  table: route.table,
  onlink: route.flags.includes('onlink'),
  mtu: route.metrics?.[0]?.mtu,
  advmss: route.metrics?.[0]?.advmss,
  nexthops: route.nexthops?.map(({ gateway, weight }) => ({ gateway, weight })),
})

const [v4, v6] = [parseCidr('0.0.0.0/0'), parseCidr('::/0')]

/** v0 with 10.1.0.1/24 and fd00::1/64, up. */
function connected({ nl }: Kernel): Link {
  const link = addVeth(nl, { name: 'v0', peer: { name: 'p0' } })
  for (const each of [link, getLink(nl, { name: 'p0' })]) changeLink(nl, each, { up: true })
  addAddress(nl, link, { address: parseCidr('10.1.0.1/24') })
  addAddress(nl, link, { address: parseCidr('fd00::1/64'), noDad: true })
  return link
}

/** All routes that are ours to make, of both families. */
function makeRoutes({ nl }: Kernel, link: Link): void {
  addRoute(nl, {
    destination: v4,
    gateway: parseIp('10.1.0.7'),
    priority: 50,
    mtu: 1300,
    advmss: 1260,
    preferredSource: parseIp('10.1.0.1'),
  })
  addRoute(nl, { destination: v6, gateway: parseIp('fd00::7'), priority: 51, mtu: 1290 })
  addRoute(nl, { destination: parseCidr('10.7.0.0/16'), type: 'blackhole' })
  addRoute(nl, { destination: parseCidr('10.6.0.0/16'), type: 'prohibit', priority: 3 })
  addRoute(nl, { destination: parseCidr('fd07::/48'), type: 'unreachable', priority: 7 })
  addRoute(nl, {
    destination: parseCidr('10.8.0.0/16'),
    gateway: parseIp('192.0.2.1'),
    link,
    onlink: true,
    table: 300,
  })
  addRoute(nl, { destination: parseCidr('10.19.0.0/16'), gateway: parseIp('fd00::9'), link })
  addRoute(nl, { destination: parseCidr('192.168.7.0/24'), link })
  appendRoute(nl, { destination: parseCidr('10.7.0.0/16'), link, priority: 9 })
  replaceRoute(nl, { destination: parseCidr('192.168.7.0/24'), gateway: parseIp('10.1.0.9') })
  replaceRoute(nl, { destination: parseCidr('fd08::/48'), link, table: 301 })
}

/** Without those that the kernel makes on its own, for broadcast, multicast and link-local addresses. */
const made = (routes: KernelRoute[]) => routes.filter(({ protocol }) => protocol !== 2)

t.test('routes of both families are what ip says they are', async t => {
  await using world = await kernel()
  const { nl, host } = world
  const link = connected(world)
  makeRoutes(world, link)
  await host.run(
    'ip',
    'route',
    'add',
    '10.20.0.0/16',
    ...'nexthop via 10.1.0.3 weight 2 nexthop via 10.1.0.4'.split(' '),
  )
  const links = [link, { ...link, index: 1, name: 'lo' }]
  for (const family of [4, 6] as const) {
    const command = `ip -j -${family} route show table all proto boot`
    const theirs = (await world.json(...command.split(' '))) as unknown as IpRoute[]
    const ours = made(listRoutes(nl, { family }))
    t.equal(ours.length, family === 4 ? 8 : 3)
    t.strictSame(
      ours.map(route => inTheirWords(route, links)),
      theirs.map(fromTheirs),
    )
  }
  const [several] = made(listRoutes(nl, { family: 4 })).filter(({ nextHops }) => nextHops)
  t.match(several, { destination: '10.20.0.0/16', nextHops: [{ weight: 2 }, { weight: 1 }] })
})

t.test('routes are listed by table and by link, and a table that is not there is empty', async t => {
  await using world = await kernel()
  const { nl } = world
  const link = connected(world)
  makeRoutes(world, link)
  const count = (filter: Parameters<typeof listRoutes>[1]) => made(listRoutes(nl, filter)).length
  t.equal(count({ table: 300 }), 1)
  t.equal(count({ table: 301 }), 1)
  t.equal(count({ table: 254, family: 4 }), 6)
  t.equal(count({ table: 254, link }), 5, 'both defaults, 10.19, 10.7 and 192.168.7')
  for (const family of [4, 6, undefined] as const) {
    t.strictSame(listRoutes(nl, { table: 4711, ...(family && { family }) }), [])
  }
})

t.test('a route is refused, appended, replaced and deleted as ip does', async t => {
  await using world = await kernel()
  const { nl } = world
  const link = connected(world)
  const destination = parseCidr('10.5.0.0/16')
  addRoute(nl, { destination, gateway: parseIp('10.1.0.2') })
  t.throws(() => addRoute(nl, { destination, gateway: parseIp('10.1.0.3') }), { code: 'EEXIST' })
  replaceRoute(nl, { destination, gateway: parseIp('10.1.0.4') })
  appendRoute(nl, { destination, gateway: parseIp('10.1.0.5') })
  const gateways = () =>
    listRoutes(nl, { family: 4, table: 254 })
      .filter(route => route.destination === destination)
      .map(({ gateway }) => gateway)
  t.strictSame(gateways(), ['10.1.0.4', '10.1.0.5'])
  deleteRoute(nl, { destination, gateway: parseIp('10.1.0.5') })
  t.strictSame(gateways(), ['10.1.0.4'])
  t.throws(() => deleteRoute(nl, { destination, priority: 77 }), { code: 'ESRCH' })
  deleteRoute(nl, { destination })
  t.throws(() => deleteRoute(nl, { destination }), { code: 'ESRCH' })
  const unreachable = { destination, gateway: parseIp('192.0.2.1') }
  t.throws(() => addRoute(nl, unreachable), { code: 'ENETUNREACH', message: /Nexthop has invalid gateway/ })
  addRoute(nl, { ...unreachable, link, onlink: true })
})

t.test('the default route is one destination, with a metric of its own for each', async t => {
  await using world = await kernel()
  const { nl } = world
  connected(world)
  for (const [destination, gateway] of [
    [v4, parseIp('10.1.0.7')],
    [v6, parseIp('fd00::7')],
  ] as const) {
    addRoute(nl, { destination, gateway, priority: 10 })
    addRoute(nl, { destination, gateway, priority: 20 })
    deleteRoute(nl, { destination, priority: 10 })
    const left = listRoutes(nl, { table: 254 }).filter(route => route.destination === destination)
    t.match(left, [{ priority: 20 }])
    t.equal(left.length, 1)
  }
})

t.test('the printed commands do the same', async t => {
  await using first = await kernel()
  await using second = await kernel()
  const link = connected(first)
  connected(second)
  first.commands.length = 0
  makeRoutes(first, link)
  deleteRoute(first.nl, { destination: v4, priority: 50 })
  deleteRoute(first.nl, { destination: parseCidr('10.7.0.0/16'), type: 'blackhole' })
  await second.host.run('sh', '-ec', first.commands.join('\n'))
  t.strictSame(made(listRoutes(second.nl)), made(listRoutes(first.nl)))
})
