/**
 * A real containerd puts pods on the network as it does for Kubernetes: port mappings and bandwidth come as
 * go-cni writes them (`HostPort`), and a pod is removed by two DELs, the second without a namespace and
 * without the earlier result.
 */

import t, { type Test } from 'tap'
import { type Snapshot, snapshot } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { Containerd, IMAGE } from '../support/containerd.ts'
import type { CriClient, Pod } from '../support/cri.ts'
import { readNetworkList, withKeys } from '../support/libcni.ts'
import { at, clientReads, families, leftovers, type Site, siteFor } from '../support/site.ts'

t.setTimeout(600_000) // of the whole file; tap's own 30 s are short where other work goes on

const pod: Pod = {
  name: 'web',
  ports: [{ protocol: 'tcp', containerPort: 80, hostPort: 8080 }],
  annotations: { 'kubernetes.io/ingress-bandwidth': '100M', 'kubernetes.io/egress-bandwidth': '100M' },
}

interface Scene extends Site {
  containerd: Containerd
  cri: CriClient
  before: Snapshot
  podId: string
}

async function open(t: Test, backend: string): Promise<Scene> {
  const site = await siteFor(t)
  const list = withKeys(readNetworkList('ports'), { ipMasqBackend: backend })
  const containerd = await Containerd.start(site.host, list)
  const cri = await containerd.cri()
  t.teardown(() => cri[Symbol.dispose]())
  const before = await snapshot(site.host)
  const podId = await cri.runPod(pod)
  await cri.runContainer(podId, pod, IMAGE, webServer('web'))
  return { ...site, containerd, cri, before, podId }
}

for (const backend of ['iptables', 'nftables']) {
  t.test(`a pod's host port leads to its container (${backend})`, async t => {
    const site = await open(t, backend)
    const { cri, podId } = site
    const addresses = await cri.podAddresses(podId)
    t.match(addresses, [/^10\.77\.2\./, /^fd00:77:2::/], 'containerd read both addresses from the result')
    for (const family of families) {
      t.equal(await clientReads(site, family, 8080), `web saw ${at.client[family]}\n`)
    }
  })

  t.test(`a pod's bandwidth annotations limit both directions (${backend})`, async t => {
    const { host } = await open(t, backend)
    const { stdout } = await host.run('tc', 'qdisc')
    t.equal(stdout.match(/qdisc tbf .* rate 100Mbit/g)?.length, 2)
  })

  t.test(`nothing is left of a pod that was removed (${backend})`, async t => {
    const site = await open(t, backend)
    const { host, cri, before, podId } = site
    for (const family of families) await clientReads(site, family, 8080)
    await cri.removePod(podId)
    t.same(leftovers(before, await snapshot(host), /containerd|\/run\/runc/), [])
  })
}
