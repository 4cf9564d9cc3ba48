/**
 * `publish --keep`: a publication that neither the end of its container nor a reboot ends.
 *
 *     client ───── lan0 host ───── br-front ───── web, api
 */

import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Running, waitFor } from 'tsnet/lab'
import type { NatBackend } from '../../src/model/network.ts'
import type { ListedPort } from '../../src/publish/list.ts'
import { Command } from '../support/daemon.ts'
import type { Plugin } from '../support/plugin.ts'
import { endProcesses, powerCycle } from '../support/reboot.ts'
import { HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const KEPT = '/var/lib/tsnet/publications'

interface Street {
  scene: Scene
  tsnet: Command
  front: Plugin
  /** Ends everything, and comes back with these containers, attached. */
  reboot(...containers: string[]): Promise<void>
}

async function open(t: Test, backend: NatBackend, ...containers: string[]): Promise<Street> {
  const scene = await Scene.open(backend, ...containers)
  t.teardown(() => scene.close())
  const { host } = scene
  await host.tmpfs('/var/lib/tsnet')
  const tsnet = new Command(host, backend)
  const front = scene.network('front', 10)
  for (const name of containers) await front.add(scene.get(name))
  const reboot = async (...back: string[]) => {
    await endProcesses(host)
    for (const each of [...host.namespaces]) await each.remove()
    await powerCycle(host)
    for (const name of back) await front.add(await scene.container(name))
  }
  return { scene, tsnet, front, reboot }
}

const listed = async (tsnet: Command): Promise<ListedPort[]> =>
  JSON.parse((await tsnet.run('ports', '--json')).stdout)

/** Waits until a port is as it shall be. */
async function comesTo(tsnet: Command, hostPort: number, state: string, why?: RegExp): Promise<ListedPort> {
  let found: ListedPort | undefined
  const is = async () => {
    found = (await listed(tsnet)).find(each => each.hostPort === hostPort && each.state === state)
    return found !== undefined && (why === undefined || why.test(found.why ?? ''))
  }
  await waitFor(is, { what: `port ${hostPort} to be ${state}`, withinMs: 30_000 })
  return found as ListedPort
}

const keptFiles = ({ host }: Scene): string[] =>
  existsSync(host.path(KEPT)) ? readdirSync(host.path(KEPT)).filter(name => name.endsWith('.json')) : []

const logOf = (daemon: Running) => daemon.stderr.replace(/^\S+ /gm, '')

t.test('a reboot ends what is not kept, and the rest is back with its container, under its id', async t => {
  const { scene, tsnet, front, reboot } = await open(t, 'nftables', 'web', 'api')
  const { host, client } = scene
  await tsnet.daemon()
  await tsnet.run('publish', '8081:80', 'netns:web')
  const said = await tsnet.run(
    'publish',
    '--keep',
    '--json',
    '--expires',
    '1d',
    '8080:80',
    '0:80',
    'netns:web',
  )
  const [kept, drawn] = JSON.parse(said.stdout)
  t.match(kept, { keep: true, hostPort: 8080, containers: [{ reference: 'netns:web' }] })
  await tsnet.run('publish', '--keep', '--drain', '1m', '8082:80', 'netns:web,netns:api')
  t.equal(statSync(host.path(KEPT)).mode & 0o777, 0o700)
  for (const name of keptFiles(scene)) t.equal(statSync(host.path(`${KEPT}/${name}`)).mode & 0o777, 0o600)

  await reboot()
  t.match(
    await listed(tsnet),
    [
      { hostPort: 8080, state: 'waiting', why: 'no daemon runs', keep: true, resting: true, by: [] },
      { hostPort: 8082, state: 'waiting' },
      { hostPort: drawn.hostPort },
    ],
    'also where no daemon runs',
  )
  const daemon = await tsnet.daemon()
  const waiting = await comesTo(
    tsnet,
    8080,
    'waiting',
    /^netns:web is not there; the port is free until it is back$/,
  )
  t.equal(waiting.expiresAt, kept.expiresAt)
  t.match(
    (await tsnet.run('inspect', '8080')).stdout,
    /waiting[\s\S]*because +netns:web is not there[\s\S]*kept +until/,
  )
  t.match(logOf(daemon), /^waiting 8080\/tcp → netns:web: netns:web is not there/m)
  t.equal((await host.run('ss', '-Htln', 'sport = :8080')).stdout, '', 'nobody is kept from the port')

  await front.add(await scene.container('web'))
  t.match(await comesTo(tsnet, 8080, 'serving'), {
    id: kept.id,
    keep: true,
    expiresAt: kept.expiresAt,
    containers: [{ asked: 'netns:web' }],
  })
  t.equal((await client.ask('tcp', HOST[4], 8080)).place, 'web')
  t.equal((await host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
  t.equal((await host.ask('tcp', '127.0.0.1', drawn.hostPort)).place, 'web', 'on the port that it had')
  t.match(logOf(daemon), /^serving 8080\/tcp → netns:web$/m)
  await comesTo(tsnet, 8082, 'serving', /netns:api does not run/)
  t.equal((await host.ask('tcp', '127.0.0.1', 8082)).place, 'web')
  await front.add(await scene.container('api'))
  const both = async () => (await listed(tsnet)).every(({ why }) => why === undefined)
  await waitFor(both, { what: 'the second container' })

  await tsnet.run('unpublish', '--all')
  t.same(keptFiles(scene), [])
  t.notOk(existsSync(host.path(KEPT)), 'and no folder')
  await reboot('web')
  await tsnet.daemon()
  t.same(await listed(tsnet), [])
})

t.test('a container that is gone frees the port, and waits for it when it is back', async t => {
  const { scene, tsnet, front } = await open(t, 'iptables', 'web', 'api')
  const { client } = scene
  const daemon = await tsnet.daemon()
  await tsnet.run('publish', '--keep', '8080:80', 'netns:web')
  await front.delete(scene.get('web'))
  await scene.get('web').remove()
  await comesTo(tsnet, 8080, 'waiting', /netns:web is not there/)
  t.notMatch(logOf(daemon), /^(ended|unpublished) 8080/m)

  await tsnet.run('publish', '--keep', '8080:80', 'netns:api')
  await front.add(await scene.container('web'))
  await comesTo(tsnet, 8080, 'waiting', /8080\/tcp .*(published|in use)/)
  t.equal((await client.ask('tcp', HOST[4], 8080)).place, 'api')
  t.equal((await listed(tsnet)).length, 2)

  // The predecessor is asked for what it serves; what waits is in files.
  await tsnet.daemon('--replace')
  await comesTo(tsnet, 8080, 'waiting')
  await tsnet.run('unpublish', 'netns:api')
  t.match(await comesTo(tsnet, 8080, 'serving'), { containers: [{ name: 'web' }] })
  t.equal((await client.ask('tcp', HOST[4], 8080)).place, 'web')

  await tsnet.run('publish', '--replace', '8080:80', 'netns:api')
  t.same(keptFiles(scene), [], 'what replaces it is kept only if it says so')
  await tsnet.run('publish', '--replace', '--keep', '8080:80', 'netns:web')
  t.equal(keptFiles(scene).length, 1)
})

t.test('what rests is found by whatever names it, replaced, and ends by its time', async t => {
  const { scene, tsnet, front, reboot } = await open(t, 'nftables', 'web')
  await tsnet.daemon()
  const publish = async (...words: string[]): Promise<string> =>
    JSON.parse((await tsnet.run('publish', '--keep', '--json', ...words)).stdout)[0].id
  await publish('8080:80', 'netns:web')
  await publish('--expires', '2s', '8081:80', 'netns:web')
  const third = await publish('8082:80', 'netns:web')
  const fourth = await publish('8083:80', 'netns:web')
  await publish('8084:80', 'netns:web')
  await reboot()
  await tsnet.daemon()
  await waitFor(async () => (await listed(tsnet)).every(each => each.hostPort !== 8081), { what: 'its time' })
  t.match((await tsnet.run('unpublish', '8080')).stdout, /^\*:8080\/tcp -> netns:web:80 ended$/m)
  await tsnet.run('unpublish', third)
  t.match(await listed(tsnet), [{ hostPort: 8083 }, { hostPort: 8084 }])

  await scene.container('api')
  const replaced = await publish('--replace', '8083:80', 'netns:api')
  t.not(replaced, fourth)
  t.same(keptFiles(scene).includes(`${fourth}.json`), false, 'it does not wait for ever')
  await tsnet.run('unpublish', 'netns:web')
  t.match(await listed(tsnet), [{ hostPort: 8083, containers: [{ name: 'api' }] }])
  await reboot()
  // Ended without a daemon: one is started for it.
  await tsnet.run('unpublish', '--all')
  t.same(keptFiles(scene), [])

  // The first call after a reboot may be that of the container itself.
  await tsnet.daemon('--replace')
  await scene.container('api')
  const last = await publish('8085:80', 'netns:api')
  await reboot()
  await front.add(await scene.container('api'), { env: { TSNET_DAEMON: 'on' } })
  t.match(await comesTo(tsnet, 8085, 'serving'), { id: last })
})

t.test('who cannot be found again is refused, and damaged files are set aside, never waited for', async t => {
  const { scene, tsnet, reboot } = await open(t, 'nftables', 'web')
  const { host } = scene
  await tsnet.daemon()
  host.start('unshare', '--net', 'sleep', '1000')
  const sleeper = () => host.processes().find(({ command }) => command === 'sleep 1000')
  await waitFor(() => sleeper() !== undefined, { what: 'a process with a network of its own' })
  const { pid } = sleeper() ?? {}
  for (const reference of [`pid:${pid}`, `netns:/proc/${pid}/ns/net`]) {
    const refused = await tsnet.try('publish', '--keep', '8080:80', reference)
    t.equal(refused.code, 2)
    t.match(refused.stderr, /--keep: .* cannot be found again: /)
  }
  t.same(await listed(tsnet), [])
  const [{ id }] = JSON.parse((await tsnet.run('publish', '--keep', '--json', '8080:80', 'netns:web')).stdout)
  const path = host.path(`${KEPT}/${id}.json`)
  await reboot()
  writeFileSync(path, '')
  await host.run('mkfifo', `${KEPT}/0123456789abcdef.json`)
  mkdirSync(host.path(`${KEPT}/fedcba9876543210.json`))
  const daemon = await tsnet.daemon()
  t.match(await listed(tsnet), [{ id, hostPort: 8080 }], 'from its copy')
  t.match(
    daemon.stderr,
    /publications\/0123456789abcdef\.json is a FIFO; it was moved to \/var\/lib\/tsnet\/damaged\//,
  )
})
