/**
 *     host
 *     ├─ br0 10.9.0.1/24 ── web eth0 10.9.0.2/24 fd09::2/64
 *     ├─ veth1 (of no bridge) ── lonely eth0 10.8.0.2/24
 *     └─ bare has nothing but lo
 */

import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { lab, type Namespace, waitFor } from 'tsnet/lab'
import { TsnetError } from '../../src/model/errors.ts'
import type { Runtime } from '../../src/model/publication/publication.ts'
import type { Found, Source } from '../../src/runtime/found.ts'
import { parseListening } from '../../src/runtime/listening.ts'
import { answeringFamilies, lookInto } from '../../src/runtime/network-view.ts'
import { allListening, listListening, resolveAgain, resolveContainer } from '../../src/runtime/runtime.ts'
import { engine } from '../../src/runtime/sources/engine.ts'
import { fakeEngine } from '../support/fake-engine.ts'
import { longId } from '../support/runtime-files.ts'

async function open(t: Test) {
  const world = await lab()
  t.teardown(() => world.end())
  const host = await world.host('host')
  const [web, lonely, bare] = [
    await host.namespace('web'),
    await host.namespace('lonely'),
    await host.namespace('bare'),
  ]
  world.wire([host, 'veth0'], [web, 'eth0', '10.9.0.2/24', 'fd09::2/64'])
  world.wire([host, 'veth1', '10.8.0.1/24'], [lonely, 'eth0', '10.8.0.2/24'])
  host.bridge('br0', { addresses: ['10.9.0.1/24', 'fd09::1/64'], ports: ['veth0'] })
  return { world, host, web, lonely, bare }
}

const found = (runtime: Runtime, name: string, at: Namespace, more: Partial<Found> = {}): Found => ({
  runtime,
  id: name,
  name,
  netnsPath: at.host.path(at.path),
  ...more,
})
const knowing = (...containers: Found[]): Source => ({
  runtime: containers[0]?.runtime ?? 'docker',
  list: () => containers,
})
const resolve = (text: string, ...sources: Source[]) => resolveContainer(text, [], sources)

t.test('an address that is tentative is one that comes in a moment', async t => {
  const { host, web } = await open(t)
  await web.run('ip', 'addr', 'flush', 'dev', 'eth0', 'scope', 'global')
  await web.run('sysctl', '-w', 'net.ipv6.conf.eth0.accept_dad=1', 'net.ipv6.conf.eth0.dad_transmits=1000')
  await web.run('ip', 'addr', 'add', 'fd09::3/64', 'dev', 'eth0')
  t.match((await web.run('ip', 'addr', 'show', 'dev', 'eth0')).stdout, /fd09::3.*tentative/)
  t.match(
    host.inside(() => lookInto(web.netns)),
    { addresses: ['fd09::3/64'], bridge: 'br0' },
  )
  await web.run('ip', 'addr', 'add', 'fd09::4/64', 'dev', 'eth0', 'nodad')
  t.same(
    host.inside(() => lookInto(web.netns)).addresses,
    ['fd09::4/64', 'fd09::3/64'],
    'after one that is there',
  )
})

t.test('what the host can reach of a container is behind a bridge', async t => {
  const { host, web, lonely, bare } = await open(t)
  const view = (at: Namespace) => host.inside(() => lookInto(at.netns))
  t.same(view(web), {
    addresses: ['10.9.0.2/24', 'fd09::2/64'],
    bridge: 'br0',
    bridgePort: 'veth0',
    ownAddress: '10.9.0.2',
  })
  t.same(view(lonely), { addresses: [], ownAddress: '10.8.0.2' })
  t.same(view(bare), { addresses: [] })
})

t.test('of several networks it is the one that the default route leaves by', async t => {
  const { world, host, web } = await open(t)
  world.wire([host, 'veth7'], [web, 'eth7', '10.7.0.2/24', 'fd07::2/64'])
  host.bridge('br1', { addresses: ['10.7.0.1/24', 'fd07::1/64'], ports: ['veth7'] })
  await host.run('bridge', 'link', 'set', 'dev', 'veth7', 'isolated', 'on')
  const view = () => host.inside(() => lookInto(web.netns))
  const answering = (bridge: string) => host.inside(() => answeringFamilies(web.netns, bridge))
  const onFirst = { addresses: ['10.9.0.2/24', 'fd09::2/64'], bridge: 'br0', bridgePort: 'veth0' }
  const onOther = { addresses: ['10.7.0.2/24', 'fd07::2/64'], bridge: 'br1', bridgePort: 'veth7' }
  t.match(view(), { ...onFirst, otherAddresses: ['10.7.0.2', 'fd07::2'] }, 'the first, where there is none')
  t.same(answering('br0'), [])
  web.route('default', 'fd07::1')
  t.match(view(), { ...onOther, isolated: true, otherAddresses: ['10.9.0.2', 'fd09::2'] })
  t.same(answering('br1'), [6])
  await web.run('ip', 'route', 'add', 'default', 'via', '10.7.0.1', 'metric', '200')
  t.match(view(), onOther)
  t.same(answering('br1'), [4, 6])
  await web.run('ip', 'route', 'add', 'default', 'via', '10.9.0.1', 'metric', '100')
  t.match(view(), onFirst, 'the lower metric, and IPv4 before IPv6')
  t.same([answering('br0'), answering('br1')], [[4], [6]])
})

t.test('a container of another host is not behind our bridge, even with the same numbers', async t => {
  const [ours, theirs] = [await open(t), await open(t)]
  t.same(
    ours.host.inside(() => lookInto(theirs.web.netns)),
    { addresses: [], ownAddress: '10.9.0.2' },
  )
})

t.test('several names for one namespace are one container, by the name that people use', async t => {
  const { web } = await open(t)
  const id = longId('4f')
  const docker = knowing(found('docker', 'web', web, { id }))
  const containerd = knowing(found('containerd', id, web, { scope: 'moby' }))
  for (const name of ['web', id, '4f0', `containerd:moby/${id}`]) {
    const { reference, netns } = await resolve(name, docker, containerd)
    t.equal(reference, name.startsWith('containerd') ? `containerd:moby/${id}` : 'docker:web')
    t.match(netns, { dev: web.netns.id.dev, ino: web.netns.id.ino })
  }
})

t.test('a name that several containers have is refused, and each of them named', async t => {
  const { web, lonely, bare } = await open(t)
  const sources = [
    knowing(found('docker', 'web', web, { id: longId('4f2a') })),
    knowing(found('lxc', 'web', lonely)),
    knowing(found('containerd', 'web', bare, { scope: 'default' })),
  ]
  await t.rejects(resolve('web', ...sources), {
    code: 'unknown-container',
    message:
      'container "web" could be any of docker:web (4f2a00000000), lxc:web (web), containerd:default/web (web); name one of these',
  })
  for (const reference of ['docker:web', 'lxc:web', 'containerd:default/web']) {
    t.equal((await resolve(reference, ...sources)).reference, reference)
  }
})

t.test('a runtime that fails or lags takes nothing from what another answers', async t => {
  const { web } = await open(t)
  const failing: Source = { runtime: 'docker', list: () => Promise.reject(new TsnetError('io', 'hangs')) }
  const stuck: Source = {
    runtime: 'podman',
    list: () => [{ runtime: 'podman', id: 'web', name: 'web' }],
    locate: () => Promise.reject(new TsnetError('io', 'hangs')),
  }
  t.equal((await resolve('web', failing, stuck, knowing(found('lxc', 'web', web)))).reference, 'lxc:web')
})

t.test('a runtime that hangs is not waited for where another knows the whole name, and is named', async t => {
  const { web } = await open(t)
  const left = new Set<string | undefined>()
  const socket = await fakeEngine(t, (request, response) => response.on('close', () => left.add(request.url)))
  const id = longId('4f')
  const containerd = knowing(found('containerd', 'web', web, { id, scope: 'shop' }))
  // It fails in a time in which nobody would have waited for it.
  const ask = async (word: string, withinMs: number) => {
    const warnings: string[] = []
    const sources = [engine('docker', socket, withinMs), containerd]
    const { reference } = await resolveContainer(word, [], sources, line => warnings.push(line))
    return [reference, ...warnings]
  }
  for (const word of ['web', 'shop/web', id]) {
    const warning = `"${word}" is containerd:shop/web; docker did not answer in time`
    t.same(await ask(word, 600_000), ['containerd:shop/web', warning])
    await waitFor(() => left.size > 0, { what: 'the question to be taken back' })
    left.clear()
  }
  // It could know a container of that name.
  t.same(await ask(id.slice(0, 12), 2_000), ['containerd:shop/web'])
})

t.test('a container is followed into its new namespace', async t => {
  const { web, lonely } = await open(t)
  const before = await resolve('web', knowing(found('docker', 'web', web)))
  const after = await resolveAgain(before, [], [knowing(found('docker', 'web', lonely))])
  t.equal(after.netns.ino, lonely.netns.id.ino)
  await t.rejects(resolveAgain(before, [], [knowing(found('lxc', 'web', lonely))]), {
    code: 'unknown-container',
  })
  const twins = knowing(found('docker', 'web', web), found('docker', 'web', lonely, { id: 'other' }))
  await t.rejects(resolveAgain(before, [], [twins]), { code: 'try-again' }, 'one may be on its way out')
})

t.test('ports that are listened on are read in the namespace of the container', async t => {
  const { host, web, bare } = await open(t)
  host.listen('tcp', 7)
  web.listen('tcp', 80)
  web.listen('udp', 53)
  web.listen('tcp', 8080, '10.9.0.2')
  web.listen('tcp', 5432, '127.0.0.1')
  web.listen('tcp', 6379, '::1')
  t.same(listListening(web.netns), [
    { port: 80, loopback: false },
    { port: 5432, loopback: true },
    { port: 6379, loopback: true },
    { port: 8080, loopback: false },
  ])
  t.same(listListening(bare.netns), [])
  web.listen('tcp', 9000, '::ffff:127.0.0.1')
  web.listen('tcp', 9001, '::ffff:10.9.0.2')
  const printed = web.inside(() =>
    ['tcp', 'tcp6'].map(name => readFileSync(`/proc/thread-self/net/${name}`, 'utf8')),
  )
  t.same(listListening(web.netns), parseListening(printed.join('\n')), 'as the kernel prints them')
  t.match(listListening(web.netns), [
    {},
    {},
    {},
    {},
    { port: 9000, loopback: true },
    { port: 9001, loopback: false },
  ])
  t.same(allListening(web.netns, ['udp']), { udp: [{ port: 53, loopback: false }] })
})
