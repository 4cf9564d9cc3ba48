/** What is done to publications at the same time, with a Docker that takes its time. */

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import type { Publication } from '../../src/model/publication.ts'
import { listPublications, writePublication } from '../../src/network/owners.ts'
import { Publisher } from '../../src/network/publisher.ts'
import { startProxy } from '../../src/proxy/proxy.ts'

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
  const publication: Publication = {
    id: id.repeat(16),
    protocol: 'tcp',
    hostPort: 0,
    count: 1,
    target: { port: 80 },
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
    createdAt: '2026-01-01T00:00:00.000Z',
    mode: 'proxy',
    via: 'auto',
    allow: [],
    deny: [],
    waitMs: 0,
    drainMs: 0,
    ...more,
  }
  writePublication(publication)
  return publication
}

function newPublisher() {
  const events: string[] = []
  const publisher = new Publisher(proxy, { tell: (event, { id }) => events.push(`${event} ${id[0]}`) })
  return { publisher, events }
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
