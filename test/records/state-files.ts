/** Every kind of damage in every file of the run directory, and what comes of it. */

import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { mapOf, record, text, whole } from '../../src/model/json/shape.ts'
import { listPublications, writePublication } from '../../src/records/publications.ts'
import { listEntries, readEntry, writeEntry } from '../../src/records/records.ts'
import { readKept, readState, removeState, writeKept, writeState } from '../../src/records/state-files.ts'
import { tidyRunDirectory } from '../../src/records/tidy.ts'
import { damage, damages, NEWER } from '../support/damage.ts'
import { publication } from '../support/publications.ts'
import { tagOf, undertaking } from '../support/records.ts'
import { saidBy } from '../support/said.ts'

const shape = record({ name: text, size: whole })
const value = { name: 'front', size: 7 }

function open(t: { testdir(): string }): string {
  const folder = t.testdir()
  process.env.TSNET_RUN_DIR = folder
  return folder
}

/** Where the damaged ones went. */
const asideIn = (folder: string): string[] =>
  existsSync(join(folder, 'damaged')) ? readdirSync(join(folder, 'damaged')) : []

t.test(
  'a damaged file is moved away with one line that says what was wrong, and counts as absent',
  async t => {
    for (const kind of Object.keys(damages)) {
      const folder = open(t)
      const path = join(folder, 'things/one.json')
      writeState('things/one.json', value)
      writeState('things/other.json', value)
      damage(path, kind, readFileSync(path, 'utf8'))
      const said = saidBy(() => t.equal(readState('things/one.json', shape), undefined, kind))
      t.match(said, /^tsnet: warning: \S+\/things\/one\.json [^\n]+; it was moved to \S+\n$/, said)
      t.notOk(lstatSync(path, { throwIfNoEntry: false }), kind)
      t.match(asideIn(folder), [/^things-one\.json\.\d+T\d+Z-[0-9a-f]{6}$/], kind)
      t.equal(
        saidBy(() => readState('things/one.json', shape)),
        '',
        'once',
      )
      t.same(readState('things/other.json', shape), value, 'others stay')
      rmSync(folder, { recursive: true })
    }
  },
)

t.test('whatever stands in the place of a file, it can be written and removed', async t => {
  for (const kind of Object.keys(damages)) {
    for (const name of ['one.json', 'one.json.tmp']) {
      const folder = open(t)
      mkdirSync(join(folder, 'things'))
      damage(join(folder, 'things', name), kind, '{}')
      saidBy(() => writeState('things/one.json', value))
      t.same(readState('things/one.json', shape), value, `${name} is ${kind}`)
      damage(join(folder, 'things', name), kind, '{}')
      saidBy(() => removeState('things/one.json'))
      t.notOk(existsSync(join(folder, 'things')), `${name} is ${kind}`)
      rmSync(folder, { recursive: true })
    }
  }
})

t.test('what is written twice comes back from its copy, whatever has become of the file', async t => {
  for (const kind of Object.keys(damages)) {
    const folder = open(t)
    const path = join(folder, 'host.json')
    writeKept('host.json', value)
    damage(path, kind, readFileSync(path, 'utf8'))
    const said = saidBy(() => t.same(readKept('host.json', shape), value, kind))
    t.match(said, /host\.json [^\n]+; it is restored from its copy\n$/)
    t.equal(
      saidBy(() => t.same(readKept('host.json', shape), value)),
      '',
      'it is there again',
    )
    damage(join(folder, 'copies/host.json'), kind, '{}')
    t.same(readKept('host.json', shape), value, 'the file itself counts')
    saidBy(() => writeKept('host.json', undefined))
    t.same(readdirSync(folder).sort(), ['damaged'], kind)
    rmSync(folder, { recursive: true })
  }
})

t.test('a copy without its file says nothing', async t => {
  const folder = open(t)
  writeKept('host.json', value)
  rmSync(join(folder, 'host.json'))
  t.equal(readKept('host.json', shape), undefined)
})

t.test('a file of a newer format is refused by its number and left where it is', async t => {
  const folder = open(t)
  const refused = { code: 'io', message: /things\/one\.json was written by a newer tsnet, in format 2/ }
  writeState('things/one.json', value)
  writeFileSync(join(folder, 'things/one.json'), NEWER)
  t.throws(() => readState('things/one.json', shape), refused)
  t.throws(() => readKept('things/one.json', shape), refused)
  t.equal(readFileSync(join(folder, 'things/one.json'), 'utf8'), NEWER)
  t.same(asideIn(folder), [])
})

t.test('a file without a number is of the first format', async t => {
  const folder = open(t)
  writeFileSync(join(folder, 'host.json'), JSON.stringify(value))
  t.same(readState('host.json', shape), value)
  writeState('host.json', value)
  t.same(JSON.parse(readFileSync(join(folder, 'host.json'), 'utf8')), { format: 1, ...value })
  writeState('names.json', { format: 'of an interface' })
  t.same(readState('names.json', mapOf(text)), { format: 'of an interface' }, 'a name is no number')
})

t.test('a damaged entry takes no other with it, nor does one that speaks of somebody else', async t => {
  const folder = open(t)
  const pathOf = (id: string) => join(folder, 'attachments', `${tagOf(id)}.json`)
  for (const kind of [...Object.keys(damages), 'another']) {
    for (const id of ['web', 'api'])
      writeEntry(tagOf(id), { state: 'attaching', attachment: undertaking(id) })
    const whole = readFileSync(pathOf('api'), 'utf8')
    if (kind === 'another') writeFileSync(pathOf('web'), whole)
    else damage(pathOf('web'), kind, readFileSync(pathOf('web'), 'utf8'))
    const said = saidBy(() =>
      t.same(
        listEntries().map(({ owner }) => owner),
        [tagOf('api')],
        kind,
      ),
    )
    t.match(said, tagOf('web'))
    t.equal(readEntry(tagOf('web')), undefined)
  }
})

t.test('a damaged publication comes back from its copy', async t => {
  const folder = open(t)
  const written = publication({ id: 'aaaaaaaaaaaaaaaa', hostPort: 8081 })
  writePublication(written)
  writePublication(publication({ id: 'bbbbbbbbbbbbbbbb' }))
  const path = join(folder, 'publications/aaaaaaaaaaaaaaaa.json')
  const whole = readFileSync(path, 'utf8')
  for (const kind of Object.keys(damages)) {
    damage(path, kind, whole)
    saidBy(() => t.equal(listPublications().length, 2, kind))
    t.same(
      listPublications().find(({ id }) => id === written.id),
      written,
    )
  }
})

t.test('what killed processes left is taken away, and nothing that somebody needs', async t => {
  const folder = open(t)
  writeKept('host.json', value)
  writeEntry(tagOf('web'), { state: 'attaching', attachment: undertaking('web') })
  const kept = [
    'host.json',
    'copies/host.json',
    `attachments/${tagOf('web')}.json`,
    'daemon.lock',
    'damaged/x.tmp',
  ]
  const left = ['ports/tcp-31.json.tmp', 'users/bridge-cni0/x.tmp', 'host.json.tmp', `${tagOf('web')}.lock`]
  left.push('copies/bridges/br0.json', 'copies/host.json.tmp')
  for (const name of [...left, 'daemon.lock', 'damaged/x.tmp']) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), '')
  }
  mkdirSync(join(folder, 'hairpin/lo'), { recursive: true })
  const { lockFile } = await import('../../src/ffi/lock.ts')
  using _held = await lockFile(join(folder, 'ports.lock'), { removeAfter: true })
  await tidyRunDirectory()
  for (const name of [...kept, 'ports.lock']) t.ok(existsSync(join(folder, name)), name)
  for (const name of left) t.notOk(existsSync(join(folder, name)), name)
  for (const name of ['ports', 'hairpin'])
    t.notOk(existsSync(join(folder, name)), 'nor a folder with nothing in it')
})
