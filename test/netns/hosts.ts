/**
 * One network over three hosts: containers reach each other, and nobody else gets in.
 *
 *     etcd ── sw0 ─┬─ eth0 one ── front0 ── a
 *                  ├─ eth0 two ── front0 ── b
 *                  └─ eth0 three ── front0 ── c
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { deviceName } from '../../src/hosts/carrier/plan.ts'
import { type Container, HostSite, type Machine, PORT, SUBNETS } from '../support/host-site.ts'

t.setTimeout(600_000) // on a busy machine

const NAMES = ['one', 'two', 'three']

async function threeContainers(site: HostSite): Promise<Container[]> {
  await site.settled()
  return Promise.all(site.machines.map((machine, n) => site.container(machine, 'abc'[n] ?? '')))
}

for (const [carrier, backend] of [
  ['vxlan', 'nftables'],
  ['vxlan', 'iptables'],
  ['routes', 'nftables'],
] as const) {
  t.test(
    `${carrier}, ${backend}: containers of three hosts reach each other, and nobody else gets in`,
    async t => {
      const site = await HostSite.open(t, backend, NAMES, { ipMasq: true, hosts: { carrier } })
      const containers = await threeContainers(site)
      const [a, b, c] = containers as [Container, Container, Container]
      const mtu = carrier === 'vxlan' ? 1450 : 1500
      const ping = (from: Container, address: string, more: number) => {
        const payload = mtu - (address.includes(':') ? 48 : 28) + more
        return from.namespace.run('ping', '-c1', '-w1', '-M', 'do', '-s', String(payload), address)
      }
      for (const from of containers) {
        for (const to of containers.filter(each => each !== from)) {
          for (const [address, own] of [
            [to.v4, from.v4],
            [to.v6, from.v6],
          ] as const) {
            const where = `${from.namespace.name} to ${to.namespace.name} at ${address}`
            t.match(
              await from.namespace.ask('tcp', address, PORT),
              { place: to.namespace.name, peer: own },
              where,
            )
            t.match(await from.namespace.ask('udp', address, PORT), { peer: own }, where)
            await ping(from, address, 0)
          }
        }
      }
      await t.rejects(ping(a, b.v4, 1), 'no packet is longer')
      for (const [n, machine] of site.machines.entries()) {
        const other = containers[(n + 1) % 3] as Container
        const place = other.namespace.name
        t.match(await machine.host.ask('tcp', other.v4, PORT), { place }, 'a host reaches them too')
        t.match(await machine.host.ask('tcp', other.v6, PORT), { place })
      }

      // What leaves the network has the host's address.
      site.middle.listen('tcp', PORT)
      for (const [n, from] of containers.entries()) {
        const [v4, v6] = site.machines[n]?.addresses ?? []
        t.match(await from.namespace.ask('tcp', '192.168.77.1', PORT), { peer: v4 })
        t.match(await from.namespace.ask('tcp', 'fd77::1', PORT), { peer: v6 })
      }

      // Who is no host gets in under his own address no more than under one of the network.
      const [v4, v6] = site.machines[0]?.addresses ?? ['', '']
      site.middle.route(SUBNETS[0], v4)
      site.middle.route(SUBNETS[1], v6)
      const outside = async (address: string, from: string) =>
        site.middle.run(
          'socat',
          '-T1',
          `TCP:${address.includes(':') ? `[${address}]` : address}:${PORT},bind=${from},connect-timeout=0.5`,
          'SYSTEM:true',
        )
      await t.rejects(outside(a.v4, '192.168.77.1'))
      await t.rejects(outside(a.v6, '[fd77::1]'))
      const nobodys = ['10.200.255.1', 'fd00:200:0:ffff::1'] as const
      site.middle.address('lo', `${nobodys[0]}/32`, `${nobodys[1]}/128`)
      const seen = await heard(a, async () => {
        await t.rejects(outside(a.v4, nobodys[0]))
        await t.rejects(outside(a.v6, `[${nobodys[1]}]`))
      })
      t.strictSame(seen, [], 'nothing of it reaches the container')
      t.ok(c.v4 !== '')
    },
  )
}

/** What arrives at a container meanwhile from outside of its own host: sources of packets. */
async function heard({ namespace }: Container, work: () => Promise<unknown>): Promise<string[]> {
  const dump = namespace.start('tcpdump', '-lnni', 'eth0', '--immediate-mode', `tcp dst port ${PORT}`)
  await waitFor(() => dump.stderr.includes('listening on'), { what: 'tcpdump listens' })
  await work()
  // A packet that does arrive ends the wait for those that should not.
  const { stdout } = await dump.stop('SIGTERM')
  return stdout.split('\n').filter(line => line !== '')
}

t.test('vxlan: what a stranger tunnels is dropped, and a host that joins is let in at once', async t => {
  const site = await HostSite.open(t, 'nftables', ['one'], { hosts: { carrier: 'vxlan' } })
  await site.settled()
  const one = site.machines[0] as Machine
  const a = await site.container(one, 'a')
  const device = deviceName('front')
  const [link] = JSON.parse((await one.host.run('ip', '-j', '-d', 'link', 'show', 'dev', device)).stdout)
  t.match(link, { mtu: 1450, linkinfo: { info_data: { learning: false, port: 4789 } } })
  // The same by hand, from a machine that is no host.
  const hand = (...words: string[]) => site.middle.run('ip', ...words)
  const id = String(link.linkinfo.info_data.id)
  await hand(
    'link',
    'add',
    'evil',
    'type',
    'vxlan',
    'id',
    id,
    'dstport',
    '4789',
    'nolearning',
    'local',
    '192.168.77.1',
  )
  await hand('link', 'set', 'dev', 'evil', 'up')
  await hand('address', 'add', '10.200.254.1/32', 'dev', 'evil')
  await hand('route', 'add', `${a.v4}/32`, 'dev', 'evil', 'src', '10.200.254.1')
  await hand('neighbour', 'add', a.v4, 'lladdr', link.address, 'dev', 'evil')
  await site.middle.run('bridge', 'fdb', 'add', link.address, 'dev', 'evil', 'dst', one.addresses[0], 'self')
  const knock = () => site.middle.run('socat', '-T1', '-u', 'SYSTEM:echo hello', `UDP:${a.v4}:9`)
  const arrives = async () => {
    const dump = a.namespace.start('tcpdump', '-lnni', 'eth0', '--immediate-mode', '-c1', 'udp dst port 9')
    await waitFor(() => dump.stderr.includes('listening on'), { what: 'tcpdump listens' })
    await knock()
    return dump
  }
  const strange = await arrives()
  await one.host.run('nft', 'list', 'table', 'inet', `tsnet-${device}`)
  t.notMatch((await strange.stop('SIGTERM')).stdout, /hello|UDP/)
  // A control: without the guard it arrives.
  await one.host.run('nft', 'delete', 'table', 'inet', `tsnet-${device}`)
  const through = await arrives()
  t.match((await through.finished).stdout, /UDP/)
  // And the guard comes back.
  await waitFor(() => one.host.run('nft', 'list', 'table', 'inet', `tsnet-${device}`), {
    what: 'the guard is there again',
  })
  const two = await site.add('two')
  await site.settled()
  const b = await site.container(two, 'b')
  t.match(await b.namespace.ask('tcp', a.v4, PORT), { place: 'a' })
})
