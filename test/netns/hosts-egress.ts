/** Ways out of a network of three hosts: by one of them, whoever carries packets and whichever rules the hosts have. */

import t from 'tap'
import { FIXED, NEAR, OUTSIDE, seenAs, worldOf } from '../support/egress-site.ts'
import { PORT } from '../support/host-site.ts'

t.setTimeout(600_000) // on a busy machine

for (const [carrier, backend] of [
  ['vxlan', 'nftables'],
  ['vxlan', 'iptables'],
  ['routes', 'nftables'],
  ['routes', 'iptables'],
] as const) {
  t.test(`${carrier}, ${backend}: what leaves does so by the host of choice, and comes back`, async t => {
    const { site, outside, one, two, three, ids, leave } = await worldOf(t, backend, carrier)
    const before = await site.container(one, 'before')
    for (const [i, to] of OUTSIDE.entries())
      t.equal(await seenAs(before, to), one.addresses[i], 'a control: without, it leaves by its own host')
    await one.tsnet.run('detach', 'front', 'netns:before')
    // As Docker leaves it, and as strict as RHEL.
    for (const family of ['', '6']) await three.host.run(`ip${family}tables`, '-P', 'FORWARD', 'DROP')
    for (const { host } of site.machines) await host.run('sysctl', '-w', 'net.ipv4.conf.all.rp_filter=1')
    await leave({ host: ids[2], address: FIXED[0], address6: FIXED[1] })
    const [a, b, c] = [
      await site.container(one, 'a'),
      await site.container(two, 'b'),
      await site.container(three, 'c'),
    ]
    for (const from of [a, b, c]) {
      const host = from === a ? one : from === b ? two : three
      for (const [i, to] of OUTSIDE.entries()) {
        for (const transport of ['tcp', 'udp'] as const)
          t.equal(await seenAs(from, to, transport), FIXED[i], `${from.namespace.name} ${transport} ${to}`)
        const near = await seenAs(from, NEAR[i] ?? '')
        t.equal(near, from === c ? FIXED[i] : host.addresses[i], 'what is near its host is its own business')
        await from.namespace.run(
          'ping',
          '-c1',
          '-w2',
          '-M',
          'do',
          '-s',
          String((carrier === 'vxlan' ? 1450 : 1500) - (i === 0 ? 28 : 48)),
          to,
        )
      }
      for (const other of [a, b, c].filter(each => each !== from)) {
        t.equal(await seenAs(from, other.v4), from.v4, 'within the network all have their own addresses')
        t.equal(await seenAs(from, other.v6), from.v6)
      }
    }
    await one.tsnet.run('publish', `8080:${PORT}`, 'netns:a')
    for (const [i, address] of one.addresses.entries())
      t.match(
        await outside.ask('tcp', address, 8080),
        { place: 'a', peer: OUTSIDE[i] },
        'answers go back as they came',
      )
  })
}
