/**
 * Links against the real kernel, compared with what `ip -j -d link` prints.
 */

import t from 'tap'
import { parseIp } from '../../src/model/address/address.ts'
import { addBridge, addIfb, addVeth, addVxlan } from '../../src/netlink/link/add.ts'
import { addBridgeVlans, listBridgeVlans, setBridgePort } from '../../src/netlink/link/bridge-port.ts'
import {
  changeLink,
  deleteLink,
  deleteLinkGroup,
  findLink,
  getLink,
  type Link,
  listLinks,
} from '../../src/netlink/link/link.ts'
import { kernel } from '../support/kernel.ts'

/** One of iproute2's objects, as far as both of us know it. */
interface IpLink {
  ifindex: number
  ifname: string
  address: string
  mtu: number
  flags: string[]
  operstate: string
  group: string
  txqlen?: number
  master?: string
  link_index?: number
  link?: string
  link_netnsid?: number
  ifalias?: string
  linkinfo?: {
    info_kind?: string
    info_slave_kind?: string
    info_data?: Record<string, unknown>
    info_slave_data?: Record<string, unknown>
  }
}

/** A link in the words of iproute2. */
function inTheirWords(link: Link, all: Link[]): unknown {
  const nameOf = (index: number | undefined) => all.find(other => other.index === index)?.name
  const peerHere = link.peerNetnsId === undefined ? nameOf(link.peerIndex) : undefined
  return {
    ifindex: link.index,
    ifname: link.name,
    address: link.mac,
    mtu: link.mtu,
    up: link.up,
    lowerUp: link.lowerUp,
    promiscuous: link.promiscuous,
    operstate: link.operState,
    group: link.group === 0 ? 'default' : String(link.group),
    txqlen: link.txQueueLength,
    master: nameOf(link.masterIndex),
    link: peerHere,
    link_index: peerHere === undefined ? link.peerIndex : undefined,
    link_netnsid: link.peerNetnsId,
    ifalias: link.alias,
    kind: link.kind,
    vlanFiltering: link.bridge?.vlanFiltering,
    ageing: link.bridge?.ageingTime,
    hairpin: link.port?.hairpin,
    isolated: link.port?.isolated,
    learning: link.port?.learning,
    id: link.vxlan?.id,
    local: link.vxlan?.local,
    remote: link.vxlan?.group,
    port: link.vxlan?.port,
  }
}

function fromTheirs(link: IpLink): unknown {
  const { ifindex, ifname, address, mtu, group, master, link_index, link_netnsid, ifalias } = link
  const { info_kind, info_data, info_slave_data } = link.linkinfo ?? {}
  const bridge = info_kind === 'bridge' ? info_data : undefined
  const vxlan = info_kind === 'vxlan' ? info_data : undefined
  return {
    ifindex,
    ifname,
    address,
    mtu,
    up: link.flags.includes('UP'),
    lowerUp: link.flags.includes('LOWER_UP'),
    promiscuous: link.flags.includes('PROMISC'),
    operstate: link.operstate.toLowerCase(),
    group,
    txqlen: link.txqlen,
    master,
    link: link.link,
    link_index,
    link_netnsid,
    ifalias,
    kind: info_kind,
    vlanFiltering: bridge && bridge.vlan_filtering === 1,
    ageing: bridge?.ageing_time,
    hairpin: info_slave_data?.hairpin,
    isolated: info_slave_data?.isolated,
    learning: info_slave_data?.learning,
    id: vxlan?.id,
    local: vxlan?.local,
    remote: vxlan?.remote,
    port: vxlan?.port,
  }
}

t.test('links of every kind are what ip says they are', async t => {
  await using world = await kernel()
  const { nl } = world
  const web = await world.namespace('web')
  const bridge = addBridge(nl, { name: 'br0', mac: '02:00:00:00:00:01', mtu: 1400, alias: "it's", up: true })
  addVeth(nl, {
    name: 'v0',
    mac: '02:00:00:00:00:02',
    mtu: 1400,
    txQueueLength: 77,
    group: 42,
    master: bridge.index,
    up: true,
    alias: 'web',
    port: { hairpin: true, isolated: true, learning: false },
    peer: { name: 'eth0', mac: '02:00:00:00:00:03', mtu: 1300, netnsFd: web.netns.fd },
  })
  addVeth(nl, { name: 'v1', peer: { name: 'p1' } })
  addIfb(nl, { name: 'ifb9', up: true })
  const [local, remote] = [parseIp('10.0.0.1'), parseIp('10.0.0.2')]
  addVxlan(nl, { name: 'vx0', vxlan: { id: 5, local, remote, udpPort: 4789, learning: false } })

  const links = listLinks(nl)
  const theirs = (await world.json('ip', '-j', '-d', 'link')) as unknown as IpLink[]
  t.equal(links.length, 7)
  t.strictSame(
    links.map(link => inTheirWords(link, links)),
    theirs.map(fromTheirs),
  )
  const eth0 = getLink(web.nl, { name: 'eth0' })
  t.match(eth0, {
    mac: '02:00:00:00:00:03',
    mtu: 1300,
    up: false,
    peerIndex: getLink(nl, { name: 'v0' }).index,
  })
  t.equal(getLink(nl, { name: 'v0' }).peerIndex, eth0.index, "the near end tells the far end's index")
})

t.test('links are found by bridge, kind, name and index', async t => {
  await using world = await kernel()
  const { nl } = world
  const bridge = addBridge(nl, { name: 'br0' })
  const port = addVeth(nl, { name: 'v0', master: bridge.index, peer: { name: 'p0' } })
  const names = (links: Link[]) => links.map(({ name }) => name)
  t.strictSame(names(listLinks(nl, { master: bridge.index })), ['v0'])
  t.strictSame(names(listLinks(nl, { kind: 'veth' })), ['p0', 'v0'])
  t.strictSame(names(listLinks(nl, { master: bridge.index, kind: 'bridge' })), [])
  t.strictSame(names(listLinks(nl, { kind: 'no-such-kind' })), [])
  t.strictSame(findLink(nl, { name: 'v0' }), port)
  t.strictSame(findLink(nl, { index: port.index }), port)
  t.equal(findLink(nl, { name: 'v00' }), undefined)
  t.throws(() => getLink(nl, { index: 999 }), { code: 'ENODEV' })
})

t.test('every change arrives', async t => {
  await using world = await kernel()
  const { nl } = world
  const bridge = addBridge(nl, { name: 'br0' })
  const link = addVeth(nl, { name: 'v0', peer: { name: 'p0' } })
  changeLink(nl, link, {
    name: 'v1',
    mac: '02:00:00:00:00:22',
    mtu: 1280,
    up: true,
    master: bridge.index,
    promiscuous: true,
    allmulti: true,
    txQueueLength: 5,
    alias: 'a b',
    group: 3,
  })
  t.match(getLink(nl, link), {
    name: 'v1',
    mac: '02:00:00:00:00:22',
    mtu: 1280,
    up: true,
    masterIndex: bridge.index,
    promiscuous: true,
    allmulti: true,
    txQueueLength: 5,
    alias: 'a b',
    group: 3,
  })
  changeLink(nl, link, { up: false, master: null, promiscuous: false, allmulti: false, alias: '' })
  const back = getLink(nl, link)
  t.match(back, { up: false, promiscuous: false, allmulti: false, mtu: 1280 })
  t.equal(back.masterIndex, undefined)
  t.equal(back.alias, undefined)
})

t.test('settings of a port change one by one, and only of a port', async t => {
  await using world = await kernel()
  const { nl } = world
  const bridge = addBridge(nl, { name: 'br0' })
  const port = addVeth(nl, { name: 'v0', master: bridge.index, peer: { name: 'p0' } })
  setBridgePort(nl, port, { hairpin: true, isolated: true })
  setBridgePort(nl, port, { hairpin: false, guard: true, learning: false })
  t.match(getLink(nl, port).port, { hairpin: false, isolated: true, guard: true, learning: false })
  const [shown] = await world.json('bridge', '-j', '-d', 'link', 'show', 'dev', 'v0')
  t.match(shown, { hairpin: false, isolated: true, guard: true, learning: false })
  changeLink(nl, port, { master: null })
  t.throws(() => setBridgePort(nl, port, { hairpin: true }), { code: /EOPNOTSUPP|EINVAL/ })
})

t.test('a link moves to another namespace', async t => {
  await using world = await kernel()
  const { nl } = world
  const web = await world.namespace('web')
  const link = addVeth(nl, { name: 'v0', peer: { name: 'p0' } })
  changeLink(nl, link, { netnsFd: web.netns.fd, name: 'eth0' })
  t.equal(findLink(nl, link), undefined)
  t.match(findLink(web.nl, { name: 'eth0' }), { kind: 'veth', up: false })
})

t.test('a name that is taken is refused, on either side of a veth pair, and nothing is left', async t => {
  await using world = await kernel()
  const { nl } = world
  const web = await world.namespace('web')
  addIfb(nl, { name: 'taken' })
  addIfb(web.nl, { name: 'eth0' })
  const before = listLinks(nl)
  t.throws(() => addVeth(nl, { name: 'taken', peer: { name: 'p0' } }), { code: 'EEXIST' })
  t.throws(() => addVeth(nl, { name: 'v0', peer: { name: 'eth0', netnsFd: web.netns.fd } }), {
    code: 'EEXIST',
  })
  t.throws(() => addVeth(nl, { name: 'v0', port: { hairpin: true }, peer: { name: 'p0' } }), { code: /./ })
  t.strictSame(listLinks(nl), before)
  t.throws(() => addIfb(nl, { name: 'longer-than-15-b' }), { name: 'NetlinkError' })
})

t.test('VLAN filtering works, or the kernel says that it has none', async t => {
  await using world = await kernel()
  const { nl } = world
  const bridge = addBridge(nl, { name: 'br0' })
  const port = addVeth(nl, { name: 'v0', master: bridge.index, peer: { name: 'p0' } })
  const vlans = { first: 10, last: 12, pvid: false, untagged: false }
  let filters = true
  try {
    changeLink(nl, bridge, { bridge: { vlanFiltering: true } })
  } catch (thrown) {
    filters = false
    t.match(thrown, { code: 'EOPNOTSUPP' })
  }
  if (filters) {
    addBridgeVlans(nl, port, vlans)
    t.match(listBridgeVlans(nl).get(port.index)?.at(-1), vlans)
  } else {
    t.throws(() => addBridgeVlans(nl, port, vlans), { code: 'EOPNOTSUPP' })
    t.throws(() => addBridge(nl, { name: 'br1', bridge: { vlanFiltering: true } }), { code: 'EOPNOTSUPP' })
    t.equal(findLink(nl, { name: 'br1' }), undefined)
    t.strictSame(listBridgeVlans(nl).get(port.index), [])
  }
})

t.test('links are deleted one by one and by group', async t => {
  await using world = await kernel()
  const { nl } = world
  const alone = addIfb(nl, { name: 'alone' })
  for (const name of ['a', 'b', 'c']) addVeth(nl, { name, group: 42, peer: { name: `${name}-far` } })
  deleteLink(nl, alone)
  t.throws(() => deleteLink(nl, alone), { code: 'ENODEV' })
  deleteLinkGroup(nl, 42)
  t.strictSame(
    listLinks(nl).map(({ name }) => name),
    ['lo'],
  )
  t.throws(() => deleteLinkGroup(nl, 42), { code: 'ENODEV' })
})

t.test('the printed commands do the same', async t => {
  await using first = await kernel()
  await using second = await kernel()
  const { nl, commands } = first
  const bridge = addBridge(nl, {
    name: 'br0',
    mac: '02:00:00:00:00:01',
    alias: "it's",
    bridge: { ageingTime: 100, groupForwardMask: 8 },
  })
  const port = addVeth(nl, {
    name: 'v0',
    mac: '02:00:00:00:00:02',
    mtu: 1400,
    group: 42,
    master: bridge.index,
    up: true,
    alias: 'x',
    port: { hairpin: true, unicastFlood: false },
    peer: { name: 'p0', mac: '02:00:00:00:00:03', mtu: 1300 },
  })
  changeLink(nl, bridge, { bridge: { stpState: 0, multicastSnooping: false }, up: true, promiscuous: true })
  setBridgePort(nl, port, { neighbourSuppress: true, broadcastFlood: false })
  const vxlan = { id: 5, local: parseIp('10.0.0.1'), remote: parseIp('239.1.1.1'), device: port.index }
  const tunnel = addVxlan(nl, { name: 'vx0', mac: '02:00:00:00:00:04', vxlan })
  changeLink(nl, tunnel, { mtu: 1200, txQueueLength: 9 })
  await second.host.run('sh', '-ec', commands.join('\n'))
  const settled = (links: Link[]) => links.map(({ operState: _, lowerUp: __, ...rest }) => rest)
  t.strictSame(settled(listLinks(second.nl)), settled(listLinks(nl)))
})
