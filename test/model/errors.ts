import { readFileSync } from 'node:fs'
import t from 'tap'
import { hasCode, messageOf, TsnetError } from '../../src/model/errors.ts'

t.test('an error carries its code, its message and what else helps', async t => {
  const cause = new Error('ENOSPC')
  const error = new TsnetError('io', 'cannot write', { details: 'free some space', cause, pluginCode: 5 })
  t.match(error, {
    name: 'TsnetError',
    code: 'io',
    message: 'cannot write',
    details: 'free some space',
    cause,
  })
  t.equal(error.pluginCode, 5)
  t.ok(error instanceof Error)
})

t.test('what is not given is absent', async t => {
  const error = new TsnetError('internal', 'no')
  t.equal(error.details, undefined)
  t.equal(error.pluginCode, undefined)
  t.notOk('cause' in error)
})

t.test('anything thrown has a message', async t => {
  t.equal(messageOf(new Error('a')), 'a')
  t.equal(messageOf('b'), 'b')
  t.equal(messageOf(undefined), 'undefined')
  t.equal(
    messageOf(new AggregateError([new Error('a'), 'b', new AggregateError([new Error('c')])])),
    'a; b; c',
  )
})

t.test("errors are known by code, Node's as well as ours", async t => {
  t.ok(hasCode(new TsnetError('exhausted', ''), 'conflict', 'exhausted'))
  t.notOk(hasCode(new TsnetError('exhausted', ''), 'conflict'))
  t.notOk(hasCode(new Error('exhausted'), 'exhausted'))
  t.notOk(hasCode({ code: 'exhausted' }, 'exhausted'), 'only errors have codes')
  try {
    readFileSync('/nonexistent')
    t.fail()
  } catch (thrown) {
    t.ok(hasCode(thrown, 'ENOENT'))
  }
})
