/**
 * `tsnet publish` for containers that runc and crun run already, by themselves: on a network of tsnet's, and
 * with nothing but loopback.
 */

import t, { type Test } from 'tap'
import { snapshot } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { addNetworkList, deleteNetworkList, readNetworkList } from '../support/libcni.ts'
import { removeBundle, startBundle } from '../support/oci.ts'
import { installPlugins, pluginsOf } from '../support/plugins.ts'
import { Publishing } from '../support/publish.ts'
import { at, openSite } from '../support/site.ts'

t.setTimeout(600_000)

const runtimes = /\/run\/(runc|crun)/

async function open(t: Test) {
  const site = await openSite()
  t.teardown(() => site.world.end())
  await site.host.tmpfs('/srv')
  await installPlugins(site.host)
  const namespace = await site.host.namespace('sandbox')
  return { site, namespace, before: await snapshot(site.host) }
}

for (const runtime of ['runc', 'crun'] as const) {
  t.test(`a container that ${runtime} runs is published by its id, and off again`, async t => {
    const { site, namespace, before } = await open(t)
    const { host } = site
    const list = readNetworkList('ports')
    const call = { containerId: 'sandbox-of-web', netns: namespace.path, ifname: 'eth0' }
    const result = await addNetworkList(list, call, pluginsOf(host))
    const bundle = { host, runtime, id: 'web' }
    await startBundle(bundle, namespace, webServer('web'))

    const publishing = await Publishing.begin(site, { before })
    await publishing.published(t, '8080:80', 'web')
    t.equal(await publishing.seenFromClient(), at.client.v4)
    t.strictSame(await publishing.command.faults(), [], 'nothing is wrong with the host')
    await publishing.unpublished(t, `${runtime}:web`)
    for (const reference of ['cni:sandbox-of-web', 'netns:sandbox', `netns:${namespace.path}`]) {
      await publishing.published(t, '8080:80', reference)
      await publishing.unpublished(t)
    }
    await publishing.reversed(t, `${runtime}:web`, async command => {
      const { stdout } = await host.run(runtime, 'exec', 'web', '/bin/sh', '-c', command)
      return stdout
    })
    await removeBundle(bundle)
    await deleteNetworkList(list, call, result, pluginsOf(host))
    await publishing.leavesNothing(t, runtimes)
  })

  t.test(`a container of ${runtime} with nothing but loopback is published until it ends`, async t => {
    const { site, namespace, before } = await open(t)
    const bundle = { host: site.host, runtime, id: 'web' }
    await startBundle(bundle, namespace, webServer('web'))
    const publishing = await Publishing.begin(site, { before })
    await publishing.published(t, '8080:80', 'web')
    await removeBundle(bundle)
    await publishing.ended()
    await publishing.refuses(t)
    await publishing.leavesNothing(t, runtimes)
  })
}
