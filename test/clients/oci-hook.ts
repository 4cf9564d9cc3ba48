/**
 * Containers that a real runc or crun runs by itself get networks by annotations, from `tsnet oci-hook` as
 * createRuntime and poststop hook.
 */

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Snapshot, snapshot } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { readNetworkList } from '../support/libcni.ts'
import { type OciConfig, removeBundle, runBundle, writeBundle } from '../support/oci.ts'
import { addHooks } from '../support/oci-hook.ts'
import { installPlugins } from '../support/plugins.ts'
import { at, clientReads, families, leftovers, type Site, siteFor } from '../support/site.ts'

t.setTimeout(600_000)

const CACHE = '/var/lib/cni/results'
const sleep = ['/bin/busybox', 'sleep', '1000']

interface Scene extends Site {
  before: Snapshot
}

async function open(t: Test): Promise<Scene> {
  const site = await siteFor(t)
  await site.host.tmpfs('/srv')
  await installPlugins(site.host)
  mkdirSync(site.host.path('/etc/cni/net.d'))
  for (const name of ['ports', 'layer2', 'dual-stack']) {
    const list = JSON.stringify(readNetworkList(name))
    writeFileSync(site.host.path(`/etc/cni/net.d/${name}.conflist`), list)
  }
  return { ...site, before: await snapshot(site.host) }
}

/** The runtime's own files, and what the other pools remember. */
const KEPT =
  /\/run\/(runc|crun)|\/srv|cgroup|networks\/(\.tsnet\/)?dual-stack(\/(lock|last_reserved_ip\.\d))? appeared/

const left = async ({ host, before }: Scene) => leftovers(before, await snapshot(host), KEPT)

const annotated = (annotations: Record<string, string>) => (config: OciConfig) =>
  addHooks(config, annotations)

for (const runtime of ['runc', 'crun'] as const) {
  t.test(`a container of ${runtime} has its network and ports by annotations while it is there`, async t => {
    const scene = await open(t)
    const web = { host: scene.host, runtime, id: 'web' }
    await writeBundle(web, webServer('web'), config => addHooks(config))
    t.match(await runBundle(web), { code: 0 })
    for (const family of families) {
      t.equal(await clientReads(scene, family, 8080), `web saw ${at.client[family]}\n`)
    }
    t.strictSame(readdirSync(scene.host.path(CACHE)), ['ports-web-eth0'])
    await removeBundle(web)
    t.same(await left(scene), [])
  })

  t.test(
    `a container of ${runtime} joins several networks, each under its name, or is not started`,
    async t => {
      const scene = await open(t)
      const { host } = scene
      const one = { host, runtime, id: 'one' }
      await writeBundle(one, sleep, annotated({ 'io.tsnet.networks': 'layer2,ports:front, dual-stack' }))
      t.match(await runBundle(one), { code: 0 })
      t.strictSame(readdirSync(host.path(CACHE)), [
        'dual-stack-one-eth2',
        'layer2-one-eth0',
        'ports-one-front',
      ])
      await removeBundle(one)
      t.same(await left(scene), [], 'it has left all of them')

      const refused: [Record<string, string>, RegExp][] = [
        [
          { 'io.tsnet.networks': 'ports,nowhere' },
          /there is no network \\*"nowhere\\*" in \/etc\/cni\/net\.d; there are/,
        ],
        [{ 'io.tsnet.networks': 'ports,dual-stack:eth0' }, /has an interface eth0 already/],
        [{ 'io.tsnet.networks': 'layer2', 'io.tsnet.ports': '8080:80' }, /publishes no ports/],
        [{ 'io.tsnet.ports': '8080:80' }, /of no use without io\.tsnet\.networks/],
        [{ 'io.tsnet.networks': 'ports', 'io.tsnet.ports': '80' }, /name a host port/],
        [{ 'io.tsnet.networks': '../../etc/passwd' }, /there is no network/],
      ]
      for (const [number, [annotations, message]] of refused.entries()) {
        const hooked = { host, runtime, id: `refused-${number}` }
        await writeBundle(hooked, sleep, annotated(annotations))
        const { code, stderr } = await runBundle(hooked)
        t.not(code, 0)
        t.match(stderr, message, 'the runtime shows the reason')
      }
      t.same(await left(scene), [], 'who was not started is nowhere')
    },
  )

  t.test(
    `containers of ${runtime} without annotations are left alone, and so is the host's network`,
    async t => {
      const scene = await open(t)
      const { host } = scene
      const plain = { host, runtime, id: 'plain' }
      await writeBundle(plain, sleep, annotated({}))
      t.match(await runBundle(plain), { code: 0 })
      await removeBundle(plain)
      const shared = { host, runtime, id: 'shared' }
      await writeBundle(shared, sleep, config => {
        addHooks(config)
        config.linux.namespaces = config.linux.namespaces.filter(({ type }) => type !== 'network')
        config.mounts = config.mounts.filter(({ type }) => type !== 'sysfs')
      })
      const { code, stderr } = await runBundle(shared)
      t.not(code, 0)
      t.match(stderr, /is the one that tsnet runs in/)
      t.same(await left(scene), [])
    },
  )
}
