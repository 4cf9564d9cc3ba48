/** A network that is made by hand is containerd's as well: ctr takes the list of the folder, and its containers have names. */

import { rmSync } from 'node:fs'
import t from 'tap'
import { snapshot, waitFor } from 'tsnet/lab'
import type { NetworkDetails } from '../../src/networks/networks.ts'
import { webServer } from '../support/busybox.ts'
import { Containerd, ROOTFS } from '../support/containerd.ts'
import { Command } from '../support/daemon.ts'
import { readNetworkList } from '../support/libcni.ts'
import { leftovers, siteFor } from '../support/site.ts'

t.setTimeout(600_000)

t.test('ctr runs a container on a network made by hand, where it has a name', async t => {
  const { host } = await siteFor(t)
  const containerd = await Containerd.start(host, readNetworkList('ports'))
  rmSync(host.path('/etc/cni/net.d/10-test.conflist'))
  const tsnet = new Command(host, 'iptables')
  const before = await snapshot(host)
  const daemon = await tsnet.daemon()
  await tsnet.run('network', 'create', 'front', '--names')
  await containerd.ctr(
    'run',
    '--detach',
    '--cni',
    '--null-io',
    '--rootfs',
    ROOTFS,
    'web',
    ...webServer('web'),
  )
  const inspected = async () => {
    const [front] = JSON.parse((await tsnet.run('network', 'inspect', 'front')).stdout) as [NetworkDetails]
    return front
  }
  t.match((await inspected()).attachments, [{ name: 'default-web', ifname: 'eth0', alive: true }])
  const { stdout } = await tsnet.run('resolve', 'default-web')
  const address =
    stdout
      .trim()
      .split(/\s/)
      .find(word => word.startsWith('10.')) ?? stdout
  const page = await waitFor(() => host.fetch(`http://${address}/cgi-bin/who`), { what: 'a page of it' })
  t.match(page.body, /^web saw /)
  await containerd.kill('web')
  await waitFor(async () => /STOPPED/.test(await containerd.ctr('task', 'ls')), { what: 'its end' })
  await containerd.ctr('task', 'delete', 'web')
  await containerd.ctr('container', 'delete', 'web')
  // ctr 1 takes nobody off whom it started detached.
  await tsnet.run('network', 'rm', '--force', 'front')
  t.match(await daemon.stop(), { code: 0 })
  t.same(leftovers(before, await snapshot(host), /containerd|\/run\/runc|\/var\/lib\/cni|tcp TIME_WAIT/), [])
})
