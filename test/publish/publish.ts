/** What is done to publications at the same time, with a Docker that takes its time. */

import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import type { Cidr, Ip } from '../../src/model/address/address.ts'
import type { NamespaceId } from '../../src/model/network.ts'
import type { Publication } from '../../src/model/publication/publication.ts'
import { claimPorts } from '../../src/ports/ports.ts'
import { startProxy } from '../../src/proxy/proxy.ts'
import { Publisher } from '../../src/publish/publish.ts'
import { signatureOf } from '../../src/publish/service/service.ts'
import { listPublications, removePublication, writePublication } from '../../src/records/publications.ts'
import { lockPath } from '../../src/records/records.ts'
import { publication } from '../support/publications.ts'
import { LOOPBACK } from '../support/published.ts'
import { codeOf, connect, echo, exchange, serve } from '../support/streams.ts'

const folder = mkdtempSync(join(tmpdir(), 'tsnet-'))
process.env.TSNET_RUN_DIR = folder
process.env.DOCKER_HOST = `unix://${folder}/docker.sock`

/** Questions that Docker has not answered yet. */
const asked: ServerResponse[] = []
const docker = createServer((_, response) => asked.push(response)).listen(join(folder, 'docker.sock'))
const answer = (text: string) => {
  for (const response of asked.splice(0)) response.end(text)
}
const proxy = startProxy()
t.teardown(async () => {
  docker.close()
  await proxy.close()
  rmSync(folder, { recursive: true })
})

/** A publication of a container that has gone. */
function published(id: string, more: Partial<Publication> = {}): Publication {
  const written = publication({
    id: id.repeat(16),
    hostPort: 0,
    containers: [
      {
        runtime: 'docker',
        id,
        name: id,
        reference: `docker:${id}`,
        netns: { path: join(folder, 'gone'), dev: 1, ino: 1 },
        addresses: [],
      },
    ],
    mode: 'proxy',
    ...more,
  })
  writePublication(written)
  return written
}

function newPublisher() {
  const events: string[] = []
  const reasons: (string | undefined)[] = []
  const publisher = new Publisher(proxy, {
    tell: (event, { id }, { why } = {}) => {
      events.push(`${event} ${id[0]}`)
      reasons.push(why)
    },
  })
  return { publisher, events, reasons }
}

t.test('a runtime that hangs is asked for all at once, and holds up nobody else', async t => {
  const { publisher, events } = newPublisher()
  for (const id of ['a', 'b', 'c']) published(id)
  published('d', { expiresAt: 1 })
  const tended = publisher.tend()
  await waitFor(() => asked.length === 3, { what: 'questions about all three' })
  await waitFor(() => events.length > 0, { what: 'what is over to end' })
  t.strictSame(events, ['expired d'])
  answer('[]')
  await tended
  t.strictSame(events.sort(), ['ended a', 'ended b', 'ended c', 'expired d'])
  t.strictSame(listPublications(), [])
})

t.test('what is unpublished while its container is looked for does not come back', async t => {
  const { publisher, events } = newPublisher()
  const one = published('a')
  const tended = publisher.tend()
  await waitFor(() => asked.length === 1, { what: 'the question' })
  await publisher.unpublish([one])
  answer('[{"Id":"a","Names":["/a"]}]')
  await waitFor(() => asked.length === 1, { what: 'the question after its process' }).catch(() => {})
  answer('{"State":{"Pid":0}}')
  await tended
  t.strictSame(events, ['unpublished a'])
  t.strictSame(listPublications(), [])
  await publisher.unpublish([one])
  t.strictSame(events, ['unpublished a'], 'and ends only once')
})

t.test('one whose runtime hangs is left alone, and the others are looked after meanwhile', async t => {
  const { publisher, events } = newPublisher()
  published('a')
  const first = publisher.tend()
  await waitFor(() => asked.length === 1, { what: 'the question' })
  published('d', { expiresAt: 1 })
  await publisher.tend()
  t.strictSame(events, ['expired d'])
  t.equal(asked.length, 1, 'and the question is not asked twice')
  answer('[]')
  await first
  t.strictSame(events, ['expired d', 'ended a'])
})

t.test('a runtime that fails ends nothing; why is told once, and is known', async t => {
  const { publisher, events, reasons } = newPublisher()
  published('a')
  const rounds = async (text: string) => {
    const tended = publisher.tend()
    await waitFor(() => asked.length === 1, { what: 'the question' })
    answer(text)
    await tended
  }
  await rounds('nonsense')
  t.strictSame(events, ['waiting a'])
  t.match(reasons, [/docker on .*: .*JSON/])
  t.match(publisher.list(), [{ id: 'a'.repeat(16), obstacle: /docker on .*JSON/ }])
  await publisher.tend()
  t.equal(asked.length, 0, 'it rests a moment')
  await publisher.unpublish(publisher.list())
})

/** A container whose namespace is a file; it runs as long as that is there. */
function startContainer(id: string, port: number): Partial<Publication> {
  const path = join(folder, `${id}.netns`)
  writeFileSync(path, '')
  const { dev, ino } = statSync(path)
  return {
    target: { port },
    containers: [
      {
        runtime: 'docker',
        id,
        name: id,
        reference: `docker:${id}`,
        netns: { path, dev, ino },
        addresses: ['127.0.0.1/8' as Cidr],
      },
    ],
  }
}

/** Tends until it is so. */
const tendUntil = (publisher: Publisher, isSo: () => boolean, what: string) =>
  waitFor(
    async () => {
      await publisher.tend()
      return isSo()
    },
    { what },
  )

t.test('a port that somebody else has, and an address that is not there, are waited for', async t => {
  await using container = await serve(echo)
  const { publisher, events, reasons } = newPublisher()
  const busy = await serve(echo)
  published('a', { hostPort: busy.port, hostIp: LOOPBACK, ...startContainer('a', container.port) })
  published('b', { hostPort: 8080, hostIp: '192.0.2.77' as Ip, ...startContainer('b', container.port) })
  publisher.restore()
  t.strictSame(events.toSorted(), ['waiting a', 'waiting b'])
  t.match(reasons.toSorted(), [
    /already in use by node \(pid \d+\)/,
    /192\.0\.2\.77.* not an address of this host/,
  ])
  await busy[Symbol.asyncDispose]()
  await tendUntil(publisher, () => events.length > 2, 'the port to be taken')
  t.strictSame(events.slice(2), ['serving a'])
  t.equal(String(await exchange(busy.port, 'hello')), 'hello')
  t.match(publisher.list(), [{ id: /^[ab]/ }, { id: /^[ab]/ }], 'both are there')
  t.strictSame(events.length, 3, 'and nothing is said twice')
  await publisher.unpublish(publisher.list())
  t.strictSame(listPublications(), [])
})

t.test('while its container does not run, a port leads nowhere, by the proxy alone too', async t => {
  await using container = await serve(echo)
  const { publisher, events, reasons } = newPublisher()
  const held = await serve(echo)
  await held[Symbol.asyncDispose]()
  published('a', { hostPort: held.port, hostIp: LOOPBACK, ...startContainer('a', container.port) })
  publisher.restore()
  await publisher.tend()
  t.equal(String(await exchange(held.port, 'hello')), 'hello')
  rmSync(join(folder, 'a.netns'))
  const stop = async () => {
    const tended = publisher.tend()
    await waitFor(() => asked.length === 1, { what: 'the question' })
    answer('[{"Id":"a","Names":["/a"]}]')
    await waitFor(() => asked.length === 1, { what: 'the question after its process' })
    answer('{"State":{"Pid":0}}')
    await tended
  }
  await stop()
  t.strictSame(events, ['waiting a'])
  t.strictSame(reasons, ['a does not run'])
  await t.rejects(exchange(held.port, 'hello'), 'somebody else may have the address by now')
  await stop()
  t.strictSame(events, ['waiting a'], 'which is said once')
  await publisher.unpublish(publisher.list())
})

t.test('who came back is another one, whatever number the kernel gave its namespace', t => {
  const netns = { path: '/proc/21/ns/net', dev: 4, ino: 4026532398 }
  const { containers } = published('a')
  const led = (now: Partial<NamespaceId> & { path?: string }) =>
    signatureOf({ containers: containers.map(each => ({ ...each, netns: { ...netns, ...now } })) })
  t.equal(led({}), led({}))
  t.not(led({ cookie: '5' }), led({ cookie: '6' }))
  t.not(led({}), led({ path: '/proc/22/ns/net' }), 'where the kernel knows no cookies')
  removePublication('a'.repeat(16))
  t.end()
})

t.test('what was being ended when its daemon died is ended, and not served again', async t => {
  const { publisher, events } = newPublisher()
  const held = await serve(echo)
  await held[Symbol.asyncDispose]()
  published('a', { hostPort: held.port, hostIp: LOOPBACK, ...startContainer('a', 80), ending: 'unpublished' })
  publisher.restore()
  t.equal(await codeOf(connect(held.port)), 'ECONNREFUSED')
  await publisher.tend()
  t.strictSame(events, ['unpublished a'])
  t.strictSame(listPublications(), [])
})

t.test('what was being made when its daemon died is taken back, and keeps its port from nobody', async t => {
  const { publisher, events } = newPublisher()
  const held = await serve(echo)
  await held[Symbol.asyncDispose]()
  const to = { hostPort: held.port, hostIp: LOOPBACK, ...startContainer('a', 80) }
  const { id } = published('a', { ...to, beginning: true })
  await claimPorts(id, [{ ...to, protocol: 'tcp', count: 1, containerPort: 80 }], { probe: false })
  writeFileSync(lockPath(id), '')
  publisher.restore()
  t.equal(await codeOf(connect(held.port)), 'ECONNREFUSED')
  const left = () => readdirSync(folder, { recursive: true }).filter(name => /json|lock/.test(`${name}`))
  await waitFor(() => left().length === 0, { what: 'record, claim and lock to go' })
  t.strictSame(events, [], 'nobody has been told of it')
})
