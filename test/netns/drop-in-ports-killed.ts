/** The drop-in plugins portmap and firewall: many at once, and killed at any moment. */

import { resolve } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import t from 'tap'
import { diff, snapshot, waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { Chained, chainedSite, resultFor } from '../support/nat-chain.ts'
import { addresses, iptablesNft, type NatSite, nftables } from '../support/nat-site.ts'
import { answers } from '../support/reach.ts'

t.setTimeout(600_000)

/** What is different on the host, once the commands that have done their work have ended as well. */
async function left({ host }: NatSite, before: Awaited<ReturnType<typeof snapshot>>): Promise<string[]> {
  let lines: string[] = []
  const isClean = async () => {
    lines = diff(before, await snapshot(host)).filter(line => !line.startsWith('connection '))
    return !lines.some(line => line.startsWith('process '))
  }
  await waitFor(isClean, { what: 'commands to end' }).catch(() => {})
  return lines
}

const COUNT = 8

for (const [variant, daemon] of [
  [iptablesNft, false],
  [iptablesNft, true],
  [nftables, false],
] as const) {
  const how = daemon ? `${variant.name}, by the daemon` : variant.name
  t.test(`${how}: ${COUNT} containers at once, of which each gets its own port`, async t => {
    const site = await chainedSite(t, variant)
    if (daemon) await new Command(site.host, variant.backend).daemon()
    const { host, client } = site
    const [ports, wall] = [
      new Chained(site, 'portmap'),
      new Chained(site, 'firewall', { backend: 'iptables', ingressPolicy: 'same-bridge' }),
    ]
    const all = Array.from({ length: COUNT }, (_, i) => i)
    for (const i of all) site.get('web').address('eth0', `10.1.0.${10 + i}/24`)
    const before = await snapshot(host)
    // One namespace will do: the plugins go by container id and address.
    const call = (i: number) => ({
      containerId: `web-${i}`,
      prevResult: { ...resultFor('web'), ips: [{ address: `10.1.0.${10 + i}/24`, interface: 2 }] },
      ports: [{ hostPort: 8000 + i, containerPort: 80 }],
    })
    await Promise.all(all.map(async i => ports.add('web', call(i)).then(() => wall.add('web', call(i)))))
    for (const i of all) {
      t.equal(await answers(client, 'tcp', addresses.lan[4], 8000 + i), 'web')
      await ports.check('web', call(i))
      await wall.check('web', call(i))
    }
    const rivals = await Promise.allSettled(
      all.map(i =>
        ports.add('web', {
          ...call(i),
          containerId: `rival-${i}`,
          ports: [{ hostPort: 9000, containerPort: 80 }],
        }),
      ),
    )
    t.equal(rivals.filter(({ status }) => status === 'fulfilled').length, 1, 'one of many gets one port')
    await Promise.all(
      all.flatMap(i => [
        wall.delete('web', call(i)).then(() => ports.delete('web', call(i))),
        ports.delete('web', { ...call(i), containerId: `rival-${i}` }),
      ]),
    )
    t.strictSame(await left(site, before), [])
  })
}

for (const variant of [iptablesNft, nftables]) {
  t.test(`${variant.name}: killed while it adds or deletes, DEL takes the rest away`, async t => {
    const site = await chainedSite(t, variant)
    const { host } = site
    const before = await snapshot(host)
    // firewall knows no nftables.
    for (const type of variant.backend === 'iptables'
      ? (['portmap', 'firewall'] as const)
      : (['portmap'] as const)) {
      const plugin = new Chained(site, type, type === 'firewall' ? { backend: 'iptables' } : {})
      const ports = [{ hostPort: 8080, containerPort: 80 }]
      for (const command of ['ADD', 'DEL'] as const) {
        for (let ms = 40; ms <= 200; ms += 40) {
          if (command === 'DEL') await plugin.add('web', { ports })
          const running = host.start(resolve(`dist/drop-in/${type}`), {
            env: {
              CNI_COMMAND: command,
              CNI_CONTAINERID: 'web',
              CNI_NETNS: '/run/netns/web',
              CNI_IFNAME: 'eth0',
              CNI_PATH: '/opt/cni/bin',
              TSNET_NAT: variant.backend,
            },
            stdin: JSON.stringify({
              ...plugin.get('ours').config,
              prevResult: resultFor('web'),
              runtimeConfig: { portMappings: ports.map(port => ({ protocol: 'tcp', ...port })) },
            }),
          })
          await Promise.race([after(ms), running.finished])
          await running.stop('SIGKILL')
          await plugin.get('ours').delete('web', { netns: '' })
          t.strictSame(await left(site, before), [], `${type} ${command} killed after ${ms} ms`)
        }
      }
    }
  })
}
