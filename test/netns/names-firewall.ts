/**
 *     client eth0 ───────────── lan0 host ─┬─ br-front 10.10.0.1 ─── a, b, c
 *       name server of others              └─ br-back  10.20.0.1 ─── c, d
 *
 * Containers find each other by names that the gateways of their networks tell.
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { askTcp, askUdp } from '../support/dns.ts'
import { FRONT, FRONT6, named, withNames } from '../support/names.ts'
import { BACKENDS } from '../support/scene.ts'

t.setTimeout(600_000)

/** Of a host whose INPUT drops: what needs no rule of ours. */
const ALLOWED = ['-i lo -j ACCEPT', '-m conntrack --ctstate ESTABLISHED -j ACCEPT']
const INPUT = { iptables: ALLOWED, ip6tables: [...ALLOWED, '-p icmpv6 -j ACCEPT'] }

for (const backend of BACKENDS) {
  t.test(`${backend}: where INPUT drops, names are answered to the network, and to nobody else`, async t => {
    const { scene, tsnet, front, back } = await withNames(t, backend, 'a', 'b', 'd')
    for (const [tool, rules] of Object.entries(INPUT)) {
      await scene.host.run(tool, '-P', 'INPUT', 'DROP')
      for (const rule of rules) await scene.host.run(tool, '-A', 'INPUT', ...rule.split(' '))
    }
    await scene.remember()
    const daemon = await tsnet.daemon()
    const [a, b, d] = [scene.get('a'), scene.get('b'), scene.get('d')]
    const result = await front.add(a, named('web'))
    await front.add(b, named('b'))
    await back.add(d, named('d'))
    for (const server of [FRONT, FRONT6])
      for (const ask of [askUdp, askTcp])
        t.match(await ask(b, { server, name: 'web' }), { code: 'NOERROR' }, `${ask.name} ${server}`)
    t.match(await askUdp(scene.host, { server: FRONT, name: 'web' }), { code: 'NOERROR' }, 'the host')
    await front.check(a, result, named('web'))
    for (const tool of ['iptables', 'ip6tables']) await scene.host.run(tool, '-F', 'INPUT')
    const asks = (server: string, ask: typeof askUdp) => async () =>
      typeof (await ask(b, { server, name: 'web', withinMs: 300 })) !== 'string'
    for (const server of [FRONT, FRONT6])
      for (const ask of [askUdp, askTcp])
        await waitFor(asks(server, ask), { what: `an answer where INPUT was emptied: ${ask.name} ${server}` })
    for (const [tool, rules] of Object.entries(INPUT))
      for (const rule of rules) await scene.host.run(tool, '-A', 'INPUT', ...rule.split(' '))
    await front.delete(a, named('web'))
    await front.delete(b)
    await back.delete(d)
    await daemon.stop()
    // What the host itself asked over lo is a connection of nobody else, for half a minute.
    t.strictSame(
      await scene.residue(line => !line.startsWith('connection host udp src=10.10.0.1 dst=10.10.0.1')),
      [],
    )
  })
}

t.test('nftables: a firewall that begins to drop later keeps no names from the network', async t => {
  const { scene, tsnet, front } = await withNames(t, 'nftables', 'a', 'b')
  const daemon = await tsnet.daemon()
  const [a, b] = [scene.get('a'), scene.get('b')]
  await front.add(a, named('web'))
  await front.add(b, named('b'))
  const isAnswered = async (server: string): Promise<boolean> =>
    typeof (await askUdp(b, { server, name: 'web', withinMs: 300 })) !== 'string'
  t.ok(await isAnswered(FRONT))
  await scene.host.run('iptables', '-A', 'INPUT', '-j', 'DROP')
  await waitFor(() => isAnswered(FRONT), { what: 'an answer where a rule drops' })
  await scene.host.run('ip6tables', '-P', 'INPUT', 'DROP')
  for (const rule of INPUT.ip6tables) await scene.host.run('ip6tables', '-A', 'INPUT', ...rule.split(' '))
  await waitFor(() => isAnswered(FRONT6), { what: 'an answer where the policy drops' })
  await front.delete(a, named('web'))
  await front.delete(b)
  await daemon.stop()
})
