/**
 * A wall clock that jumps. The machine's own is not set by a test, and a time namespace shifts monotonic clocks alone; so
 * what asks for the time of day is asked in this process, with another answer.
 */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { collectLeases, obtain } from '../../src/ipam/ipam.ts'
import { currentBootId } from '../../src/netns/alive.ts'
import { startProxy } from '../../src/proxy/proxy.ts'
import { Publisher } from '../../src/publish/publish.ts'
import { listPublications, writePublication } from '../../src/records/publications.ts'
import { addressesOf, hostLocal, leaseFiles, NETWORK, owner, recordOf, tear } from '../support/leases.ts'
import { publication } from '../support/publications.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const now = Date.now

process.env.TSNET_RUN_DIR = t.testdir({})
const proxy = startProxy()
t.teardown(() => proxy.close())

/** Puts the time of day forward, or back. */
function jump(t: Test, byMs: number): void {
  Date.now = () => now() + byMs
  t.teardown(() => {
    Date.now = now
  })
}

for (const [way, byMs] of [
  ['forward', DAY],
  ['back', -DAY],
] as const) {
  t.test(`${way} by a day: every lease stays, and the next address is one that is free`, async t => {
    const options = hostLocal(join(t.testdir(), 'networks'), ['10.1.0.0/29'])
    const boot = { bootId: currentBootId() }
    for (const name of ['a', 'b', 'c']) await obtain(options, owner(name, boot), [])
    const before = leaseFiles(options.dataDir)
    jump(t, byMs)
    t.same(await collectLeases(options, NETWORK, undefined), [])
    t.strictSame(leaseFiles(options.dataDir), before)
    const { leases } = await obtain(options, owner('d', boot), [])
    t.same(addressesOf(leases), ['10.1.0.5'])
    t.match(leaseFiles(options.dataDir), before)
    await obtain(options, owner('e', boot), [])
    await t.rejects(obtain(options, owner('f', boot), []), /./, 'control: none is taken from those who live')
  })
}

for (const [way, byMs] of [
  ['forward', DAY],
  ['back', -DAY],
] as const) {
  t.test(`${way} by a day: whose record somebody damaged keeps his address`, async t => {
    const options = hostLocal(join(t.testdir(), 'networks'), ['10.1.0.0/29'])
    const boot = { bootId: currentBootId() }
    for (const name of ['a', 'b', 'c', 'd']) await obtain(options, owner(name, boot), [])
    await obtain(options, owner('e', { bootId: 'yesterday' }), [])
    writeFileSync(recordOf(options.dataDir, 'a'), '{')
    tear(recordOf(options.dataDir, 'b'), '')
    tear(recordOf(options.dataDir, 'e'), '')
    jump(t, byMs)
    const { leases } = await obtain(options, owner('f', boot), [])
    t.same(addressesOf(leases), ['10.1.0.6'], 'control: what a power loss before this boot tore is free')
    await t.rejects(obtain(options, owner('g', boot), []), { code: 'exhausted' })
  })
}

t.test(
  'a publication’s own end is a time of day: what it has passed has ended, and nothing else',
  async t => {
    const ended: string[] = []
    const publisher = new Publisher(proxy, { tell: (event, { id }) => void ended.push(`${event} ${id[0]}`) })
    const ends = { a: now() + HOUR, b: now() + 2 * DAY, c: undefined }
    for (const [index, [name, expiresAt]] of Object.entries(ends).entries()) {
      const end = expiresAt === undefined ? {} : { expiresAt }
      writePublication(publication({ id: name.repeat(16), hostPort: 8080 + index, mode: 'proxy', ...end }))
    }
    const there = () => listPublications().map(({ id }) => id[0])
    jump(t, -DAY)
    await publisher.tend()
    t.same(there(), ['a', 'b', 'c'], 'a day back')
    jump(t, DAY)
    await publisher.tend()
    t.same(there(), ['b', 'c'], 'a day forward')
    t.same(ended, ['expired a'])
    jump(t, 3 * DAY)
    await publisher.tend()
    t.same(there(), ['c'], 'control: three days forward')
    await publisher.unpublish(publisher.list())
  },
)
