/**
 * A real containerd with the list that its documentation installs, every plugin of which leads to tsnet, and
 * the list for `lo` that it has built in: containers of ctr, and pods as Kubernetes has them. A pod is
 * removed by two DELs, the second without a namespace and without the earlier result.
 */

import t, { type Test } from 'tap'
import { type Snapshot, snapshot } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { Containerd, IMAGE } from '../support/containerd.ts'
import type { Pod } from '../support/cri.ts'
import {
  at,
  clientReads,
  ECHO,
  families,
  forwardAll,
  inUrl,
  leftovers,
  type Site,
  siteFor,
} from '../support/site.ts'
import { ALL, containerdList } from '../support/stock.ts'

t.setTimeout(600_000) // of the whole file; tap's own 30 s are short where other work goes on

/** What containerd keeps for itself, and the pool and the bridge of its network, for which the host forwards. */
const KEPT = /containerd|\/run\/runc|cni\/networks|cni0|forward|accept_r(a|edirects)|anycast/

interface Scene extends Site {
  containerd: Containerd
  before: Snapshot
}

async function open(t: Test): Promise<Scene> {
  const site = await siteFor(t)
  await forwardAll(site.host)
  const containerd = await Containerd.start(site.host, containerdList, ALL)
  return { ...site, containerd, before: await snapshot(site.host) }
}

t.test('containers of ctr, a port of one, and nothing left', async t => {
  const scene = await open(t)
  const { host, containerd, before } = scene
  const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }]
  const web = await containerd.run('web', containerdList, { portMappings }, ...webServer('web'))
  const db = await containerd.run('db', containerdList, {}, ...webServer('db'))
  for (const family of families) {
    t.equal(await clientReads(scene, family, 8080), `web saw ${at.client[family]}\n`)
    const page = `http://${inUrl(web.address(family))}/cgi-bin/who`
    t.equal(await db.exec(`busybox wget -q -O- ${page}`), `web saw ${db.address(family)}\n`)
    const answer = await db.exec(`echo hello | busybox nc ${at.outside[family]} ${ECHO}`)
    t.match(JSON.parse(answer), { place: 'outside', peer: at.hostOutside[family] })
  }
  for (const container of [web, db]) await container.remove()
  t.same(leftovers(before, await snapshot(host), KEPT), [])
})

t.test('a pod with a host port, and nothing left', async t => {
  const scene = await open(t)
  const { host, containerd } = scene
  const cri = await containerd.cri()
  t.teardown(() => cri[Symbol.dispose]())
  const before = await snapshot(host)
  const pod: Pod = { name: 'web', ports: [{ protocol: 'tcp', containerPort: 80, hostPort: 8080 }] }
  const podId = await cri.runPod(pod)
  await cri.runContainer(podId, pod, IMAGE, webServer('web'))
  for (const family of families) {
    t.equal(await clientReads(scene, family, 8080), `web saw ${at.client[family]}\n`)
  }
  await cri.removePod(podId)
  t.same(leftovers(before, await snapshot(host), KEPT), [])
})
