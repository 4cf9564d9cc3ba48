import t from 'tap'
import type { Cidr, Ip } from '../../../src/model/address/address.ts'
import { AccessList } from '../../../src/proxy/worker/access.ts'

const list = (allow: string[], deny: string[]) => new AccessList(allow as Cidr[], deny as Cidr[])

t.test('everybody is served where nothing is said', async t => {
  t.equal(list([], []).restricts, false)
  t.equal(list([], []).admits('192.0.2.1' as Ip), true)
})

t.test('an allow list serves those on it and nobody else, of either family', async t => {
  const access = list(['10.1.0.0/16', '2001:db8::/32'], [])
  t.equal(access.restricts, true)
  t.equal(access.admits('10.1.255.255' as Ip), true)
  t.equal(access.admits('10.2.0.0' as Ip), false)
  t.equal(access.admits('2001:db8:ffff::1' as Ip), true)
  t.equal(access.admits('2001:db9::1' as Ip), false)
  t.equal(access.admits('::1' as Ip), false)
})

t.test('a deny list turns those on it away, allowed or not', async t => {
  t.equal(list([], ['10.1.2.3/32']).admits('10.1.2.3' as Ip), false)
  t.equal(list([], ['10.1.2.3/32']).admits('10.1.2.4' as Ip), true)
  t.equal(list(['10.0.0.0/8'], ['10.1.0.0/16']).admits('10.1.2.3' as Ip), false)
  t.equal(list(['10.0.0.0/8'], ['::/0']).admits('10.1.2.3' as Ip), true)
  t.equal(list([], ['0.0.0.0/0']).admits('10.1.2.3' as Ip), false)
})
