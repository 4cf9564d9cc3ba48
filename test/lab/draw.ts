/** Topologies as text. */

import t from 'tap'
import { draw, type Pictured } from '../../src/lab/draw.ts'

const veth = (name: string, addresses: string[], place: string, link: string) => ({
  name,
  kind: 'veth',
  addresses,
  peer: { place, link },
})

const host: Pictured = {
  name: 'host',
  links: [
    veth('lan0', ['192.168.50.1/24'], 'client', 'eth0'),
    { ...veth('veth1', [], 'web', 'eth0'), master: 'br0' },
    { ...veth('longer2', [], 'db', 'eth0'), master: 'br0' },
    { name: 'br0', kind: 'bridge', addresses: ['10.9.0.1/24', 'fd09::1/64'] },
    { name: 'tun7', kind: 'vxlan', addresses: [] },
  ],
}
const client: Pictured = { name: 'client', links: [veth('eth0', ['192.168.50.2/24'], 'host', 'lan0')] }
const web: Pictured = { name: 'web', links: [veth('eth0', ['10.9.0.2/24'], 'host', 'veth1')] }
const db: Pictured = { name: 'db', links: [veth('eth0', ['10.9.0.3/24'], 'host', 'longer2')] }

t.test('a host is drawn with its links, ports under their bridge, wires with their far ends', async t => {
  t.equal(
    draw([host, client, web, db]),
    `host
├─ lan0 192.168.50.1/24 ── client eth0 192.168.50.2/24
├─ br0 (bridge) 10.9.0.1/24 fd09::1/64
│  ├─ veth1 ────────────── web eth0 10.9.0.2/24
│  └─ longer2 ──────────── db eth0 10.9.0.3/24
└─ tun7 (vxlan)
`,
  )
})

t.test('a place without links, or with a wire out of the picture, stands for itself', async t => {
  t.equal(draw([{ name: 'idle', links: [] }, web]), 'idle\nweb\n└─ eth0 10.9.0.2/24\n')
})

t.test('two containers wired to each other are drawn once', async t => {
  const a: Pictured = { name: 'a', links: [veth('eth0', [], 'b', 'eth1'), veth('eth9', [], 'x', 'y')] }
  const b: Pictured = { name: 'b', links: [veth('eth1', ['fd00::2/64'], 'a', 'eth0')] }
  t.equal(draw([a, b]), 'a\n├─ eth0 ── b eth1 fd00::2/64\n└─ eth9\n')
})
