/**
 * `tsnet publish` for containers that a real dockerd runs already: on its bridge, without any network, with
 * a service on loopback only; and what happens when they restart or go away.
 */

import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import { Dockerd } from '../support/dockerd.ts'
import { Publishing } from '../support/publish.ts'
import { at, openSite } from '../support/site.ts'

t.setTimeout(240_000)

/** What dockerd keeps; the link-local address of a container's veth is a little later than its start. */
const dockers = /docker|\/run\/(runc|containerd)|route host local fe80::\S+ .* on veth/

async function open(t: Test, start: (docker: Dockerd) => Promise<void>) {
  const site = await openSite()
  t.teardown(() => site.world.end())
  const docker = await Dockerd.start(site.host)
  await start(docker)
  return { docker, publishing: await Publishing.begin(site) }
}

t.test('a running docker container is published by name, and off again', async t => {
  const { publishing } = await open(t, docker => docker.web('web'))
  await publishing.published(t, '8080:80', 'web')
  t.equal(await publishing.seenFromClient(), at.client.v4, 'the container sees who asks')
  await publishing.unpublished(t)
  await publishing.leavesNothing(t, dockers)
})

t.test('a docker container without any network is published', async t => {
  const { publishing } = await open(t, docker => docker.web('web', '--network', 'none'))
  await publishing.published(t, '8080:80', 'docker:web')
  await publishing.unpublished(t, 'web')
  await publishing.leavesNothing(t, dockers)
})

t.test(
  "a service on the container's own 127.0.0.1 is published, and is not told that clients are local",
  async t => {
    const { docker, publishing } = await open(t, async docker => {
      await docker.run('run', '-d', '--name', 'web', 'busybox:1', ...LOCAL)
    })
    await publishing.published(t, '--via', 'netns', '8080:80', 'web')
    t.equal(await publishing.seenFromClient(), await docker.address('web'))
    await publishing.unpublished(t)
    await publishing.leavesNothing(t, dockers)
  },
)

const LOCAL = '/bin/busybox httpd -f -p 127.0.0.1:80 -h /www/web'.split(' ')

t.test('a publication follows a docker container over restarts, and ends with it', async t => {
  const { docker, publishing } = await open(t, docker => docker.web('web'))
  await publishing.published(t, '8080:80', 'web')
  // Another container takes the address that web had.
  await docker.run('stop', '-t', '0', 'web')
  await docker.run('run', '-d', '--name', 'other', 'busybox:1', '/bin/busybox', 'sleep', '1000')
  await docker.run('start', 'web')
  const moved = async () => {
    const [published] = await publishing.command.ports()
    return published?.containers[0]?.addresses[0]?.startsWith(`${await docker.address('web')}/`)
  }
  await waitFor(moved, { what: 'the publication to follow', withinMs: 10_000 })
  await publishing.reaches(t)

  await docker.run('rm', '-f', 'web')
  await publishing.ended()
  await publishing.refuses(t)
  await docker.run('rm', '-f', 'other')
})
