/**
 * Neighbours and forwarding databases against the real kernel, compared with what iproute2 prints.
 */

import { constants } from 'node:os'
import t from 'tap'
import { cidrOf, parseCidr, parseIp } from '../../src/model/address/address.ts'
import { addAddress } from '../../src/netlink/address.ts'
import { addBridge, addVeth, addVxlan } from '../../src/netlink/link/add.ts'
import {
  addFdbEntry,
  appendFdbEntry,
  deleteFdbEntry,
  fdbRequest,
  listFdb,
  replaceFdbEntry,
} from '../../src/netlink/link/fdb.ts'
import { changeLink, getLink } from '../../src/netlink/link/link.ts'
import {
  addNeighbour,
  deleteNeighbour,
  listNeighbours,
  neighbourRequest,
  replaceNeighbour,
} from '../../src/netlink/neighbour.ts'
import { listRoutes, routeRequest } from '../../src/netlink/route.ts'
import { kernel } from '../support/kernel.ts'

const mac = '02:00:00:00:00:09'

t.test('neighbours of both families are what ip says they are', async t => {
  await using world = await kernel()
  const { nl, commands } = world
  const link = addVeth(nl, { name: 'v0', peer: { name: 'p0' } })
  for (const each of [link, getLink(nl, { name: 'p0' })]) changeLink(nl, each, { up: true })
  addAddress(nl, link, { address: parseCidr('10.1.0.1/24') })
  addNeighbour(nl, link, { ip: parseIp('10.1.0.9'), mac })
  addNeighbour(nl, link, { ip: parseIp('fd00::9'), mac, state: 'stale' })
  t.throws(() => addNeighbour(nl, link, { ip: parseIp('10.1.0.9'), mac }), { code: 'EEXIST' })
  replaceNeighbour(nl, link, { ip: parseIp('10.1.0.9'), mac: '02:00:00:00:00:0a', state: 'noarp' })
  t.ok(commands.includes('ip neighbour add fd00::9 lladdr 02:00:00:00:00:09 dev v0 nud stale'))

  const ours = listNeighbours(nl, { link })
    .filter(({ ip }) => ip === '10.1.0.9' || ip === 'fd00::9')
    .map(({ ip, mac, state }) => ({ ip, mac, state }))
  const theirs = (await world.json('ip', '-j', 'neighbour', 'show', 'dev', 'v0', 'nud', 'all'))
    .filter(({ dst }) => dst === '10.1.0.9' || dst === 'fd00::9')
    .map(({ dst, lladdr, state }) => ({ ip: dst, mac: lladdr, state: String(state).toLowerCase() }))
  t.equal(ours.length, 2)
  t.strictSame(ours, theirs)

  t.strictSame(
    listNeighbours(nl, { family: 6, link })
      .map(({ ip }) => ip)
      .filter(ip => ip.startsWith('fd')),
    ['fd00::9'],
  )
  deleteNeighbour(nl, link, { ip: parseIp('fd00::9') })
  t.throws(() => deleteNeighbour(nl, link, { ip: parseIp('fd01::9') }), { code: 'ENOENT' })
})

t.test("the entries of a bridge's and a VXLAN's database are what bridge says they are", async t => {
  await using world = await kernel()
  const { nl } = world
  const bridge = addBridge(nl, { name: 'br0', up: true })
  const port = addVeth(nl, { name: 'v0', master: bridge.index, up: true, peer: { name: 'p0' } })
  const vxlan = { id: 7, local: parseIp('10.0.0.1'), udpPort: 4789, learning: false }
  const tunnel = addVxlan(nl, { name: 'vx0', vxlan })
  addFdbEntry(nl, port, { mac })
  addFdbEntry(nl, tunnel, { mac, remote: parseIp('10.0.0.9'), self: true })
  const flood = '00:00:00:00:00:00'
  appendFdbEntry(nl, tunnel, { mac: flood, remote: parseIp('10.0.0.8'), self: true })
  appendFdbEntry(nl, tunnel, { mac: flood, remote: parseIp('10.0.0.7'), self: true })
  replaceFdbEntry(nl, tunnel, { mac, remote: parseIp('10.0.0.6'), self: true })
  t.throws(() => addFdbEntry(nl, port, { mac }), { code: 'EEXIST' })

  const names = new Map([bridge, port, tunnel].map(({ index, name }) => [index, name]))
  const ours = listFdb(nl)
    .filter(({ mac }) => !mac.startsWith('33:33') && !mac.startsWith('01:00'))
    .map(entry => ({
      mac: entry.mac,
      dev: names.get(entry.index),
      master: entry.masterIndex && names.get(entry.masterIndex),
      dst: entry.remote,
      state: entry.kind,
    }))
  const theirs = (await world.json('bridge', '-j', 'fdb', 'show'))
    .filter(({ mac }) => !String(mac).startsWith('33:33') && !String(mac).startsWith('01:00'))
    .map(({ mac, ifname, master, dst, state }) => ({
      mac,
      dev: ifname,
      master,
      dst,
      state: state || 'dynamic',
    }))
  t.strictSame(ours, theirs)
  t.strictSame(
    ours.filter(({ dev }) => dev === 'vx0').map(({ mac, dst }) => [mac, dst]),
    [
      [flood, '10.0.0.8'],
      [flood, '10.0.0.7'],
      [mac, '10.0.0.6'],
    ],
  )
  t.ok(listFdb(nl, { bridge }).every(({ index }) => index === port.index || index === bridge.index))

  deleteFdbEntry(nl, port, { mac })
  t.throws(() => deleteFdbEntry(nl, port, { mac }), { code: 'ENOENT' })
  deleteFdbEntry(nl, tunnel, { mac: flood, remote: parseIp('10.0.0.8'), self: true })
  t.equal(listFdb(nl).filter(({ index }) => index === tunnel.index).length, 2)
})

t.test('routes, neighbours and entries of a thousand hosts are told at once, and taken back', async t => {
  await using world = await kernel()
  const { nl } = world
  const vxlan = { id: 7, local: parseIp('10.0.0.1'), udpPort: 4789, learning: false }
  const tunnel = addVxlan(nl, { name: 'vx0', vxlan, up: true })
  addAddress(nl, tunnel, { address: parseCidr('10.200.0.0/32') })
  const hosts = Array.from({ length: 1_000 }, (_, n) => {
    const [high, low] = [Math.floor(n / 250) + 1, (n % 250) + 1]
    const hex = (value: number) => value.toString(16).padStart(2, '0')
    return {
      gateway: parseIp(`10.20${high}.${low}.0`),
      mac: `06:00:00:00:${hex(high)}:${hex(low)}`,
      remote: parseIp(`10.0.${high}.${low}`),
    }
  })
  const told = (verb: 'add' | 'delete') =>
    hosts.flatMap(({ gateway, mac, remote }) => {
      const destination = cidrOf(gateway, 24)
      return [
        fdbRequest(verb, tunnel, { mac, remote, self: true }),
        neighbourRequest(verb, tunnel, { ip: gateway, mac }),
        routeRequest(verb, { destination, gateway, link: tunnel, onlink: true, protocol: 99 }),
      ]
    })
  const counts = () => [
    listFdb(nl, { port: tunnel }).length,
    listNeighbours(nl, { link: tunnel }).filter(({ state }) => state === 'permanent').length,
    listRoutes(nl, { link: tunnel }).filter(({ protocol, onlink }) => protocol === 99 && onlink).length,
  ]
  t.strictSame(nl.changeEach(told('add')), [])
  t.strictSame(counts(), [1_000, 1_000, 1_000])
  t.equal((await world.json('ip', '-j', 'route', 'show', 'proto', '99')).length, 1_000)
  const again = nl.changeEach(told('add'))
  t.equal(again.length, 3_000)
  t.ok(again.every(({ errno }) => errno === constants.errno.EEXIST))
  t.strictSame(nl.changeEach(told('delete')), [])
  t.strictSame(counts(), [0, 0, 0])
})
