/**
 * `tsnet publish` for containers that a real dockerd runs already: on its bridge, without any network, with
 * a service on loopback only; and what happens when they restart or go away.
 */

import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import type { Publication } from '../../src/model/publication/publication.ts'
import { Command } from '../support/daemon.ts'
import { Dockerd } from '../support/dockerd.ts'
import { Publishing } from '../support/publish.ts'
import { at, openSite } from '../support/site.ts'

t.setTimeout(600_000)

/** What dockerd keeps; the link-local address of a veth or a bridge is a little later than its start. */
const dockers = /docker|\/run\/(runc|containerd)|route host local fe80::\S+ .* on (veth|br-)/

async function open(t: Test, start: (docker: Dockerd) => Promise<void>) {
  const site = await openSite()
  t.teardown(() => site.world.end())
  const docker = await Dockerd.start(site.host)
  await start(docker)
  return { docker, publishing: await Publishing.begin(site) }
}

t.test('a running docker container is published by name, and off again', async t => {
  const { docker, publishing } = await open(t, docker => docker.web('web'))
  await publishing.published(t, '8080:80', 'web')
  // From 28 on Docker drops what it did not publish itself, so the proxy serves.
  const seen = (await docker.major()) < 28 ? at.client.v4 : '172.17.0.1'
  t.equal(await publishing.seenFromClient(), seen, 'the container sees who asks')
  const faults = (await publishing.command.faults()).filter(
    each => seen === at.client.v4 || !/^foreign-rules: .*DOCKER/.test(each),
  )
  t.strictSame(faults, [], 'and nothing is wrong with the host')
  await publishing.unpublished(t)
  await publishing.leavesNothing(t, dockers)
})

t.test(
  'on an internal network, which Docker keeps everybody from, the proxy serves and says why',
  async t => {
    const { docker, publishing } = await open(t, async docker => {
      await docker.run('network', 'create', '--internal', 'inner')
      await docker.web('web', '--network', 'inner')
    })
    const { command } = publishing
    const refused = await command.try('publish', '--mode', 'nat', '8080:80', 'web')
    // From 28 on such a container has no default route at all.
    const isDropped = (await docker.major()) < 28
    t.match(
      refused.stderr,
      isDropped
        ? /--mode nat: .* is dropped by iptables table filter, chain DOCKER-\S+, rule \d+: "/
        : /--mode nat: container web has no default route/,
    )
    await publishing.published(t, '8080:80', 'web')
    const [published] = await command.ports()
    t.equal(published?.nat, undefined)
    if (isDropped) t.match(published?.natObstacle, / -o br-\w+ -j DROP"$/)
    await publishing.unpublished(t)
    await publishing.leavesNothing(t, dockers)
  },
)

t.test(
  'where a rule keeps everybody from the bridge, as Docker 28 does, the proxy serves and says why',
  async t => {
    const { publishing } = await open(t, docker => docker.web('web'))
    const { command, site } = publishing
    const rule = ['DOCKER-USER', '!', '-i', 'docker0', '-o', 'docker0', '-j', 'DROP']
    await site.host.run('iptables', '-I', ...rule)
    const told =
      /is dropped by iptables table filter, chain DOCKER-USER, rule 1: "! -i docker0 -o docker0 -j DROP"/
    const refused = await command.try('publish', '--mode', 'nat', '8080:80', 'web')
    t.match(refused.stderr, told)
    await publishing.published(t, '8080:80', 'web')
    t.match((await command.ports())[0]?.natObstacle, told)
    await publishing.unpublished(t)
    await site.host.run('iptables', '-D', ...rule)
    await publishing.leavesNothing(t, dockers)
  },
)

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

/** Waits until the publication leads to the address that web has now. */
async function follows({ command }: Publishing, docker: Dockerd): Promise<void> {
  const moved = async () => {
    const [published] = await command.ports()
    return published?.containers[0]?.addresses[0]?.startsWith(`${await docker.address('web')}/`)
  }
  await waitFor(moved, { what: 'the publication to follow' })
}

const LOCAL = '/bin/busybox httpd -f -p 127.0.0.1:80 -h /www/web'.split(' ')

t.test('a publication follows a docker container over restarts, and ends with it', async t => {
  const { docker, publishing } = await open(t, docker => docker.web('web'))
  await publishing.published(t, '8080:80', 'web')
  // Another container takes the address that web had.
  await docker.run('stop', '-t', '0', 'web')
  await docker.run('run', '-d', '--name', 'other', 'busybox:1', '/bin/busybox', 'sleep', '1000')
  await docker.run('start', 'web')
  await follows(publishing, docker)
  await publishing.reaches(t)

  await docker.run('rm', '-f', 'web')
  await publishing.ended()
  await publishing.refuses(t)
  await docker.run('rm', '-f', 'other')
})

t.test('a publication waits while there is no dockerd', async t => {
  const { docker, publishing } = await open(t, docker => docker.web('web'))
  await publishing.published(t, '8080:80', 'web')
  await docker.down()
  const { command } = publishing
  await t.rejects(command.run('publish', '8081:80', 'docker:web'), /docker does not listen on/)
  await publishing.logged('waiting 8080/tcp')
  t.equal((await command.ports()).length, 1)
  await docker.up()
  await docker.run('start', 'web')
  await follows(publishing, docker)
  await publishing.reaches(t)
})

t.test('without ports, and without a daemon, all that a container listens on is published', async t => {
  const site = await openSite()
  t.teardown(() => site.world.end())
  const docker = await Dockerd.start(site.host)
  const servers = 'busybox httpd -f -p 80 -h /www/web & busybox httpd -f -p 127.0.0.1:81 -h /www/db'
  await docker.run('run', '-d', '--name', 'web', 'busybox:1', '/bin/sh', '-c', servers)
  const command = new Command(site.host, 'iptables')
  await waitFor(
    async () => (await docker.run('exec', 'web', '/bin/busybox', 'netstat', '-ltn')).includes(':81 '),
    {
      what: 'the servers to listen',
    },
  )

  const publish = async (...words: string[]) =>
    JSON.parse((await command.run('publish', '--json', ...words, 'web')).stdout) as Publication[]
  const who = async ({ hostPort }: Publication) =>
    (await site.host.fetch(`http://127.0.0.1:${hostPort}/cgi-bin/who`)).body.slice(0, 3)
  const reachable = await publish()
  t.match(reachable, [{ target: { port: 80 }, protocol: 'tcp' }])
  t.same(await Promise.all(reachable.map(who)), ['web'])
  const inside = await publish('--via', 'netns')
  t.same(await Promise.all(inside.map(who)), ['web', 'db '])

  await docker.run('run', '-d', '--name', 'idle', 'busybox:1', '/bin/busybox', 'sleep', '1000')
  await t.rejects(command.run('publish', 'idle'), /no TCP port is listened on/)
  await t.rejects(command.run('publish', '8080:80'), /name a container after the ports/)
})

t.test(
  "a service of the host's loopback answers in a docker container, over restarts, until it is gone",
  async t => {
    const { docker, publishing } = await open(t, async docker => {
      await docker.web('web', '--add-host', 'host.docker.internal:127.0.0.1')
      await docker.web('other')
    })
    const { command, site } = publishing
    site.host.serveHttp(8000, peer => `the host saw ${peer}`, '127.0.0.1')
    await command.run('publish', '--reverse', '8000:8000', 'web')
    const asks = (who: string, url: string) => docker.run('exec', who, '/bin/busybox', 'wget', '-qO-', url)
    t.equal(await asks('web', 'http://host.docker.internal:8000/'), 'the host saw 127.0.0.1')
    for (const address of ['127.0.0.1', await docker.address('web')]) {
      t.match(await asks('other', `http://${address}:80/cgi-bin/who`), /^web saw /, 'a control')
      await t.rejects(asks('other', `http://${address}:8000/`), `another container at ${address}`)
    }

    await docker.run('restart', '-t', '0', 'web')
    const answers = async () => (await asks('web', 'http://127.0.0.1:8000/').catch(() => '')) !== ''
    await waitFor(answers, { what: 'the publication to follow', withinMs: 30_000 })
    t.match(await command.ports(), [{ reverse: true, containers: [{ name: 'web' }] }])
    await docker.run('rm', '-f', 'web', 'other')
    await waitFor(async () => (await command.ports()).length === 0, { what: 'it to end' })
  },
)
