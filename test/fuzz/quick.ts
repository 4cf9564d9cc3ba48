/**
 * Every parser on what failed once, on some thousand drawn inputs, and on long ones. `npm run test:fuzz` does the same with
 * a million.
 */

import { randomInt } from 'node:crypto'
import t from 'tap'
import { allSubjects } from '../support/fuzz/all.ts'
import { readCorpus } from '../support/fuzz/corpus.ts'
import { describeFailure, runDrawn, runLong, tryInput } from '../support/fuzz/run.ts'

const INPUTS = 4000

/** What grows with the square of this takes more than the limit. */
const LONG = 30_000
const LONG_LIMIT_MS = 300

t.setTimeout(600_000)

const seed = randomInt(2 ** 31)
const total = allSubjects.reduce((sum, { weight }) => sum + weight, 0)
t.comment(`seed ${seed}`)

t.test('each parser has a name of its own', async t => {
  const names = allSubjects.map(({ name }) => name)
  t.equal(new Set(names).size, names.length)
})

t.test('inputs that found a fault once find none', async t => {
  const subjects = new Map(allSubjects.map(subject => [subject.name, subject]))
  for (const { subject, input } of readCorpus()) {
    const found = subjects.get(subject)
    if (found === undefined) t.fail(`there is no parser ${subject} any more`)
    else await t.resolves(tryInput(found, input), `${subject}: ${JSON.stringify(input)?.slice(0, 80)}`)
  }
})

for (const subject of allSubjects) {
  t.test(`${subject.name} gives a value or its own error, and soon`, async t => {
    const runs = Math.ceil((INPUTS * subject.weight) / total)
    const failure = (await runDrawn(subject, { seed, runs })) ?? (await runLong(subject, LONG, LONG_LIMIT_MS))
    t.equal(failure && describeFailure(failure), undefined)
  })
}
