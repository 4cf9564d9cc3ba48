/**
 * Every state of the files in which a crash can leave an ADD, a DEL, a publish and an unpublish: each prefix of what
 * they do, a last write that is torn, a last name whose content was lost. On each of them DEL, ADD, GC and what a
 * daemon reads when it starts work; no address and no port goes to two, and what was acknowledged stays.
 *
 * The control: of the states in which an ADD has died, some have a lease or a claim that nothing but these calls
 * would give back.
 */

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { claimsOf } from '../../src/ports/claim-files.ts'
import { claimPorts } from '../../src/ports/ports.ts'
import { EntryIndex } from '../../src/records/entry-index.ts'
import { listPublications, publicationIndex } from '../../src/records/publications.ts'
import { listEntries, readEntry } from '../../src/records/records.ts'
import { tidyRunDirectory } from '../../src/records/tidy.ts'
import { crashed, mappingOf, PUBLICATION } from '../support/crash-steps.ts'
import { endsOf, type FileOperation, recordOperations, replay } from '../support/file-operations.ts'
import { tagOf } from '../support/records.ts'

t.setTimeout(600_000)

const write = process.stderr.write
// What is set aside is said; here that happens some hundred times.
process.stderr.write = (text: string | Uint8Array) =>
  /^tsnet: warning/.test(String(text)) || write.call(process.stderr, text)
t.teardown(() => {
  process.stderr.write = write
})

type Work = 'add' | 'delete' | 'publish' | 'unpublish'

/** What was there before: a container that nobody touches, and for what takes away, what is taken away. */
async function before(folder: string, work: Work) {
  mkdirSync(folder)
  const steps = crashed(folder)
  await steps.add('api')
  if (work === 'delete') await steps.add('web')
  if (work === 'unpublish') await steps.publish()
}

const leasesIn = (folder: string): string[] => {
  const network = join(folder, 'networks/front')
  return existsSync(network)
    ? readdirSync(network)
        .filter(name => /^10\./.test(name))
        .sort()
    : []
}

const API = '10.1.0.2'
const WEB = '10.1.0.3'

/** The bystander has its address, its port and its record. */
async function bystanderIsWell(t: Test, folder: string, where: string): Promise<void> {
  const steps = crashed(folder)
  t.equal(readFileSync(join(folder, 'networks/front', API), 'utf8'), 'api\r\neth0', where)
  t.equal(readEntry(tagOf('api'))?.state, 'attached', where)
  await steps.add('next').then(() => steps.delete('next'))
  await t.rejects(
    claimPorts(tagOf('next'), [mappingOf('api')], { probe: false }),
    { code: 'conflict' },
    where,
  )
}

/** Only what the bystander has is left. */
async function nothingIsLeft(t: Test, folder: string, where: string): Promise<void> {
  await tidyRunDirectory()
  rmSync(join(folder, 'run/damaged'), { recursive: true, force: true })
  t.same(leasesIn(folder), [API], where)
  t.same(
    readdirSync(join(folder, 'run'), { recursive: true, encoding: 'utf8' })
      .filter(name => /\.|users\/.*\//.test(name))
      .sort(),
    [
      `attachments/${tagOf('api')}.json`,
      'ports/tcp-121.json',
      ...['bridge-cni0', 'forwarding', 'nat-nftables'].map(resource => `users/${resource}/${tagOf('api')}`),
    ],
    where,
  )
  t.same(claimsOf(tagOf('web')).length + claimsOf(PUBLICATION).length, 0, where)
}

for (const work of ['add', 'delete', 'publish', 'unpublish'] as const) {
  t.test(`wherever ${work} stops, what comes next finds its way`, async t => {
    const top = t.testdir()
    const start = join(top, 'start')
    await before(start, work)
    const recorded = join(top, 'recorded')
    cpSync(start, recorded, { recursive: true })
    const worker = resolve('dist/lib/test/support/crash-worker.js')
    const operations = await recordOperations(recorded, [worker, recorded, work])
    t.ok(operations.length >= 10, `${operations.length} operations`)
    t.same(
      treeOf(recorded),
      treeAfter(join(top, 'whole'), start, operations),
      'all of them make what the work made',
    )

    let states = 0
    let halfDone = 0
    for (let count = 0; count <= operations.length; count++) {
      const last = operations[count - 1]
      for (const end of last === undefined ? (['done'] as const) : endsOf(last)) {
        states++
        const where = `${work} ${count} ${last?.kind} ${last?.path} ${end}`
        const state = async (name: string, look: (folder: string) => Promise<void>) => {
          const folder = join(top, name)
          cpSync(start, folder, { recursive: true })
          replay(folder, operations.slice(0, count), end)
          await look(folder)
          rmSync(folder, { recursive: true })
        }
        await state('del', async folder => {
          const steps = crashed(folder)
          if (leasesIn(folder).length > 1 || claimsOf(PUBLICATION).length > 0) halfDone++
          await bystanderIsWell(t, folder, where)
          await steps.delete('web')
          await steps.unpublish()
          await nothingIsLeft(t, folder, where)
        })
        await state('gc', async folder => {
          const steps = crashed(folder)
          await steps.collect(['api'])
          t.same(leasesIn(folder), [API], where)
          await tidyRunDirectory()
          await bystanderIsWell(t, folder, where)
        })
        await state('add', async folder => {
          const steps = crashed(folder)
          const isDone = count === operations.length && work === 'add'
          const others = []
          for (const id of ['one', 'two', 'three', 'four'])
            others.push(await steps.take(id).catch(() => undefined))
          const taken = [API, ...others.filter(each => each !== undefined)]
          t.equal(new Set(taken).size, taken.length, `${where}: no address twice`)
          if (isDone && end === 'done') t.notOk(taken.includes(WEB), `${where}: what was acknowledged stays`)
        })
        await state('daemon', async folder => {
          crashed(folder)
          listEntries()
          listPublications()
          new EntryIndex().attachedWithPorts()
          publicationIndex().list()
          const isServed = listPublications().some(({ id }) => id === PUBLICATION)
          if (work === 'publish' && count === operations.length) t.ok(isServed, where)
          if (isServed && count === operations.length)
            await t.rejects(
              claimPorts(tagOf('api'), [mappingOf('pub')], { probe: false }),
              { code: 'conflict' },
              where,
            )
        })
      }
    }
    t.ok(
      work !== 'add' || halfDone > 5,
      `the control: ${halfDone} of ${states} states have something to take back`,
    )
    t.comment(`${work}: ${operations.length} operations, ${states} states`)
  })
}

function treeAfter(folder: string, start: string, operations: readonly FileOperation[]): string[] {
  cpSync(start, folder, { recursive: true })
  replay(folder, operations, 'done')
  return treeOf(folder)
}

/** Names alone: a second and a clock make two runs differ. */
const treeOf = (folder: string): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
