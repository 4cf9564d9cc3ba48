/**
 * A real podman with the list that it comes with, every plugin of which leads to tsnet: containers, pods,
 * ports, restart, and nothing left but the bridge, which the reference leaves as well.
 */

import t, { type Test } from 'tap'
import { type Snapshot, snapshot } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { needCni, Podman } from '../support/podman.ts'
import { at, clientReads, ECHO, forwardAll, leftovers, type Site, siteFor } from '../support/site.ts'
import { ALL, podmanList } from '../support/stock.ts'

t.setTimeout(600_000) // of the whole file; tap's own 30 s are short where other work goes on

/** What podman keeps for itself, and the pool and the bridge of its network. */
const KEPT = /podman|\/run\/runc|mount \/run\/netns|cni\/networks|cni-podman0|forward|accept_redirects/

interface Scene extends Site {
  podman: Podman
  before: Snapshot
}

async function open(t: Test, ours: readonly string[] = ALL): Promise<Scene> {
  const site = await siteFor(t)
  await forwardAll(site.host)
  const podman = await Podman.start(site.host, podmanList, ours)
  await podman.run('container', 'ls') // makes what podman keeps for itself
  return { ...site, podman, before: await snapshot(site.host) }
}

needCni(() => {
  t.test('containers reach each other and the world, and a port leads to one; nothing is left', async t => {
    const scene = await open(t)
    const { host, podman, before } = scene
    await podman.container('web', ['-p', '8080:80'], ...webServer('web'))
    await podman.container('db', [], ...webServer('db'))
    t.equal(await clientReads(scene, 'v4', 8080), `web saw ${at.client.v4}\n`)
    const page = await host.fetch('http://127.0.0.1:8080/cgi-bin/who')
    t.match(page.body, /^web saw 10\.88\.0\.1/, 'from the host at 127.0.0.1')
    const [web, db] = [await podman.addresses('web'), await podman.addresses('db')]
    const seen = await podman.shell('db', `busybox wget -q -O- http://${web.v4}/cgi-bin/who`)
    t.equal(seen, `web saw ${db.v4}`)
    const answer = await podman.shell('db', `echo hello | busybox nc ${at.outside.v4} ${ECHO}`)
    t.match(JSON.parse(answer), { place: 'outside', peer: at.hostOutside.v4 })

    await podman.run('restart', '-t', '0', 'web')
    t.equal(await clientReads(scene, 'v4', 8080), `web saw ${at.client.v4}\n`, 'restarted')
    await podman.run('network', 'reload', 'web')
    t.equal(await clientReads(scene, 'v4', 8080), `web saw ${at.client.v4}\n`, 'its rules made anew')
    await t.rejects(podman.container('db2', ['-p', '8080:80'], ...webServer('db')), /8080/)

    await podman.run('rm', '-f', '-t', '0', 'web', 'db')
    t.same(leftovers(before, await snapshot(host), KEPT), [])
  })

  t.test('a port of a pod leads to its container; nothing is left', async t => {
    const scene = await open(t)
    const { host, podman, before } = scene
    await podman.run('pod', 'create', '--name', 'shop', '-p', '8080:80')
    await podman.container('web', ['--pod', 'shop'], ...webServer('web'))
    t.equal(await clientReads(scene, 'v4', 8080), `web saw ${at.client.v4}\n`)
    await podman.run('pod', 'rm', '-f', '-t', '0', 'shop')
    t.same(leftovers(before, await snapshot(host), KEPT), [])
  })

  t.test('control: the reference plugins leave chains', async t => {
    const { host, podman, before } = await open(t, [])
    await podman.container('web', ['-p', '8080:80'], ...webServer('web'))
    await podman.run('rm', '-f', '-t', '0', 'web')
    t.match(leftovers(before, await snapshot(host), KEPT).join('\n'), /CNI-HOSTPORT-DNAT/)
  })
})
