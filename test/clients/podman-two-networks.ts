/**
 * A real podman with a container on two CNI networks: podman gives each of them the same list of ports, and
 * listens on these itself. Networks are joined and left while it runs, and made anew.
 */

import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Snapshot, snapshot, waitFor } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { Command } from '../support/daemon.ts'
import { needCni, Podman } from '../support/podman.ts'
import { clientReads, forwardAll, leftovers, type Site, siteFor } from '../support/site.ts'
import { ALL } from '../support/stock.ts'
import { type Kind, listOf } from '../support/two-networks.ts'

t.setTimeout(600_000) // of the whole file; tap's own 30 s are short where other work goes on

/** What podman keeps for itself; and of chains the pools and bridges, which the reference leaves as well. */
const KEPT =
  /podman|\/run\/runc|mount \/run\/netns|cni\/networks|link host br\d|br[12]\b|forward|accept_redirects|cni_plugins_masquerade/

interface Scene extends Site {
  podman: Podman
  before: Snapshot
}

async function open(t: Test, first: Kind, second: Kind): Promise<Scene> {
  const site = await siteFor(t)
  await forwardAll(site.host)
  const podman = await Podman.start(site.host, listOf(first, 1, '1.0.0'), ALL)
  writeFileSync(
    site.host.path('/etc/cni/net.d/20-second.conflist'),
    JSON.stringify(listOf(second, 2, '1.0.0')),
  )
  await podman.run('container', 'ls') // makes what podman keeps for itself
  return { ...site, podman, before: await snapshot(site.host) }
}

needCni(() => {
  for (const [first, second, daemon] of [
    ['tsnet/iptables', 'tsnet/iptables', true],
    ['tsnet/nftables', 'tsnet/nftables', false],
    ['chain/iptables', 'chain/iptables', false],
    ['chain/iptables', 'tsnet/nftables', true],
  ] as [Kind, Kind, boolean][]) {
    const how = `${first} and ${second}${daemon ? ', with the daemon' : ''}`
    t.test(
      `${how}: podman's containers are on two networks, and answer on their ports all the time`,
      async t => {
        const scene = await open(t, first, second)
        const { host, podman, before } = scene
        const running = daemon ? await new Command(host, 'iptables').daemon() : undefined
        const reads = async (what: string) => {
          t.match(await clientReads(scene, 'v4', 8080), /^web saw /, what)
          if (!daemon) return
          const page = () =>
            host.fetch('http://127.0.0.1:8080/cgi-bin/who').then(
              ({ body }) => body,
              () => '',
            )
          await waitFor(async () => (await page()).startsWith('web saw '), { what: `localhost, ${what}` })
        }
        await podman.container('web', ['-p', '8080:80', '--network', 'net1,net2'], ...webServer('web'))
        await reads('on both')
        await podman.run('network', 'disconnect', 'net1', 'web')
        await reads('off the first')
        await podman.run('network', 'connect', 'net1', 'web')
        await reads('on it again')
        await podman.run('network', 'disconnect', 'net2', 'web')
        await reads('off the second')
        await podman.run('network', 'connect', 'net2', 'web')
        await podman.run('network', 'reload', 'web')
        await reads('rules made anew')
        await podman.run('restart', '-t', '0', 'web')
        await reads('restarted')
        await t.rejects(
          podman.container('db', ['-p', '8080:80', '--network', 'net2'], ...webServer('db')),
          /8080/,
        )
        await podman.run('rm', '-f', '-t', '0', 'web')
        await podman.run('rm', '-f', '-t', '0', '-i', 'db')
        if (running !== undefined) t.match(await running.stop(), { code: 0 })
        const ended = /^connection host tcp /
        t.same(
          leftovers(before, await snapshot(host), KEPT).filter(line => !ended.test(line)),
          [],
        )
      },
    )
  }
})
