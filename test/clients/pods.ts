/**
 * Pods of a real podman and of a real containerd: one namespace that a pause container holds, one address and
 * one set of ports for all containers in it, for as long as the pause container lives.
 */

import { readdirSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Host, snapshot } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { Containerd, IMAGE } from '../support/containerd.ts'
import { readNetworkList } from '../support/libcni.ts'
import { hasCni, PODMANS, Podman } from '../support/podman.ts'
import { Publishing } from '../support/publish.ts'
import { at, clientReads, type Family, families, openSite, type Site } from '../support/site.ts'

t.setTimeout(600_000)

const list = readNetworkList('ports')

/** The port that the pod itself publishes, beside that of `tsnet publish`. */
const POD_PORT = 8081

/** Attachments that are written down on a host. */
const attachments = (host: Host): string[] => {
  try {
    return readdirSync(host.path('/run/tsnet/attachments')).filter(name => name.endsWith('.json'))
  } catch {
    return []
  }
}

async function podServes(t: Test, site: Site, over: readonly Family[] = families): Promise<void> {
  for (const family of over) {
    t.equal(await clientReads(site, family, POD_PORT), `web saw ${at.client[family]}\n`)
  }
}

async function site(t: Test): Promise<Site> {
  const opened = await openSite()
  t.teardown(() => opened.world.end())
  return opened
}

t.test('a pod of podman has one address and one set of ports, whoever comes and goes in it', async t => {
  const opened = await site(t)
  const { host } = opened
  const podman = await Podman.start(host, list)
  writeFileSync(host.path('/srv/storage.conf'), '[storage]\ndriver = "vfs"\ngraphroot = "/srv/podman"\n')
  await podman.run('container', 'ls') // makes what podman keeps for itself
  const before = await snapshot(host)
  const publishing = await Publishing.begin(opened, {
    env: { CONTAINERS_STORAGE_CONF: '/srv/storage.conf' },
    before,
  })
  await podman.run('pod', 'create', '--name', 'shop', '-p', `${POD_PORT}:80`)
  await podman.container('web', ['--pod', 'shop'], ...webServer('web'))
  await podman.container('db', ['--pod', 'shop'], '/bin/busybox', 'sleep', '1000')
  const [attachment] = attachments(host)
  t.equal(attachments(host).length, hasCni() ? 1 : 0)
  // Without CNI nobody has written down the name of the pod, but for a database of podman's own.
  const infra = await podman.run('pod', 'inspect', '--format', '{{.InfraContainerID}}', 'shop')
  const shop = hasCni() ? 'shop' : await podman.run('inspect', '--format', '{{.Name}}', infra)
  const addresses = async (name: string) =>
    (await podman.shell(name, 'busybox ip -o address show eth0')).replace(' tentative', '')
  const address = await addresses('web')
  t.equal(await addresses('db'), address)

  for (const word of ['web', 'podman:db', shop]) {
    await publishing.published(t, '8080:80', word)
    await publishing.unpublished(t)
  }
  await publishing.published(t, '8080:80', shop)
  await podman.run('rm', '-f', '-t', '0', 'web', 'db')
  await podman.container('web', ['--pod', 'shop'], ...webServer('web'))
  t.equal(await addresses('web'), address)
  t.strictSame(attachments(host), attachment === undefined ? [] : [attachment])
  // netavark's own network has IPv4 alone.
  await podServes(t, opened, hasCni() ? families : ['v4'])
  await publishing.reaches(t)

  await podman.run('pod', 'rm', '-f', '-t', '0', 'shop')
  t.strictSame(attachments(host), [])
  await publishing.ended()
  await publishing.leavesNothing(t, PODMANS)
})

t.test('a pod of containerd has one address and one set of ports, whoever comes and goes in it', async t => {
  const opened = await site(t)
  const { host } = opened
  const containerd = await Containerd.start(host, list)
  using cri = await containerd.cri()
  const before = await snapshot(host)
  const publishing = await Publishing.begin(opened, { before })
  const pod = {
    name: 'shop',
    ports: [{ protocol: 'tcp' as const, containerPort: 80, hostPort: POD_PORT }],
  }
  const podId = await cri.runPod(pod)
  const web = await cri.runContainer(podId, { name: 'web' }, IMAGE, webServer('web'))
  const db = await cri.runContainer(podId, { name: 'db' }, IMAGE, ['/bin/busybox', 'sleep', '1000'])
  const [attachment] = attachments(host)
  t.equal(attachments(host).length, 1)
  const addresses = await cri.podAddresses(podId)

  for (const word of [web, `containerd:k8s.io/${db}`, 'shop', 'cri:default/shop', podId]) {
    await publishing.published(t, '8080:80', word)
    await publishing.unpublished(t)
  }
  await publishing.published(t, '8080:80', 'shop')
  await cri.removeContainer(web)
  await cri.removeContainer(db)
  await cri.runContainer(podId, { name: 'again' }, IMAGE, webServer('web'))
  t.strictSame(await cri.podAddresses(podId), addresses)
  t.strictSame(attachments(host), [attachment])
  await podServes(t, opened)
  await publishing.reaches(t)

  await cri.removePod(podId)
  t.strictSame(attachments(host), [])
  await publishing.ended()
  await publishing.leavesNothing(t, /containerd|\/run\/runc/)
})
