/**
 * The far end of a veth pair appears directly in another namespace, named by IFLA_NET_NS_FD inside
 * VETH_INFO_PEER, and cannot be up from the start.
 *
 * src/netlink/link/add and src/bridge rest on it: a pair is made in one request, without moving an end, which
 * would wait for an RCU grace period, and without a moment in which the far end's name is taken on the host.
 */

import t from 'tap'
import * as k from '../../../src/netlink/constants.ts'
import { addIfb, addVeth } from '../../../src/netlink/link/add.ts'
import { changeLink, getLink, listLinks } from '../../../src/netlink/link/link.ts'
import { linkMessage } from '../../../src/netlink/link/tables.ts'
import { kernel } from '../../support/kernel.ts'

t.test('the far end of a veth pair is made where it belongs', async t => {
  await using world = await kernel()
  const web = await world.namespace('web')
  addIfb(world.nl, { name: 'eth0' })
  const near = addVeth(world.nl, { name: 'v0', up: true, peer: { name: 'eth0', netnsFd: web.netns.fd } })
  const far = getLink(web.nl, { name: 'eth0' })
  t.match(far, { kind: 'veth', up: false, peerIndex: near.index }, 'although the host has an eth0 of its own')
  changeLink(web.nl, far, { up: true })
  t.match(getLink(world.nl, near), { operState: 'up', lowerUp: true })
})

t.test('the far end cannot be up from the start', async t => {
  await using world = await kernel()
  const up = { flags: k.IFF_UP, change: k.IFF_UP }
  const request = {
    equivalent: 'ip link add v0 type veth peer name p0 up',
    type: k.RTM_NEWLINK,
    flags: k.NLM_F_CREATE | k.NLM_F_EXCL,
    payload: [
      linkMessage.encode({
        header: {},
        attributes: {
          name: 'v0',
          linkInfo: { kind: 'veth', veth: { peer: { header: up, attributes: { name: 'p0' } } } },
        },
      }),
    ],
  }
  t.throws(() => world.nl.change(request), { code: 'ENOTCONN' })
  t.equal(listLinks(world.nl).length, 1, 'and nothing is left of the attempt')
})
