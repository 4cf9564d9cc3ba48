/** Files in line for iptables-restore, joined where they can be: the outcome is that of one after the other. */

import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import type { Finished } from '../../../src/ffi/command.ts'
import { restoreFile, type TableName } from '../../../src/nat/iptables/document.ts'
import { joinable, joinFiles, lineCount, partsOf, textOf } from '../../../src/nat/iptables/join.ts'
import { type Feed, RESOURCE_PROBLEM, Restorer } from '../../../src/nat/iptables/restore.ts'
import { IptModel } from '../../support/ipt-model.ts'

const TABLES = ['raw', 'mangle', 'filter', 'nat'] as const

const file = (...parts: [TableName, ...string[]][]): string =>
  restoreFile(parts.map(([name, ...lines]) => ({ name, lines })))

/** What iptables-restore does with a model's tables, and how often it is asked. */
function feeding(model: IptModel, endWith: (line: string) => Partial<Finished> = () => ({})) {
  const fed: string[] = []
  const feed: Feed = async steps => {
    fed.push(steps.map(({ table, lines }) => `${table}: ${lines.join(', ')}`).join('; '))
    await setImmediate()
    const taken = steps.findIndex(step => !model.restore(textOf([step], () => '#')))
    if (taken === -1) return { inForce: steps.length }
    const [line = ''] = steps[taken]?.lines ?? []
    return { inForce: taken, failure: { code: 1, stdout: '', stderr: line, ...endWith(line) } }
  }
  return { fed, restorer: new Restorer(feed) }
}

t.test('a file is taken apart and put together', async t => {
  const text = file(['raw', '-N A', '-A A -j DROP'], ['nat', '-P POSTROUTING ACCEPT'])
  const parts = partsOf(text)
  t.strictSame(parts, [
    { table: 'raw', lines: ['-N A', '-A A -j DROP'] },
    { table: 'nat', lines: ['-P POSTROUTING ACCEPT'] },
  ])
  t.equal(
    textOf(parts, i => `# ${i}`),
    text
      .replaceAll(/COMMIT\n/g, 'COMMIT\n#\n')
      .replace('#\n', '# 0\n')
      .replace(/#\n$/, '# 1\n'),
  )
  t.equal(lineCount(parts), text.split('\n').length - 1)
})

t.test('tables change once for all, in an order that suits each', async t => {
  const files = [
    file(['raw', 'a'], ['nat', 'b']),
    file(['filter', 'c'], ['nat', 'd']),
    file(['nat', 'e'], ['raw', 'f']),
    file(['raw', 'g'], ['mangle', 'h'], ['nat', 'i']),
  ].map(partsOf)
  t.strictSame(joinable(files), [0, 1, 3], 'the other way round comes later')
  const steps = joinFiles([0, 1, 3].map(place => files[place] ?? []))
  t.strictSame(
    steps.map(({ table, lines, files }) => `${table} ${lines.join('')} ${files.join('')}`),
    ['raw ag 02', 'mangle h 2', 'filter c 1', 'nat bdi 012'],
  )
  const down = [file(['nat', 'a']), file(['nat', 'b'], ['raw', 'c'])].map(partsOf)
  t.strictSame(joinable(down), [0, 1], 'a single table goes with either')
  t.strictSame(
    joinFiles(down).map(({ table, lines }) => `${table} ${lines.join('')}`),
    ['nat ab', 'raw c'],
  )
})

t.test('a file with a table twice goes alone, as it is', async t => {
  const twice = partsOf(file(['raw', 'a'], ['raw', 'b']))
  t.strictSame(joinable([twice, partsOf(file(['raw', 'c']))]), [0])
  t.strictSame(joinFiles([twice]), [
    { table: 'raw', lines: ['a'], files: [0] },
    { table: 'raw', lines: ['b'], files: [0] },
  ])
})

t.test('what comes while one is carried out goes together', async t => {
  const { fed, restorer } = feeding(new IptModel())
  const add = (name: string) => restorer.restore(file(['raw', `-N ${name}`], ['nat', `-N ${name}`]))
  t.strictSame(await Promise.all(['A', 'B', 'C'].map(add)), [undefined, undefined, undefined])
  t.strictSame(fed, ['raw: -N A; nat: -N A', 'raw: -N B, -N C; nat: -N B, -N C'])
  t.equal(await restorer.restore(''), undefined)
  t.equal(fed.length, 2, 'nothing is asked for an empty file')
})

t.test('only who is to blame fails, and each goes on where the joined one stopped', async t => {
  const model = new IptModel()
  const { fed, restorer } = feeding(model)
  const add = (name: string, line = `-N ${name}`) =>
    restorer.restore(file(['raw', `-N ${name}`], ['nat', line]))
  const results = await Promise.all([add('A'), add('B'), add('C', '-X NONE'), add('D')])
  t.strictSame(
    results.map(result => result?.stderr),
    [undefined, undefined, '-X NONE', undefined],
  )
  t.strictSame(fed.slice(1), [
    'raw: -N B, -N C, -N D; nat: -N B, -X NONE, -N D',
    'nat: -N B',
    'nat: -X NONE',
    'nat: -N D',
  ])
})

t.test('a lock that was not to be had is waited for once, not by each', async t => {
  const { fed, restorer } = feeding(new IptModel(), () => ({ code: RESOURCE_PROBLEM }))
  const results = await Promise.all(['A', 'B', 'C'].map(() => restorer.restore(file(['nat', '-X NONE']))))
  t.strictSame(
    results.map(result => result?.code),
    [4, 4, 4],
  )
  t.equal(fed.length, 2)
})

t.test('a command that cannot be started is told to each, and the next tries again', async t => {
  let asked = 0
  const restorer = new Restorer(async () => {
    await setImmediate()
    if (++asked < 3) throw new Error('no such command')
    return { inForce: 1 }
  })
  const results = await Promise.allSettled(['A', 'B', 'C'].map(() => restorer.restore(file(['nat', 'x']))))
  t.strictSame(
    results.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  )
  t.equal(await restorer.restore(file(['nat', 'x'])), undefined)
})

t.test('whatever is asked for at once, the outcome is that of one after the other', async t => {
  const chain = fc.constantFrom('A', 'B', 'C')
  const line = fc.oneof(
    fc.tuple(fc.constantFrom('-N', '-X', '-F'), chain).map(words => words.join(' ')),
    fc
      .tuple(fc.constantFrom('-A', '-D', '-C', '-I'), chain, fc.constantFrom('ACCEPT', 'A', 'B', 'C'))
      .map(([verb, name, target]) => `${verb} ${name} -j ${target}`),
  )
  const files = fc.array(
    fc
      .tuple(fc.subarray([...TABLES], { minLength: 1 }), fc.array(line, { minLength: 1, maxLength: 4 }))
      .map(([tables, lines]) => restoreFile(tables.map(name => ({ name, lines })))),
    { maxLength: 8 },
  )
  await fc.assert(
    fc.asyncProperty(files, async files => {
      const [together, inTurn] = [new IptModel(), new IptModel()]
      const { restorer } = feeding(together)
      const results = await Promise.all(files.map(one => restorer.restore(one)))
      const expected = files.map(one => inTurn.restore(one))
      t.strictSame(
        results.map(result => result === undefined),
        expected,
      )
      t.strictSame(together.save(), inTurn.save())
    }),
    { numRuns: 300 },
  )
})
