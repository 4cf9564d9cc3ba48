/**
 * Addresses against the real kernel, compared with what `ip -j address` prints.
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import {
  type Address,
  addAddress,
  deleteAddress,
  listAddresses,
  replaceAddress,
} from '../../src/netlink/address.ts'
import { addVeth } from '../../src/netlink/link/add.ts'
import { changeLink, getLink, type Link } from '../../src/netlink/link/link.ts'
import { type Kernel, kernel } from '../support/kernel.ts'

interface IpAddress {
  family: string
  local: string
  address?: string
  prefixlen: number
  broadcast?: string
  label?: string
  scope: string
  noprefixroute?: boolean
  nodad?: boolean
  tentative?: boolean
  secondary?: boolean
}

const scopes: Record<number, string> = { 0: 'global', 253: 'link', 254: 'host' }

const inTheirWords = (address: Address) => ({
  local: address.address.split('/')[0],
  prefixlen: Number(address.address.split('/')[1]),
  peer: address.peer,
  broadcast: address.broadcast,
  label: address.label,
  scope: scopes[address.scope],
  noprefixroute: address.noPrefixRoute,
  nodad: address.noDad,
  secondary: address.secondary,
})

const fromTheirs = (address: IpAddress) => ({
  local: address.local,
  prefixlen: address.prefixlen,
  peer: address.address,
  broadcast: address.broadcast,
  label: address.label,
  scope: address.scope,
  noprefixroute: address.noprefixroute ?? false,
  nodad: address.nodad ?? false,
  secondary: address.secondary ?? false,
})

/** A veth pair, both ends up. */
function pair({ nl }: Kernel): [Link, Link] {
  const near = addVeth(nl, { name: 'v0', peer: { name: 'p0' } })
  const far = getLink(nl, { name: 'p0' })
  for (const link of [near, far]) changeLink(nl, link, { up: true })
  return [near, far]
}

t.test('addresses of both families are what ip says they are', async t => {
  await using world = await kernel()
  const { nl } = world
  const [link] = pair(world)
  addAddress(nl, link, { address: parseCidr('10.1.0.1/24'), broadcast: parseIp('10.1.0.255'), label: 'v0:x' })
  addAddress(nl, link, { address: parseCidr('10.1.0.2/24'), noPrefixRoute: true })
  addAddress(nl, link, { address: parseCidr('10.9.0.1/32'), peer: parseIp('10.9.0.2'), scope: 253 })
  addAddress(nl, link, { address: parseCidr('fd00::1/64'), noDad: true, noPrefixRoute: true })
  addAddress(nl, link, { address: parseCidr('fd01::1/128'), peer: parseIp('fd01::2'), noDad: true })
  const [shown] = (await world.json('ip', '-j', 'address', 'show', 'v0')) as { addr_info?: IpAddress[] }[]
  const ours = listAddresses(nl, { link }).filter(({ address }) => !address.startsWith('fe80'))
  const theirs = (shown?.addr_info ?? []).filter(({ local }) => !local.startsWith('fe80'))
  t.equal(ours.length, 5)
  t.strictSame(ours.map(inTheirWords), theirs.map(fromTheirs))
})

t.test('addresses are listed by link and by family', async t => {
  await using world = await kernel()
  const { nl } = world
  const [near, far] = pair(world)
  addAddress(nl, near, { address: parseCidr('10.1.0.1/24') })
  addAddress(nl, far, { address: parseCidr('10.2.0.1/24') })
  addAddress(nl, near, { address: parseCidr('fd00::1/64') })
  const list = (filter: Parameters<typeof listAddresses>[1]) =>
    listAddresses(nl, filter)
      .map(({ address }) => address)

      .filter(address => !address.startsWith('fe80'))
      .sort()
  t.strictSame(list({ link: near }), ['10.1.0.1/24', 'fd00::1/64'])
  t.strictSame(list({ link: near, family: 6 }), ['fd00::1/64'])
  t.strictSame(list({ family: 4 }), ['10.1.0.1/24', '10.2.0.1/24', '127.0.0.1/8'])
  t.throws(() => list({ link: { index: 999 } }), { code: 'ENODEV' })
})

t.test('an address is tentative until nobody objected, unless nobody is asked', async t => {
  await using world = await kernel()
  const { nl } = world
  const [link] = pair(world)
  addAddress(nl, link, { address: parseCidr('fd00::1/64') })
  addAddress(nl, link, { address: parseCidr('fd00::2/64'), noDad: true })
  const find = (wanted: string) => listAddresses(nl, { link }).find(({ address }) => address === wanted)
  t.match(find('fd00::1/64'), { tentative: true, noDad: false })
  t.match(find('fd00::2/64'), { tentative: false, noDad: true })
  await waitFor(() => find('fd00::1/64')?.tentative === false, { what: 'the address to be usable' })
  t.match(find('fd00::1/64'), { dadFailed: false })
})

t.test('an address that the other end has fails', async t => {
  await using world = await kernel()
  const { nl } = world
  const web = await world.namespace('web')
  const near = addVeth(nl, { name: 'v0', peer: { name: 'p0', netnsFd: web.netns.fd } })
  const far = getLink(web.nl, { name: 'p0' })
  changeLink(nl, near, { up: true })
  changeLink(web.nl, far, { up: true })
  addAddress(nl, near, { address: parseCidr('fd00::1/64'), noDad: true })
  addAddress(web.nl, far, { address: parseCidr('fd00::1/64') })
  const mine = () => listAddresses(web.nl, { link: far }).find(({ address }) => address === 'fd00::1/64')
  t.ok(await waitFor(() => mine()?.dadFailed, { what: 'the duplicate to be noticed' }))
})

t.test('an address is refused twice, replaced, and deleted once', async t => {
  await using world = await kernel()
  const { nl } = world
  const [link] = pair(world)
  const address = parseCidr('fd00::1/64')
  addAddress(nl, link, { address, noDad: true })
  t.throws(() => addAddress(nl, link, { address }), { code: 'EEXIST' })
  replaceAddress(nl, link, { address, noDad: true, noPrefixRoute: true })
  t.match(
    listAddresses(nl, { link, family: 6 }).find(other => other.address === address),
    { noPrefixRoute: true },
  )
  deleteAddress(nl, link, { address })
  t.throws(() => deleteAddress(nl, link, { address }), { code: 'EADDRNOTAVAIL' })
  t.throws(() => addAddress(nl, { index: 999 }, { address }), { code: 'ENODEV' })
})

t.test('the printed commands do the same', async t => {
  await using first = await kernel()
  await using second = await kernel()
  const [link] = pair(first)
  pair(second)
  first.commands.length = 0
  const { nl } = first
  addAddress(nl, link, { address: parseCidr('10.1.0.1/24'), broadcast: parseIp('10.1.0.255'), label: 'v0:x' })
  addAddress(nl, link, {
    address: parseCidr('10.9.0.1/32'),
    peer: parseIp('10.9.0.2'),
    scope: 253,
    priority: 9,
    noPrefixRoute: true,
  })
  addAddress(nl, link, { address: parseCidr('fd00::1/64'), noDad: true })
  replaceAddress(nl, link, { address: parseCidr('fd00::1/64'), noDad: true, noPrefixRoute: true })
  addAddress(nl, link, { address: parseCidr('10.5.0.1/24') })
  deleteAddress(nl, link, { address: parseCidr('10.5.0.1/24') })
  await second.host.run('sh', '-ec', first.commands.join('\n'))
  const list = (each: Kernel) => listAddresses(each.nl).filter(({ address }) => !address.startsWith('fe80'))
  t.strictSame(list(second), list(first))
})
