/** What fails where a network of three hosts leaves by one of them. */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { EXECUTABLE } from '../support/daemon.ts'
import { becomes, FIXED, NEAR, OUTSIDE, seenAs, worldOf } from '../support/egress-site.ts'
import type { Machine } from '../support/host-site.ts'
import { NO_DAEMON } from '../support/no-daemon.ts'

t.setTimeout(600_000) // on a busy machine

const CNI = { CNI_IFNAME: 'eth0', CNI_PATH: '/opt/cni/bin', TSNET_NAT: 'nftables', ...NO_DAEMON }

const DAMAGE = [
  'ip rule delete priority 20117',
  'ip -6 rule delete priority 20116',
  'nft delete table inet $(nft list tables | grep -o "tsnet-out-.*")',
]

t.test(
  'its rules are missed by CHECK when others take them away, and come back; a list that goes leaves nothing',
  async t => {
    const { site, one, three, ids, leave } = await worldOf(t, 'nftables', 'vxlan')
    const residue = async (machine: Machine): Promise<string> => {
      const commands = [
        'ip rule',
        'ip -6 rule',
        'ip route show table all proto 116',
        'nft list tables',
        'sysctl net.ipv4.ip_forward',
        'ls /run/tsnet/transits 2>/dev/null || true',
      ]
      const { stdout } = await machine.host.run('sh', '-c', commands.join('; '))
      return stdout
    }
    await leave({ host: ids[2], address: FIXED[0], address6: FIXED[1] })
    const a = await site.container(one, 'a')
    const call = (command: string, more: object = {}) =>
      one.host.run(EXECUTABLE, {
        env: { ...CNI, CNI_COMMAND: command, CNI_NETNS: '/run/netns/z', CNI_CONTAINERID: 'z' },
        stdin: JSON.stringify({
          ...JSON.parse(site.list({ ...site.config, egress: { host: ids[2] } })).plugins[0],
          name: 'front',
          cniVersion: '1.0.0',
          ...more,
        }),
      })
    await one.host.namespace('z')
    const prevResult = JSON.parse((await call('ADD')).stdout)
    const check = () => call('CHECK', { prevResult })
    await check()
    // Nobody who puts it back at once.
    process.kill(Number(one.daemon.pid), 'SIGKILL')
    await one.daemon.finished
    for (const damage of DAMAGE) await one.host.run('sh', '-c', damage)
    const { stdout: said } = await check().catch(thrown => thrown as { stdout: string })
    t.match(said, /ip -4 rule add from .* by which network front leaves by another host.*tsnet-out-/s)
    one.daemon = await one.tsnet.daemon()
    await becomes('it comes back', FIXED[0], a, OUTSIDE[0])
    await waitFor(
      () =>
        check().then(
          () => true,
          () => false,
        ),
      { what: 'CHECK is content' },
    )
    t.match(await residue(three), /ip_forward = 1/)

    await one.tsnet.run('detach', 'front', 'netns:a')
    await call('DEL')
    for (const { host } of site.machines) await host.run('rm', '/etc/cni/net.d/front.conflist')
    for (const machine of site.machines)
      await waitFor(
        async () => !/proto 116|2011[67]:|tsnet-|ip_forward = 1|json/.test(await residue(machine)),
        { what: 'nothing is left' },
      )
  },
)

t.test('where nothing may leave meanwhile, rules that others take away are back at once', async t => {
  const { site, one, ids, leave } = await worldOf(t, 'nftables', 'vxlan')
  await leave({ host: ids[2], address: FIXED[0], address6: FIXED[1] })
  const a = await site.container(one, 'a')
  t.equal(await seenAs(a, OUTSIDE[0]), FIXED[0])
  const isThere = async (what: string) =>
    (await one.host.run('sh', '-c', 'ip rule; ip -6 rule; nft list tables')).stdout.includes(what)
  for (const [i, what] of ['20117:', '20116:', 'tsnet-out-'].entries()) {
    const began = performance.now()
    await one.host.run('sh', '-c', DAMAGE[i] ?? '')
    await waitFor(() => isThere(what), { what: `${what} is back`, withinMs: 20_000 })
    t.comment(`figure: hosts, ${DAMAGE[i]}: ${Math.round(performance.now() - began)} ms`)
  }
  await becomes('it leaves as it did', FIXED[0], a, OUTSIDE[0])
})

for (const otherwise of ['none', 'own'] as const) {
  t.test(
    `where the host of choice is gone, ${otherwise} takes its place, and it has it again once it is back`,
    async t => {
      const { site, one, two, three, ids, leave } = await worldOf(t, 'iptables', 'vxlan', {
        routesKept: '3s',
      })
      await leave({ host: ids[2], address: FIXED[0], address6: FIXED[1], otherwise })
      const a = await site.container(one, 'a')
      t.equal(await seenAs(a, OUTSIDE[0]), FIXED[0])
      process.kill(Number(three.daemon.pid), 'SIGKILL')
      await three.daemon.finished
      const instead = (i: 0 | 1): string => (otherwise === 'own' ? one.addresses[i] : 'nobody')
      await becomes('the others notice', instead(0), a, OUTSIDE[0])
      await becomes('for the other family, too', instead(1), a, OUTSIDE[1])
      t.equal(await seenAs(a, NEAR[0]), one.addresses[0], 'what is near goes on')
      if (otherwise === 'none') {
        // Nor does a container that comes when no daemon is there to see to it.
        process.kill(Number(one.daemon.pid), 'SIGKILL')
        await one.daemon.finished
        await one.host.run(
          'sh',
          '-c',
          'ip rule flush priority 20116; ip rule del priority 20117; ip route flush table all proto 116; nft delete table inet $(nft list tables | grep -o "tsnet-out-.*")',
        )
        const late = await site.container(one, 'late')
        t.equal(await seenAs(late, OUTSIDE[0]), 'nobody')
        one.daemon = await one.tsnet.daemon()
        t.equal(await seenAs(late, OUTSIDE[0]), 'nobody')
      }
      await leave({ host: [ids[2], ids[1]], otherwise }, [one, two])
      await becomes('the second one takes over', two.addresses[0], a, OUTSIDE[0])
      three.daemon = await three.tsnet.daemon()
      await becomes('and the first has it back', three.addresses[0], a, OUTSIDE[0])
    },
  )
}
