/**
 * A real lxc container that has nothing but loopback joins a network by `tsnet attach`, with a port of the
 * host, and leaves it: while it runs, and when it has ended.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Snapshot, snapshot } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { Command } from '../support/daemon.ts'
import { readNetworkList } from '../support/libcni.ts'
import { Lxc } from '../support/lxc.ts'
import { at, clientReads, families, leftovers, type Site, siteFor } from '../support/site.ts'

t.setTimeout(600_000)

/** What the monitor keeps. */
const lxcs = /lxc|cgroup/

interface Scene extends Site {
  lxc: Lxc
  command: Command
  before: Snapshot
}

async function open(t: Test): Promise<Scene> {
  const site = await siteFor(t)
  const lxc = await Lxc.start(site.host)
  mkdirSync(site.host.path('/etc/cni/net.d'))
  writeFileSync(site.host.path('/etc/cni/net.d/ports.conflist'), JSON.stringify(readNetworkList('ports')))
  lxc.create('web', undefined, webServer('web'))
  await lxc.up('web')
  const command = new Command(site.host, 'iptables')
  return { ...site, lxc, command, before: await snapshot(site.host) }
}

async function joins(t: Test, scene: Scene): Promise<void> {
  const { stdout } = await scene.command.run('attach', 'ports', 'lxc:web', '-p', '8080:80')
  t.match(stdout, /^web eth0 ports 10\.77\.2\.\d+\/24 fd00:77:2::\w+\/64\n$/)
  for (const family of families) {
    t.equal(await clientReads(scene, family, 8080), `web saw ${at.client[family]}\n`)
  }
}

t.test('a running lxc container joins a network and leaves it', async t => {
  const scene = await open(t)
  const { command, host, lxc, before } = scene
  await joins(t, scene)
  t.match(await command.try('attach', 'ports', 'web'), {
    code: 1,
    stderr: /web is on network ports already, as eth0/,
  })
  t.match(await command.run('detach', 'ports', 'web'), { stdout: 'web eth0 ports detached\n' })
  t.same(leftovers(before, await snapshot(host), lxcs), [])
  t.match(await command.try('detach', 'ports', 'web'), { code: 1, stderr: /web is not on network ports/ })
  await lxc.down('web')
})

t.test('an lxc container that has ended leaves its network, and one started anew joins it', async t => {
  const scene = await open(t)
  const { command, host, lxc, before } = scene
  await joins(t, scene)
  await lxc.down('web')
  await lxc.up('web')
  await joins(t, scene)
  await lxc.down('web')
  await command.run('detach', 'ports', 'lxc:web')
  await lxc.up('web')
  t.same(leftovers(before, await snapshot(host), lxcs), [])
  await lxc.down('web')
})
