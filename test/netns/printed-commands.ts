/**
 * What --verbose and errors print is what a person can type: the commands beside the requests, given to the real
 * `ip`, `bridge` and `tc`, with names that these also have as words of their own.
 */

import { execFileSync } from 'node:child_process'
import t from 'tap'
import { diff, waitFor } from 'tsnet/lab'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import { addAddress, deleteAddress, replaceAddress } from '../../src/netlink/address.ts'
import { addBridge, addIfb, addVeth, addVxlan } from '../../src/netlink/link/add.ts'
import { setBridgePort } from '../../src/netlink/link/bridge-port.ts'
import { addFdbEntry, deleteFdbEntry } from '../../src/netlink/link/fdb.ts'
import { changeLink, deleteLink, getLink } from '../../src/netlink/link/link.ts'
import { addNeighbour, replaceNeighbour } from '../../src/netlink/neighbour.ts'
import type { Netlink } from '../../src/netlink/netlink.ts'
import { addRedirect } from '../../src/netlink/qdisc/filter.ts'
import { addIngress, addTokenBucket, deleteQdisc } from '../../src/netlink/qdisc/qdisc.ts'
import { addRoute, appendRoute, replaceRoute } from '../../src/netlink/route.ts'
import { kernel } from '../support/kernel.ts'
import { kernelState } from '../support/kernel-state.ts'

const MAC = '02:00:00:00:00:01'

/** Everything that we ask of the kernel for a container, and more, of links that are called as iproute2's own words. */
function everything(nl: Netlink): void {
  const ad = addBridge(nl, { name: 'ad', mac: MAC, alias: 'a b' })
  const br = addBridge(nl, { name: 'br', mac: '02:00:00:00:00:02', mtu: 1400, up: true })
  const dev = addVeth(nl, {
    name: 'dev',
    mac: '02:00:00:00:00:03',
    master: br.index,
    port: { hairpin: true, isolated: true },
    peer: { name: 'type', mac: '02:00:00:00:00:04', mtu: 1400 },
  })
  const type = getLink(nl, { name: 'type' })
  for (const link of [ad, dev, type]) changeLink(nl, link, { up: true })
  setBridgePort(nl, dev, { hairpin: false })
  const up = addIfb(nl, { name: 'up', mac: '02:00:00:00:00:05', group: 7 })
  changeLink(nl, up, { up: true, promiscuous: true })
  addTokenBucket(nl, dev, { rate: 125_000, burst: 20_000, limit: 23_125 })
  addTokenBucket(nl, up, { rate: 125_000, burst: 20_000, limit: 23_125 })
  deleteQdisc(nl, up, 'root')
  addIngress(nl, dev)
  addRedirect(nl, dev, up)
  addVxlan(nl, {
    name: 'link',
    mac: '02:00:00:00:00:06',
    vxlan: { id: 5, remote: parseIp('10.1.0.9'), device: type.index, udpPort: 4789 },
  })
  addAddress(nl, type, { address: parseCidr('10.1.0.1/24') })
  addAddress(nl, type, { address: parseCidr('10.1.0.2/24') })
  deleteAddress(nl, type, { address: parseCidr('10.1.0.2/24') })
  addAddress(nl, ad, { address: parseCidr('fd01::1/64'), noDad: true })
  replaceAddress(nl, br, { address: parseCidr('10.2.0.1/24') })
  const via = parseIp('10.1.0.9')
  addRoute(nl, { destination: parseCidr('10.3.0.0/24'), gateway: via, link: type, mtu: 1300, priority: 9 })
  appendRoute(nl, { destination: parseCidr('10.4.0.0/24'), link: ad, table: 77 })
  replaceRoute(nl, { destination: parseCidr('fd02::/64'), link: ad })
  addRoute(nl, { destination: parseCidr('10.5.0.0/24'), gateway: parseIp('fd01::9'), link: ad })
  addNeighbour(nl, type, { ip: via, mac: MAC })
  replaceNeighbour(nl, ad, { ip: parseIp('fd01::9'), mac: MAC })
  addFdbEntry(nl, dev, { mac: MAC })
  addFdbEntry(nl, dev, { mac: '02:00:00:00:00:07' })
  deleteFdbEntry(nl, dev, { mac: '02:00:00:00:00:07' })
  changeLink(nl, ad, { up: false })
  changeLink(nl, ad, { name: 'address', up: true })
  deleteLink(nl, addBridge(nl, { name: 'down' }))
}

t.test('the printed commands do what was done, whatever the names', async t => {
  await using ours = await kernel()
  everything(ours.nl)
  await using theirs = await kernel()
  // Links have the same indices there, by which some are named.
  await theirs.host.run('sh', '-exc', ours.commands.join('\n'))
  t.ok(ours.commands.length > 30)
  // The kernel finishes some of it later, in each at its own time.
  let different: string[] = []
  const areSame = () => {
    different = diff(kernelState(ours.host), kernelState(theirs.host))
    return different.length === 0
  }
  await waitFor(areSame, { what: 'both kernels to hold the same' }).catch(() => {})
  t.strictSame(different, [])
})

t.test('a namespace in a printed command is the one that was meant', async t => {
  await using world = await kernel()
  const web = await world.namespace('web')
  const veth = () =>
    addVeth(world.nl, { name: 'br', mac: MAC, peer: { name: 'ad', mac: MAC, netnsFd: web.netns.fd } })
  deleteLink(world.nl, veth())
  const [add = '', remove = ''] = world.commands
  // In this process' own namespace of processes, since the path is of this process.
  const type = (command: string) => world.host.inside(() => execFileSync('sh', ['-ec', command]))
  type(add)
  t.equal(getLink(web.nl, { name: 'ad' }).mac, MAC)
  type(remove)
  t.notOk((await web.run('ip', 'link')).stdout.includes('ad'))
})
