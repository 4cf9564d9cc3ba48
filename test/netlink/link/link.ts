import t from 'tap'
import * as k from '../../../src/netlink/constants.ts'
import {
  changeLink,
  deleteLink,
  deleteLinkGroup,
  findLink,
  getLink,
  type LinkChange,
  listLinks,
  readLink,
} from '../../../src/netlink/link/link.ts'
import { linkMessage } from '../../../src/netlink/link/tables.ts'
import { Netlink } from '../../../src/netlink/netlink.ts'
import { asked } from '../../support/asked.ts'
import { captured } from '../../support/captures.ts'
import { ack, done, object, part, refusal, ScriptedKernel } from '../../support/scripted-kernel.ts'

/** What a change of a link asks. */
function askedOf(work: (nl: Netlink) => void) {
  const { payload, command, type } = asked(work)
  return { ...linkMessage.decode(payload), command, type }
}

const changing = (change: LinkChange) => askedOf(nl => changeLink(nl, { index: 7, name: 'web' }, change))

t.test('a port of a bridge is read as the kernel sent it', async t => {
  t.strictSame(readLink(captured('link-bridge-port')), {
    index: 4,
    name: 'v0',
    mac: '02:00:00:00:00:02',
    mtu: 1400,
    up: true,
    lowerUp: true,
    operState: 'up',
    kind: 'veth',
    masterIndex: 2,
    peerIndex: 3,
    group: 7,
    promiscuous: false,
    allmulti: false,
    txQueueLength: 1000,
    alias: 'web',
    port: {
      state: 3,
      priority: 32,
      cost: 2,
      hairpin: true,
      guard: false,
      rootBlock: false,
      fastLeave: false,
      learning: true,
      unicastFlood: true,
      multicastFlood: true,
      broadcastFlood: true,
      proxyArp: false,
      vlanTunnel: false,
      neighbourSuppress: false,
      isolated: true,
      locked: false,
    },
  })
})

t.test('a bridge and a VXLAN are read with what is theirs', async t => {
  const bridge = readLink(captured('link-bridge'))
  t.match(bridge, { name: 'br0', kind: 'bridge', mac: '02:00:00:00:00:01', up: true })
  t.match(bridge.bridge, { vlanFiltering: false, ageingTime: 30000, stpState: 0, multicastSnooping: true })
  t.equal(bridge.port, undefined)
  const vxlan = readLink(captured('link-vxlan'))
  t.match(vxlan, { name: 'vx0', kind: 'vxlan', up: false, operState: 'down' })
  t.match(vxlan.vxlan, { id: 5, local: '10.0.0.1', group: '10.0.0.2', port: 4789, learning: false })
})

t.test('links are listed by bridge and by kind, also where the kernel does not filter', async t => {
  const all = ['link-bridge-port', 'link-bridge', 'link-vxlan'].map(name => captured(name).payload)
  const kernel = () =>
    new ScriptedKernel(request => [...all.map(payload => part(request, payload)), done(request)])
  const names = (filter: Parameters<typeof listLinks>[1]) =>
    listLinks(new Netlink(kernel()), filter).map(({ name }) => name)
  t.strictSame(names({}), ['v0', 'br0', 'vx0'])
  t.strictSame(names({ master: 2 }), ['v0'])
  t.strictSame(names({ kind: 'vxlan' }), ['vx0'])
  t.strictSame(names({ kind: 'bareudp' }), [])
})

t.test('a link is asked for by name or by index, and may be missing', async t => {
  const kernel = new ScriptedKernel(
    request => [object(request, captured('link-bridge').payload), ack(request)],
    request => [object(request, captured('link-bridge').payload), ack(request)],
    request => [refusal(request, 'ENODEV')],
    request => [refusal(request, 'ENODEV')],
    request => [refusal(request, 'EPERM')],
  )
  const nl = new Netlink(kernel)
  t.equal(getLink(nl, { name: 'br0' }).index, 2)
  t.equal(getLink(nl, { index: 2 }).name, 'br0')
  t.match(
    kernel.requests.map(({ payload }) => linkMessage.decode(payload)),
    [
      { header: { index: 0 }, attributes: { name: 'br0' } },
      { header: { index: 2 }, attributes: { name: undefined } },
    ],
  )
  t.throws(() => getLink(nl, { name: 'nope' }), {
    code: 'ENODEV',
    message: 'ip -d link show dev nope: No such device (ENODEV)',
  })
  t.equal(findLink(nl, { name: 'nope' }), undefined)
  t.throws(() => findLink(nl, { name: 'nope' }), { code: 'EPERM' }, 'only absence is no error')
})

t.test('flags are changed one by one, the others stay', async t => {
  t.match(changing({ up: true }).header, { index: 7, flags: k.IFF_UP, change: k.IFF_UP })
  t.match(changing({ up: false, promiscuous: true }).header, {
    flags: k.IFF_PROMISC,
    change: k.IFF_UP | k.IFF_PROMISC,
  })
  t.match(changing({ mtu: 1400 }).header, { flags: 0, change: 0 })
})

t.test('all changes of a link go in one request', async t => {
  const { attributes, command, type } = changing({
    name: 'www',
    mac: '02:00:00:00:00:09',
    mtu: 1400,
    up: true,
    master: 3,
    txQueueLength: 10,
    alias: 'a b',
    group: 5,
    netnsFd: 19,
    port: { hairpin: true, isolated: false },
  })
  t.equal(type, k.RTM_NEWLINK)
  t.strictSame(attributes, {
    mac: '02:00:00:00:00:09',
    name: 'www',
    mtu: 1400,
    master: 3,
    txQueueLength: 10,
    alias: 'a b',
    group: 5,
    netnsFd: 19,
    linkInfo: { portKind: 'bridge', bridgePort: { hairpin: true, isolated: false } },
  })
  t.equal(
    command,
    'ip link set dev web name www address 02:00:00:00:00:09 mtu 1400 up master if3 txqueuelen 10 ' +
      `alias 'a b' group 5 netns /proc/${process.pid}/fd/19 type bridge_slave hairpin on isolated off`,
  )
})

t.test('a link leaves its bridge, and a bridge gets settings', async t => {
  const left = changing({ master: null })
  t.strictSame(left.attributes, { master: 0 })
  t.equal(left.command, 'ip link set dev web nomaster')
  const set = changing({ bridge: { vlanFiltering: true } })
  t.strictSame(set.attributes, { linkInfo: { kind: 'bridge', bridge: { vlanFiltering: true } } })
  t.equal(set.command, 'ip link set dev web type bridge vlan_filtering 1')
})

t.test('a link without a name is named as iproute2 reads it', async t => {
  t.equal(asked(nl => deleteLink(nl, { index: 7 })).command, 'ip link delete dev if7')
})

t.test('one request deletes a group, but never the one that holds everything', async t => {
  const { attributes, header, type, command } = askedOf(nl => deleteLinkGroup(nl, 42))
  t.match(
    { attributes, header, type },
    { attributes: { group: 42 }, header: { index: 0 }, type: k.RTM_DELLINK },
  )
  t.equal(command, 'ip link delete group 42')
  const kernel = new ScriptedKernel()
  t.throws(() => deleteLinkGroup(new Netlink(kernel), 0), RangeError)
  t.equal(kernel.requests.length, 0)
})
