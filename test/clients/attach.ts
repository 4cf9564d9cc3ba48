/**
 * Containers that a real docker, podman or containerd runs without a network join one by `tsnet attach`, and
 * leave it.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { snapshot } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { Containerd, ROOTFS } from '../support/containerd.ts'
import { Command } from '../support/daemon.ts'
import { Dockerd } from '../support/dockerd.ts'
import { readNetworkList } from '../support/libcni.ts'
import { Podman } from '../support/podman.ts'
import { at, clientReads, families, leftovers, type Site, siteFor } from '../support/site.ts'

t.setTimeout(600_000)

const list = readNetworkList('ports')

/**
 * Puts the running container `web` on the network, asks for its page, and takes it off again.
 * @param kept matches what the runtime keeps for itself
 */
async function joinsAndLeaves(
  t: Test,
  site: Site,
  {
    word,
    folder = '/etc/cni/net.d',
    kept,
    env = {},
  }: {
    word: string
    folder?: string
    kept: RegExp
    env?: Record<string, string>
  },
): Promise<void> {
  const { host } = site
  mkdirSync(host.path(folder), { recursive: true })
  writeFileSync(host.path(`${folder}/attach.conflist`), JSON.stringify(list))
  const before = await snapshot(host)
  const command = new Command(host, 'iptables', env)
  const where = ['--conf-dir', folder]
  const { stdout } = await command.run('attach', list.name, word, '-p', '8080:80', ...where)
  t.match(stdout, /^web eth\d ports 10\.77\.2\.\d+\/24 fd00:77:2::\w+\/64\n$/)
  for (const family of families) {
    t.equal(await clientReads(site, family, 8080), `web saw ${at.client[family]}\n`)
  }
  await command.run('detach', list.name, word, ...where)
  t.same(leftovers(before, await snapshot(host), kept), [])
}

t.test('a container of docker without a network joins one', async t => {
  const site = await siteFor(t)
  const docker = await Dockerd.start(site.host)
  await docker.web('web', '--network', 'none')
  await joinsAndLeaves(t, site, { word: 'docker:web', kept: await docker.keeps() })
})

t.test('a container of podman without a network joins one', async t => {
  const site = await siteFor(t)
  const podman = await Podman.start(site.host, list)
  writeFileSync(site.host.path('/srv/storage.conf'), '[storage]\ndriver = "vfs"\ngraphroot = "/srv/podman"\n')
  await podman.container('web', ['--network', 'none'], ...webServer('web'))
  const env = { CONTAINERS_STORAGE_CONF: '/srv/storage.conf' }
  await joinsAndLeaves(t, site, { word: 'podman:web', folder: '/srv/nets', kept: /podman|runc/, env })
  await podman.run('rm', '-f', '-t', '0', 'web')
})

t.test('a container of containerd without a network joins one', async t => {
  const site = await siteFor(t)
  const containerd = await Containerd.start(site.host, list)
  await containerd.ctr('run', '--detach', '--null-io', '--rootfs', ROOTFS, 'web', ...webServer('web'))
  await joinsAndLeaves(t, site, { word: 'containerd:web', folder: '/srv/nets', kept: /containerd|runc/ })
})
