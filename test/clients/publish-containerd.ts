/**
 * `tsnet publish` for containers that a real containerd runs already: one that `ctr` started, without ports,
 * and a pod of Kubernetes.
 */

import t, { type Test } from 'tap'
import { snapshot } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { Containerd, IMAGE } from '../support/containerd.ts'
import { readNetworkList } from '../support/libcni.ts'
import { Publishing } from '../support/publish.ts'
import { at, openSite } from '../support/site.ts'

t.setTimeout(600_000)

const list = readNetworkList('ports')

/** What containerd keeps. */
const containerds = /containerd|\/run\/runc/

async function open(t: Test) {
  const site = await openSite()
  t.teardown(() => site.world.end())
  const containerd = await Containerd.start(site.host, list)
  return { site, containerd, before: await snapshot(site.host) }
}

t.test('a running container of containerd is published by its id, and off again', async t => {
  const { site, containerd, before } = await open(t)
  const web = await containerd.run('web', list, {}, ...webServer('web'))
  const publishing = await Publishing.begin(site, { before })
  await publishing.published(t, '8080:80', 'web')
  t.equal(await publishing.seenFromClient(), at.client.v4)
  t.strictSame(await publishing.command.faults(), [], 'nothing is wrong with the host')
  await publishing.unpublished(t)
  await publishing.reversed(t, 'web', command => web.exec(command))
  await web.remove()
  await publishing.leavesNothing(t, containerds)
})

t.test('the publication of a container of containerd ends with it', async t => {
  const { site, containerd, before } = await open(t)
  const web = await containerd.run('web', list, {}, ...webServer('web'))
  const publishing = await Publishing.begin(site, { before })
  await publishing.published(t, '8080:80', 'containerd:default/web')
  await web.remove()
  await publishing.ended()
  await publishing.refuses(t)
  await publishing.leavesNothing(t, containerds)
})

t.test('a pod is published by its name', async t => {
  const { site, containerd, before } = await open(t)
  using cri = await containerd.cri()
  const pod = { name: 'shop' }
  const id = await cri.runPod(pod)
  await cri.runContainer(id, pod, IMAGE, webServer('web'))
  const publishing = await Publishing.begin(site, { before })
  await publishing.published(t, '8080:80', 'cri:default/shop')
  t.strictSame(await publishing.command.faults(), [], 'nothing is wrong with the host')
  await publishing.unpublished(t, 'shop')
  await publishing.published(t, '8080:80', 'shop')
  await publishing.unpublished(t)
  await cri.removePod(id)
  await publishing.leavesNothing(t, containerds)
})
