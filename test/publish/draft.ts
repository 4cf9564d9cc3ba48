/** What a request publishes, and which publication is in its place already. */

import t from 'tap'
import type { Container } from '../../src/model/publication/publication.ts'
import { parsePublishRequest } from '../../src/model/publication/request.ts'
import { draftsOf, findSame, successorOf } from '../../src/publish/draft.ts'

const container = (name: string): Container => ({
  runtime: 'docker',
  id: name,
  name,
  reference: `docker:${name}`,
  netns: { path: `/run/netns/${name}`, dev: 4, ino: 7 },
  addresses: [],
})

function drafts(port: string, reverse: boolean, ...names: string[]) {
  const request = parsePublishRequest({ ports: [port], containers: names, ...(reverse && { reverse }) })
  return draftsOf(request, { containers: names.map(container) }, request.specs[0] as never, port)
}

t.test('several containers share a port of the host, and in reverse each has one of its own', async t => {
  t.match(drafts('80:80', false, 'web', 'api'), [{ containers: [{ name: 'web' }, { name: 'api' }] }])
  t.match(drafts('80:80', true, 'web', 'api'), [
    { reverse: true, containers: [{ name: 'web' }] },
    { reverse: true, containers: [{ name: 'api' }] },
  ])
})

t.test(
  'what is in the same place is what listens there: on the host, or in reverse in the container',
  async t => {
    const [plain] = drafts('5432:15432', false, 'web')
    const [web] = drafts('5432:15432', true, 'web')
    if (plain === undefined || web === undefined) throw new Error('there is no draft')
    const here = [plain, web]
    for (const [port, reverse, name, found] of [
      ['5432:80', false, 'api', plain],
      ['5433:15432', false, 'web', undefined],
      ['5433:15432', true, 'web', web],
      ['[::1]:5433:15432', true, 'web', web],
      ['5432:15432', true, 'api', undefined],
      ['5432:15433', true, 'web', undefined],
      ['5432:15432/udp', true, 'web', undefined],
    ] as const)
      t.equal(findSame(here, drafts(port, reverse, name)[0] as never), found, `${port} ${reverse} ${name}`)
    t.match(successorOf(web, drafts('[::1]:5433:15432', true, 'web')[0] as never), {
      id: web.id,
      hostIp: '::1',
      hostPort: 5433,
    })
  },
)
