/**
 * The guard at a container's port, against frames that a container must not send. Each is sent without the
 * guard too: what a bridge would not carry anyhow proves nothing.
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import type { Ip } from '../../src/model/address/address.ts'
import { arp, Ear, frame, icmp, ipv4, ipv6, neighbour, sendFrame, udp } from '../support/frames.ts'
import { ANSWERS, addresses, FAMILIES, NatSite, nftables } from '../support/nat-site.ts'

t.setTimeout(600_000)

const MAC = '02:00:00:00:01:02'
const LINK_LOCAL = 'fe80::ff:fe00:102'
const OTHER_MAC = '02:00:00:00:01:03'
const [web, gateway] = [addresses.web, addresses.br1]
const ALL_NODES = 'ff02::1'
const MARK = 8

const own = { from: MAC }
const udp4 = (source: string, from = 4000, to = 4001) =>
  ipv4(source, '255.255.255.255', 17, udp(from, to, MARK), MARK)
const udp6 = (source: string, from = 4000, to = 4001) =>
  ipv6(source, ALL_NODES, 17, udp(from, to, MARK), MARK)
const icmp6 = (source: string, body: number[]) => ipv6(source, ALL_NODES, 58, body, MARK)

type Made = (mark: string) => Uint8Array

const forged: Record<string, Made> = {
  'another sender in Ethernet': mark => frame({ from: OTHER_MAC }, 0x0800, udp4(web[4]), mark),
  'ARP for an address of others': mark => frame(own, 0x0806, arp(MAC, gateway[4]), mark),
  'ARP that names another link-layer address': mark => frame(own, 0x0806, arp(OTHER_MAC, web[4]), mark),
  'IPv4 from an address of others': mark => frame(own, 0x0800, udp4(gateway[4]), mark),
  'IPv6 from an address of others': mark => frame(own, 0x86dd, udp6(gateway[6]), mark),
  'IPv6 from a link-local address of others': mark => frame(own, 0x86dd, udp6('fe80::1'), mark),
  'a router advertisement': mark => frame(own, 0x86dd, icmp6(LINK_LOCAL, icmp(134, Array(12).fill(0))), mark),
  'an ICMPv6 redirect': mark => frame(own, 0x86dd, icmp6(LINK_LOCAL, icmp(137, Array(36).fill(0))), mark),
  'an ICMP redirect': mark =>
    frame(own, 0x0800, ipv4(web[4], gateway[4], 1, icmp(5, [0, 0, 0, 0]), MARK), mark),
  'a neighbour advertisement for an address of others': mark =>
    frame(own, 0x86dd, icmp6(web[6], neighbour(136, gateway[6])), mark),
  'an answer of a DHCP server': mark => frame(own, 0x0800, udp4(web[4], 67, 68), mark),
  'an answer of a DHCPv6 server': mark => frame(own, 0x86dd, udp6(web[6], 547, 546), mark),
  'a tagged frame': mark => frame(own, 0x8100, [0, 5, 0x08, 0x00, ...udp4(web[4])], mark),
  'a frame of 802.2': mark => frame(own, 11, [0x42, 0x42, 0x03], mark),
  'a frame of an unknown kind': mark => frame(own, 0x88b5, [], mark),
}

const rightful: Record<string, Made> = {
  'ARP for its own address': mark => frame(own, 0x0806, arp(MAC, web[4], 1), mark),
  'a question whether its address is free': mark => frame(own, 0x0806, arp(MAC, '0.0.0.0', 1), mark),
  'IPv4 from its own address': mark => frame(own, 0x0800, udp4(web[4]), mark),
  'IPv6 from its own address': mark => frame(own, 0x86dd, udp6(web[6]), mark),
  'IPv6 from its own link-local address': mark => frame(own, 0x86dd, udp6(LINK_LOCAL), mark),
  'duplicate address detection': mark => frame(own, 0x86dd, icmp6('::', neighbour(135, web[6])), mark),
  'a neighbour advertisement for its own address': mark =>
    frame(own, 0x86dd, icmp6(web[6], neighbour(136, web[6])), mark),
  'a question to DHCP servers': mark => frame(own, 0x0800, udp4('0.0.0.0', 68, 67), mark),
}

const guard = {
  owner: '00000000000000a1',
  hostInterface: 'to-web',
  mac: MAC,
  addresses: [web[4], web[6]] as readonly string[] as Ip[],
}

t.test('a container sends under its own name, and plays no router', async t => {
  const site = await NatSite.open(nftables)
  t.teardown(site.close)
  const [container, neighbourhood] = [site.get('web'), site.get('neighbour')]
  await container.run('ip', 'link', 'set', 'eth0', 'down')
  await container.run('ip', 'link', 'set', 'eth0', 'address', MAC)
  await container.run('ip', 'link', 'set', 'eth0', 'up')
  container.address('eth0', `${web[6]}/64`)
  for (const family of FAMILIES) container.route('default', gateway[family])
  using ear = new Ear(neighbourhood, 'eth0')
  let round = 0
  const carried = async (frames: Record<string, Made>): Promise<string[]> => {
    round++
    const marks = Object.entries(frames).map(([name, make], i) => {
      const mark = `mark-${round}${String.fromCharCode(65 + i)}x`
      sendFrame(container, 'eth0', make(mark))
      return { name, mark }
    })
    // Frames keep their order: when the last has arrived, all have.
    const last = `mark-${round}zz`
    sendFrame(container, 'eth0', frame(own, 0x0806, arp(MAC, web[4]), last))
    await waitFor(() => ear.heard(last), { what: 'the last frame' })
    return marks.filter(({ mark }) => ear.heard(mark)).map(({ name }) => name)
  }
  const before = await site.rules()

  t.strictSame(await carried(forged), Object.keys(forged), 'control: without the guard all pass')
  await site.call('installSpoofGuard', undefined, guard)
  t.strictSame(await carried(forged), [])
  t.strictSame(await carried(rightful), Object.keys(rightful))
  for (const family of FAMILIES) {
    for (const transport of ['tcp', 'udp'] as const) {
      t.match(await container.ask(transport, addresses.neighbour[family], ANSWERS).catch(String), {
        place: 'neighbour',
      })
      t.match(await neighbourhood.ask(transport, web[family], ANSWERS).catch(String), { place: 'web' })
      t.match(await site.host.ask(transport, web[family], ANSWERS).catch(String), { place: 'web' })
    }
  }
  t.strictSame(await site.call('verifySpoofGuard', undefined, guard), [])
  t.strictSame(await site.call('owners', 'nftables'), [guard.owner])

  await t.test('installed again it is the same, and it goes with nothing but the tag', async t => {
    const installed = await site.rules()
    await site.call('installSpoofGuard', undefined, guard)
    t.equal(await site.rules(), installed)
    await site.host.run('nft', 'flush', 'chain', 'netdev', `tsnet-${guard.owner}`, 'advertisement')
    t.match(await site.call('verifySpoofGuard', undefined, guard), [/has 0 of 3 rules in advertisement/])
    for (const _ of [1, 2, 3]) await site.call('withdrawSpoofGuard', undefined, guard.owner)
    t.equal(await site.rules(), before)
    t.strictSame(await site.call('verifySpoofGuard', undefined, guard), ['there is no spoof guard at to-web'])
  })
  await t.test('when the link is gone it goes as well', async t => {
    await site.call('installSpoofGuard', undefined, guard)
    await site.host.run('ip', 'link', 'delete', 'to-web')
    await site.call('withdrawSpoofGuard', undefined, guard.owner)
    t.equal(await site.rules(), before)
  })
})

t.test('a guard of nonsense is refused', async t => {
  const site = await NatSite.open(nftables)
  t.teardown(site.close)
  const refuse = (changes: object, code: string) =>
    t.rejects(site.call('installSpoofGuard', undefined, { ...guard, ...changes }), { code })
  await refuse({ mac: '02:00' }, 'invalid-config')
  await refuse({ hostInterface: 'a"b' }, 'invalid-config')
  await refuse({ addresses: ['10.1.0.2 accept'] }, 'invalid-config')
  await refuse({ owner: 'me' }, 'internal')
})
