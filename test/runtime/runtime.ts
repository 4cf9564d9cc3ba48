/** What is said when no container can be given; what is given needs namespaces: test/netns/resolve.ts. */

import t from 'tap'
import { TsnetError } from '../../src/model/errors.ts'
import type { Runtime } from '../../src/model/publication/publication.ts'
import type { Found, Source } from '../../src/runtime/found.ts'
import { resolveAgain, resolveContainer } from '../../src/runtime/runtime.ts'
import { longId } from '../support/runtime-files.ts'

const found = (runtime: Runtime, name: string, more: Partial<Found> = {}): Found => ({
  runtime,
  id: name,
  name,
  ...more,
})
const knowing = (...containers: Found[]): Source => ({
  runtime: containers[0]?.runtime ?? 'docker',
  list: () => containers,
})
const failing = (runtime: Runtime, code: 'missing' | 'io', message: string): Source => ({
  runtime,
  list: () => Promise.reject(new TsnetError(code, message)),
})
const resolve = (text: string, ...sources: Source[]) => resolveContainer(text, [], sources)

t.test('an unknown name is answered with what there is, each container once', async t => {
  const id = longId('4f')
  const docker = knowing(found('docker', 'web', { id }), found('docker', 'db'))
  const containerd = knowing(found('containerd', id, { scope: 'moby' }))
  await t.rejects(resolve('shop', docker, containerd), {
    code: 'unknown-container',
    message: 'no container answers to "shop"; there are docker:web, docker:db',
  })
  await t.rejects(resolve('shop'), { message: /no runtime on this host has a container/ })
  const many = knowing(...Array.from({ length: 12 }, (_, i) => found('lxc', `c${i}`)))
  await t.rejects(resolve('shop', many), { message: /lxc:c9 and 2 more$/ })
})

t.test('a container that does not run is told from one that is not there', async t => {
  const source = knowing(found('docker', 'web', { pid: 0 }), found('docker', 'gone', { pid: 2 ** 22 + 1 }))
  for (const name of ['web', 'docker:gone']) {
    await t.rejects(resolve(name, source), { code: 'not-running', message: /start it first/ }, name)
  }
})

t.test('a runtime in trouble is named when nobody else knows the container', async t => {
  const hanging = failing('docker', 'io', 'docker on /run/docker.sock: no answer')
  await t.rejects(resolve('web', knowing(found('lxc', 'db')), hanging), {
    code: 'io',
    message: 'container "web" was not found: docker on /run/docker.sock: no answer',
  })
})

t.test('a runtime that is not on this host matters only to who asks for it', async t => {
  const docker = failing('docker', 'missing', 'docker does not listen on /run/docker.sock')
  await t.rejects(resolve('web', docker), { code: 'unknown-container' })
  await t.rejects(resolve('docker:web', docker), { code: 'missing', message: /does not listen/ })
  await t.rejects(resolve('lxc:web', docker, knowing(found('lxc', 'db'))), { code: 'unknown-container' })
})

t.test('a container whose process cannot be asked for is the trouble of its runtime', async t => {
  const source: Source = {
    runtime: 'lxc',
    list: () => [found('lxc', 'web')],
    locate: () => Promise.reject(new TsnetError('io', 'lxc: its command lxc-info is not installed')),
  }
  await t.rejects(resolve('web', source), { code: 'io', message: /lxc-info is not installed/ })
})

t.test('a container on the network of the host is refused', async t => {
  const source = knowing(found('docker', 'web', { pid: process.pid }))
  for (const name of ['web', `pid:${process.pid}`, 'netns:/proc/self/ns/net']) {
    await t.rejects(resolve(name, source), { code: 'invalid-netns', message: /network of this host/ }, name)
  }
})

t.test('namespaces and processes that are not there are said', async t => {
  await t.rejects(resolve('netns:no-such-namespace'), { code: 'invalid-netns' })
  await t.rejects(resolve('netns:/etc/passwd'), { code: 'invalid-netns' })
  await t.rejects(resolve(`pid:${2 ** 22 + 1}`), { code: 'invalid-netns' })
})

t.test('to follow a container is to find the very same name again', async t => {
  const netns = { path: '/nowhere', dev: 1, ino: 1 }
  const container = { runtime: 'docker' as const, id: longId('4f'), netns, addresses: [] }
  const other = knowing(found('docker', 'other', { id: longId('abc'), pid: process.pid }))
  const again = { ...container, name: 'abc', reference: 'docker:abc' }
  await t.rejects(resolveAgain(again, [], [other]), { code: 'unknown-container' }, 'the beginning of an id')
  const process1 = { ...container, runtime: 'pid' as const, name: '1', reference: 'pid:1' }
  await t.rejects(resolveAgain(process1, [], []), { code: 'unknown-container' }, 'a pid that is used again')
})
