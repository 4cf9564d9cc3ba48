/**
 * The netlink socket on the real kernel.
 */

import { readdirSync } from 'node:fs'
import t from 'tap'
import { errno, errnoName, libc, must } from '../../src/ffi/ffi.ts'
import * as k from '../../src/netlink/constants.ts'
import { addBridge, addIfb } from '../../src/netlink/link/add.ts'
import { changeLink, deleteLinkGroup, getLink, listLinks } from '../../src/netlink/link/link.ts'
import { linkMessage } from '../../src/netlink/link/tables.ts'
import { encodeMessage } from '../../src/netlink/message.ts'
import { type Netlink, openNetlink } from '../../src/netlink/netlink.ts'
import { kernel } from '../support/kernel.ts'

t.test('a dump of many links comes in several pieces and is whole', async t => {
  await using world = await kernel()
  const { nl } = world
  const names = Array.from({ length: 300 }, (_, i) => `ifb-${i}`)
  for (const name of names) addIfb(nl, { name, group: 7 })
  t.strictSame(
    listLinks(nl, { kind: 'ifb' }).map(({ name }) => name),
    names,
  )
  deleteLinkGroup(nl, 7)
  t.equal(listLinks(nl).length, 1)
})

t.test("the kernel's own words are in the error, and the conversation goes on", async t => {
  await using world = await kernel()
  const { nl } = world
  const link = addBridge(nl, { name: 'br0' })
  t.throws(() => changeLink(nl, link, { mtu: 10_000_000 }), {
    name: 'NetlinkError',
    code: 'EINVAL',
    message: 'ip link set dev br0 mtu 10000000: mtu greater than device maximum (EINVAL)',
  })
  t.equal(getLink(nl, link).mtu, 1500)
})

t.test('a filter that the kernel does not know is an error instead of being ignored', async t => {
  await using world = await kernel()
  const request = {
    equivalent: 'ip link show group 7',
    type: k.RTM_GETLINK,
    payload: [linkMessage.encode({ header: {}, attributes: { group: 7 } })],
  }
  t.throws(() => world.nl.dump(request), { code: 'EINVAL', message: /nsupported attribute/ })
  t.equal(listLinks(world.nl).length, 1)
})

/** The port of the socket behind a conversation; the kernel writes it into its answers. */
const portOf = (nl: Netlink): number =>
  nl.get({
    equivalent: 'ip link show dev lo',
    type: k.RTM_GETLINK,
    payload: [linkMessage.encode({ header: { index: 1 }, attributes: {} })],
  }).port

const sockaddr = (port: number): Uint8Array => new Uint8Array(new Uint32Array([k.AF_NETLINK, port, 0]).buffer)

/** What comes of sending a forged acknowledgement to a port. */
function forge(port: number): string {
  const fd = must('socket', libc.socket(k.AF_NETLINK, 3, k.NETLINK_ROUTE))
  const forged = encodeMessage({
    type: k.NLMSG_ERROR,
    flags: 0,
    sequence: 1,
    port: 0,
    payload: new Uint8Array(20),
  })
  try {
    must('connect', libc.connect(fd, sockaddr(port), 12))
    return libc.send(fd, forged, forged.length, 0) < 0 ? errnoName(errno()) : 'sent'
  } finally {
    libc.close(fd)
  }
}

t.test('nobody but the kernel can answer', async t => {
  await using world = await kernel()
  const { host, nl } = world
  t.equal(
    host.inside(() => forge(portOf(nl))),
    'ECONNREFUSED',
  )
  addIfb(nl, { name: 'ifb9' })

  // The control: a socket that is not connected hears everybody.
  const fd = host.inside(() => must('socket', libc.socket(k.AF_NETLINK, 3, k.NETLINK_ROUTE)))
  must('bind', libc.bind(fd, sockaddr(0), 12))
  const own = sockaddr(0)
  must('getsockname', libc.getsockname(fd, own, new Uint8Array(new Uint32Array([12]).buffer)))
  const port = new DataView(own.buffer).getUint32(4, true)
  t.equal(
    host.inside(() => forge(port)),
    'sent',
  )
  t.equal(libc.recv(fd, new Uint8Array(64), 64, 0x40), 36)
  libc.close(fd)
})

t.test('a conversation that ends leaves no descriptor but the one for the next', async t => {
  await using world = await kernel()
  const count = () => readdirSync('/proc/self/fd').length
  const talk = () => {
    using nl = world.host.inside(() => openNetlink())
    listLinks(nl)
  }
  talk()
  const before = count()
  for (let i = 0; i < 20; i++) talk()
  t.equal(count(), before)
})
