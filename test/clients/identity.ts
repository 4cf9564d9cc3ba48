/**
 * Containers that ctr, Kubernetes and podman put on a network are known to `tsnet attach` and `tsnet detach` by
 * the names that their users gave them, and are the same containers there.
 */

import { readdirSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { Host } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { Containerd, IMAGE } from '../support/containerd.ts'
import { Command } from '../support/daemon.ts'
import { readNetworkList } from '../support/libcni.ts'
import { hasCni, Podman } from '../support/podman.ts'
import { siteFor } from '../support/site.ts'

t.setTimeout(600_000)

const list = readNetworkList('ports')

/** The attachments that are written down, as network, id and interface. */
const attachments = (host: Host): string[] =>
  names(host, '/var/lib/cni/results').filter(name => !name.startsWith('cni-loopback-'))

/** Addresses of a network that somebody has. */
const leases = (host: Host, network: string): string[] =>
  names(host, `/var/lib/cni/networks/${network}`).filter(name => /^[0-9a-f]+[.:]/.test(name))

function names(host: Host, folder: string): string[] {
  try {
    return readdirSync(host.path(folder)).sort()
  } catch {
    return []
  }
}

/**
 * @param word for a container that its runtime has put on the network `ports`
 * @param id by which it did
 */
async function isOne(t: Test, host: Host, command: Command, word: string, id: string): Promise<void> {
  writeFileSync(
    host.path('/etc/cni/net.d/20-back.conflist'),
    JSON.stringify({ ...readNetworkList('dual-stack'), name: 'back' }),
  )
  const refused = await command.try('attach', 'ports', word)
  t.match(refused, { code: 1, stderr: /is on network ports already, as eth0; detach it first/ }, word)
  t.same(attachments(host), [`ports-${id}-eth0`])
  await command.run('attach', 'back', word)
  t.same(attachments(host), [`back-${id}-eth1`, `ports-${id}-eth0`], 'by the same id')
  await command.run('attach', 'ports', word, '--ifname', 'more')
  t.same(attachments(host), [`back-${id}-eth1`, `ports-${id}-eth0`, `ports-${id}-more`])
  await command.run('detach', 'ports', word, '--ifname', 'more')
  t.equal(
    (await command.run('detach', 'ports', word)).stdout.split(' ').slice(1).join(' '),
    'eth0 ports detached\n',
  )
  t.same([leases(host, 'ports'), leases(host, 'back').length], [[], 2])
  await command.run('detach', 'back', word)
  t.same(attachments(host), [])
  t.match(await command.try('detach', 'ports', word), { code: 1, stderr: /is not on network ports/ })
}

t.test('a container of ctr is one container, and leaves by its name also when it is gone', async t => {
  const { host } = await siteFor(t)
  const containerd = await Containerd.start(host, list)
  const command = new Command(host, 'iptables')
  const web = await containerd.run('web', list, {}, ...webServer('web'))
  for (const word of ['web', 'containerd:web', 'default/web']) {
    await isOne(t, host, command, word, 'default-web')
    await command.run('attach', 'ports', word)
    t.same(attachments(host), ['ports-default-web-eth0'], 'as ctr would have it')
  }
  await web.remove()
  t.same(leases(host, 'ports'), [], 'what was attached by hand goes with ctr')

  await containerd.runAndForget('db', ...webServer('db'))
  if (!(await containerd.cleansUp())) {
    t.equal(leases(host, 'ports').length, 2, 'ctr leaves its network to others')
    t.equal((await command.run('detach', 'ports', 'db')).stdout, 'db eth0 ports detached\n')
  }
  t.same([leases(host, 'ports'), attachments(host)], [[], []])
})

t.test('a pod of Kubernetes is one container, whichever of its names is said', async t => {
  const { host } = await siteFor(t)
  const containerd = await Containerd.start(host, list)
  using cri = await containerd.cri()
  const pod = { name: 'web' }
  const id = await cri.runPod(pod)
  const container = await cri.runContainer(id, pod, IMAGE, webServer('web'))
  const command = new Command(host, 'iptables')
  for (const word of ['web', 'default/web', `containerd:k8s.io/${container}`]) {
    await isOne(t, host, command, word, id)
    await command.run('attach', 'ports', word)
  }
  t.same(attachments(host), [`ports-${id}-eth0`])
  await cri.removePod(id)
  t.same(leases(host, 'ports'), [])
})

t.test('a container of podman is one container, and so is its pod', async t => {
  const { host } = await siteFor(t)
  const podman = await Podman.start(host, list)
  writeFileSync(host.path('/srv/storage.conf'), "[storage]\ndriver = 'vfs'\ngraphroot = '/srv/podman'\n")
  const command = new Command(host, 'iptables', { CONTAINERS_STORAGE_CONF: '/srv/storage.conf' })
  await podman.container('web', [], ...webServer('web'))
  if (!hasCni()) {
    // It is on a network of netavark, which is none of ours: it joins one more.
    t.match(await command.run('attach', 'ports', 'web'), { stdout: /^web eth1 ports / })
    t.match(attachments(host), [/^ports-[0-9a-f]{64}-eth1$/])
    t.equal((await command.run('detach', 'ports', 'web')).stdout, 'web eth1 ports detached\n')
    await podman.run('rm', '-f', '-t', '0', 'web')
    t.same([leases(host, 'ports'), attachments(host)], [[], []])
    return
  }
  await isOne(t, host, command, 'web', await podman.run('inspect', '--format', '{{.Id}}', 'web'))
  await podman.run('rm', '-f', '-t', '0', 'web')
  await podman.run('pod', 'create', '--name', 'shop')
  await podman.container('db', ['--pod', 'shop'], ...webServer('db'))
  const infra = await podman.run('pod', 'inspect', '--format', '{{.InfraContainerID}}', 'shop')
  await isOne(t, host, command, 'db', infra)
  await podman.run('pod', 'rm', '-f', '-t', '0', 'shop')
  t.same([leases(host, 'ports'), attachments(host)], [[], []])
})

t.test('two that are called alike by two runtimes are two containers', async t => {
  const { host } = await siteFor(t)
  const containerd = await Containerd.start(host, list)
  await containerd.ctr('run', '--detach', '--null-io', '--rootfs', '/srv/rootfs', 'web', ...webServer('web'))
  await host.namespace('default-web')
  const command = new Command(host, 'iptables')
  await command.run('attach', 'ports', 'netns:default-web')
  const refused = await command.try('attach', 'ports', 'containerd:web')
  t.match(refused, {
    code: 1,
    stderr: /another container is on network ports as default-web, in \/run\/netns\//,
  })
  t.match(await command.try('detach', 'ports', 'containerd:web'), { code: 1, stderr: /is not on network/ })
  t.same(attachments(host), ['ports-default-web-eth0'])
  await command.run('detach', 'ports', 'netns:default-web')
})
