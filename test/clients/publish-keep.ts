/** `tsnet publish --keep` for containers of Docker and podman, which are started again after the host was. */

import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Host, waitFor } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { Command } from '../support/daemon.ts'
import { Dockerd } from '../support/dockerd.ts'
import { readNetworkList } from '../support/libcni.ts'
import { Podman } from '../support/podman.ts'
import { drawBootId, endProcesses } from '../support/reboot.ts'
import { at, openSite } from '../support/site.ts'

t.setTimeout(600_000)

/** Starts and ends the runtime with its container `web`, as the host does. */
interface Runtime {
  reference: string
  down: () => Promise<unknown>
  /** Without the container. */
  up: () => Promise<unknown>
  start: () => Promise<unknown>
  /** What is said while the container does not run. */
  waits: RegExp
}

async function keeps(t: Test, host: Host, client: Host, runtime: Runtime, env: Record<string, string>) {
  await host.tmpfs('/var/lib/tsnet')
  const tsnet = new Command(host, 'nftables', env)
  const listed = async () => JSON.parse((await tsnet.run('ports', '--json')).stdout)
  const reaches = async () =>
    t.match((await client.fetch(`http://${at.host.v4}:8080/cgi-bin/who`)).body, /^web saw/)
  await tsnet.daemon()
  await tsnet.run('publish', '8081:80', runtime.reference)
  const said = await tsnet.run('publish', '--keep', '--json', '8080:80', runtime.reference)
  const [{ id }] = JSON.parse(said.stdout)
  await reaches()

  await endProcesses(host)
  await runtime.down()
  await host.run('sh', '-c', 'nft flush ruleset; conntrack -F 2>/dev/null; rm -rf /run/tsnet')
  await drawBootId(host)
  await runtime.up()
  await tsnet.daemon()
  const is = (state: string, why?: RegExp) => async () => {
    const [port, ...others] = await listed()
    const isSo = port?.id === id && port.state === state && (why === undefined || why.test(port.why ?? ''))
    return others.length === 0 && isSo
  }
  await waitFor(is('waiting', runtime.waits), { what: 'it to wait for its container' })
  await runtime.start()
  await waitFor(is('serving'), { what: 'it to be served again' })
  await reaches()
  await tsnet.run('unpublish', '--all')
  t.same(await listed(), [])
}

t.test('docker: what is kept is back with its container, and nothing else is', async t => {
  const { world, host, client } = await openSite()
  t.teardown(() => world.end())
  const docker = await Dockerd.start(host)
  await docker.web('web')
  const runtime: Runtime = {
    reference: 'docker:web',
    down: () => docker.down(),
    up: () => docker.up(),
    start: () => docker.run('start', 'web'),
    waits: /^docker:web does not run; the port is free until it is back$/,
  }
  await keeps(t, host, client, runtime, {})
  await docker.down()
})

t.test('podman, whose files are read: the same', async t => {
  const { world, host, client } = await openSite()
  t.teardown(() => world.end())
  const podman = await Podman.start(host, readNetworkList('ports'))
  writeFileSync(host.path('/srv/storage.conf'), '[storage]\ndriver = "vfs"\ngraphroot = "/srv/podman"\n')
  await podman.container('web', [], ...webServer('web'))
  const runtime: Runtime = {
    reference: 'podman:web',
    down: () => podman.run('stop', '-t', '0', 'web'),
    up: async () => {},
    start: () => podman.run('start', 'web'),
    waits: /^podman:web does not run; the port is free until it is back$/,
  }
  await keeps(t, host, client, runtime, { CONTAINERS_STORAGE_CONF: '/srv/storage.conf' })
  await podman.run('rm', '-f', '-t', '0', 'web')
})
