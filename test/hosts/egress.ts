/** By whom a network leaves, and what the kernel has to hold for it. */

import t from 'tap'
import { chooseExit, routesFor, routeTableOf, rulesFor, textsFor } from '../../src/hosts/egress/plan.ts'
import type { Member } from '../../src/hosts/members.ts'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import { compileRule } from '../../src/netfilter/language/language.ts'

const member = (n: number, name: string): Member => ({
  id: n.toString(16).padStart(16, '0'),
  name,
  addresses: [parseIp(`192.168.1.${n}`)],
  mac: '06:00:00:00:00:01',
  number: n,
})
const own = { id: 'ffffffffffffffff', name: 'here' }
const [two, three, twin] = [member(2, 'two'), member(3, 'three'), member(4, 'two')]
const place = (carrier: 'vxlan' | 'routes') => ({
  network: 'front',
  layout: {
    pools: [
      { subnet: parseCidr('10.200.0.0/16'), hostPrefix: 24 },
      { subnet: parseCidr('fd00:200::/48'), hostPrefix: 64 },
    ],
    carrier,
    port: 4789,
  },
  number: 7,
  mac: '06:00:00:00:00:07',
})
const leaving = { hosts: ['two'], addresses: [], otherwise: 'none', bridge: 'front0' } as const

t.test('the first of the named hosts that is there is taken', async t => {
  const all = [twin, three, two]
  t.strictSame(chooseExit(['gone', 'three', 'two'], own, all), { kind: 'host', member: three })
  t.strictSame(chooseExit([two.id], own, all), { kind: 'host', member: two })
  t.strictSame(chooseExit(['TWO'], own, all), { kind: 'host', member: two }, 'of two, the lower prefix')
  t.strictSame(chooseExit(['here', 'two'], own, all), { kind: 'self' })
  t.strictSame(chooseExit(['two', 'here'], own, all, new Set([two.id])), { kind: 'host', member: twin })
  t.strictSame(chooseExit(['two', 'here'], own, [], new Set()), { kind: 'self' })
  t.strictSame(chooseExit(['gone'], own, all), { kind: 'nobody' })
})

t.test('the last resort is there before the way, and with `own` there is none', async t => {
  const routes = (...[carrier, kind, otherwise]: ['vxlan' | 'routes', 'host' | 'nobody', 'own' | 'none']) =>
    routesFor(place(carrier), kind === 'host' ? { kind, member: two } : { kind }, otherwise, undefined).map(
      ({ destination, type = 'via', gateway = '' }) => [destination, type, gateway].join(' ').trim(),
    )
  const grounds = ['0.0.0.0/0 unreachable', '::/0 unreachable']
  t.strictSame(routes('vxlan', 'host', 'none'), [
    '0.0.0.0/0 via 10.200.2.0',
    '::/0 via fd00:200:0:2:ffff:ffff:ffff:ffff',
    ...grounds,
  ])
  t.strictSame(
    routes('routes', 'host', 'none'),
    ['0.0.0.0/0 via 192.168.1.2', ...grounds],
    'IPv6 has no way there',
  )
  t.strictSame(routes('vxlan', 'nobody', 'none'), grounds)
  t.strictSame(routes('vxlan', 'nobody', 'own'), [])
})

t.test('networks have tables and rules of their own', async t => {
  t.not(routeTableOf('front'), routeTableOf('back'))
  const rules = rulesFor('front', [parseCidr('10.200.7.0/24')])
  t.match(rules, [
    { source: '10.200.7.0/24', table: 254, suppressPrefixLength: 1 },
    { source: '10.200.7.0/24', table: routeTableOf('front') },
  ])
  t.ok((rules[0]?.priority ?? 0) < (rules[1]?.priority ?? 0))
})

t.test('every rule of nf_tables is one that is understood', async t => {
  for (const carrier of ['vxlan', 'routes'] as const)
    for (const exit of [{ kind: 'self' }, { kind: 'nobody' }, { kind: 'host', member: two }] as const)
      for (const isListed of [false, true]) {
        const addresses = isListed ? [parseIp('198.51.100.7')] : []
        const { prerouting, postrouting } = textsFor(
          place(carrier),
          { ...leaving, hosts: [], addresses },
          exit,
          isListed,
        )
        for (const text of [...prerouting, ...postrouting])
          t.ok(compileRule('inet', text).expressions.length > 0, text)
        t.equal(
          postrouting.some(text => text.endsWith('snat ip to 198.51.100.7')),
          isListed,
        )
        t.equal(
          postrouting.some(text => text.endsWith('masquerade')),
          isListed,
          'of the family without an address',
        )
      }
})
