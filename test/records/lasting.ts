/** What of a publication outlives a reboot: what was asked for, and how its containers are found again. */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Container } from '../../src/model/publication/publication.ts'
import {
  hasLasting,
  lastingIndex,
  listResting,
  readLasting,
  removeLasting,
  writeLasting,
} from '../../src/records/lasting.ts'
import { writePublication } from '../../src/records/publications.ts'
import { publication } from '../support/publications.ts'

const id = '0123456789abcdef'

const web: Container = {
  runtime: 'docker',
  id: 'f00d',
  name: 'web',
  reference: 'docker:web',
  asked: 'web',
  pid: 812,
  netns: { path: '/proc/812/ns/net', dev: 4, ino: 4_026_532_201, cookie: '7' },
  addresses: ['172.17.0.2/16' as Container['addresses'][number]],
  bridge: 'docker0',
}
const served = publication({
  id,
  containers: [web],
  keep: true,
  asked: '8080:80',
  expiresAt: 2_000_000_000_000,
  natObstacle: 'a rule drops it',
})

/** @returns the folder of what lasts */
function begin(t: Test): string {
  process.env.TSNET_RUN_DIR = t.testdir()
  return join(process.env.TSNET_RUN_DIR, 'lasting/publications')
}

t.test('what this boot numbered is not written down, and what was asked for is', async t => {
  const folder = begin(t)
  t.notOk(hasLasting())
  writeLasting(served)
  t.ok(hasLasting())
  const text = readFileSync(join(folder, `${id}.json`), 'utf8')
  for (const passing of ['netns', '4026532201', '/proc/812', '172.17.0.2', 'docker0', 'a rule drops it'])
    t.notMatch(text, passing)
  const nowhere = { path: '', dev: 0, ino: 0 }
  const { natObstacle: _, ...asked } = served
  const container = { runtime: 'docker', id: 'f00d', name: 'web', reference: 'docker:web', asked: 'web' }
  t.strictSame(readLasting(id), { ...asked, containers: [{ ...container, netns: nowhere, addresses: [] }] })
})

t.test('one rests for as long as the run directory has none of its id', async t => {
  begin(t)
  writeLasting(served)
  const index = lastingIndex()
  t.same(
    listResting().map(each => each.id),
    [id],
  )
  writePublication(served)
  t.same(listResting(), [])
  t.same(
    index.list().map(each => each.id),
    [id],
    'and it lasts all the same',
  )
  removeLasting(id)
  t.same(index.list(), [])
  t.equal(readLasting(id), undefined)
  removeLasting(id)
})

t.test(
  'a damaged file comes back from its copy; without one it is set aside, and the others last',
  async t => {
    const folder = begin(t)
    const other = 'fedcba9876543210'
    writeLasting(served)
    writeLasting({ ...served, id: other })
    writeFileSync(join(folder, `${id}.json`), '{"id":')
    t.match(readLasting(id), { id, hostPort: 8080, keep: true })
    t.match(JSON.parse(readFileSync(join(folder, `${id}.json`), 'utf8')), { id }, 'and is whole again')

    const copies = join(folder, '../copies/publications')
    for (const each of [folder, copies]) writeFileSync(join(each, `${id}.json`), '[]')
    t.same(
      listResting().map(each => each.id),
      [other],
    )
    t.notOk(existsSync(join(folder, `${id}.json`)))
    t.match(readdirSync(join(folder, '../damaged')), [/0123456789abcdef/])
  },
)

t.test('what no publication can be is none', async t => {
  const folder = begin(t)
  // It goes when nothing is in it.
  const make = () => mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const wrong of ['', 'null', '{}', '{"id":7}', JSON.stringify({ ...served, hostPort: 70_000 })]) {
    make()
    writeFileSync(join(folder, `${id}.json`), wrong)
    t.equal(readLasting(id), undefined, wrong.slice(0, 20))
  }
  make()
  writeFileSync(join(folder, 'README'), 'no file of ours')
  t.same(listResting(), [])
})
