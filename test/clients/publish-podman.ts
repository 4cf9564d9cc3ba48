/**
 * `tsnet publish` for containers that a real podman runs already, with and without its service.
 */

import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { snapshot, waitFor } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { readNetworkList } from '../support/libcni.ts'
import { PODMANS, Podman } from '../support/podman.ts'
import { Publishing } from '../support/publish.ts'
import { at, openSite } from '../support/site.ts'

t.setTimeout(600_000)

const env = { CONTAINERS_STORAGE_CONF: '/srv/storage.conf' }

async function open(t: Test, ...options: string[]) {
  const site = await openSite()
  t.teardown(() => site.world.end())
  const podman = await Podman.start(site.host, readNetworkList('ports'))
  writeFileSync(site.host.path('/srv/storage.conf'), '[storage]\ndriver = "vfs"\ngraphroot = "/srv/podman"\n')
  await podman.run('container', 'ls') // makes what podman keeps for itself
  const before = await snapshot(site.host)
  await podman.container('web', options, ...webServer('web'))
  return { site, podman, before }
}

t.test('a running podman container is published by name where no service runs', async t => {
  const { site, podman, before } = await open(t)
  const publishing = await Publishing.begin(site, { env, before })
  await publishing.published(t, '8080:80', 'podman:web')
  t.equal(await publishing.seenFromClient(), at.client.v4)
  await publishing.unpublished(t)
  await publishing.reversed(t, 'podman:web', command => podman.shell('web', command))
  await publishing.published(t, '8080:80', 'web')

  await podman.run('restart', '-t', '0', 'web')
  const follows = async () => {
    const { v4 } = await podman.addresses('web')
    return (await publishing.command.ports())[0]?.containers[0]?.addresses[0]?.startsWith(`${v4}/`)
  }
  await waitFor(follows, { what: 'the publication to follow' })
  await publishing.reaches(t)
  await publishing.unpublished(t, 'web')
  await podman.run('stop', '-t', '0', 'web')
  await t.rejects(publishing.command.run('publish', '8080:80', 'web'), /"web" is not running/)
  await podman.run('rm', 'web')
  await t.rejects(publishing.command.run('publish', '8080:80', 'web'), /no container answers to "web"/)
  await publishing.leavesNothing(t, PODMANS)
})

t.test('a running podman container without network is published through the service', async t => {
  const { site, podman, before } = await open(t, '--network', 'none')
  const service = podman.serve()
  await waitFor(() => site.host.run('test', '-S', '/run/podman/podman.sock'), { what: 'the service' })
  const publishing = await Publishing.begin(site, { before })
  await publishing.published(t, '8080:80', 'web')
  await publishing.unpublished(t)
  await podman.run('rm', '-f', '-t', '0', 'web')
  await service.stop()
  await publishing.leavesNothing(t, PODMANS)
})
