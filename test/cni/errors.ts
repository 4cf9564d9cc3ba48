import t from 'tap'
import { errorObject, numbers } from '../../src/cni/errors.ts'
import { type ErrorCode, TsnetError } from '../../src/model/errors.ts'
import type { Command } from '../../src/runtime/cni-versions.ts'

const number = (code: ErrorCode, command: Command = 'ADD') =>
  errorObject(new TsnetError(code, 'x'), command).code

t.test("errors that the spec names have the spec's numbers, the others their own from 100 on", async t => {
  const spec: [ErrorCode, number][] = [
    ['incompatible-version', 1],
    ['unsupported-field', 2],
    ['unknown-container', 3],
    ['invalid-environment', 4],
    ['io', 5],
    ['decode', 6],
    ['invalid-config', 7],
    ['invalid-netns', 8],
    ['try-again', 11],
  ]
  for (const [code, expected] of spec) t.equal(number(code), expected, code)
  const ours = Object.entries(numbers).filter(([code]) => !spec.some(([known]) => known === code))
  for (const [code, value] of ours) t.ok(value >= 100, code)
  t.equal(new Set(Object.values(numbers)).size, Object.keys(numbers).length, 'no number means two things')
})

t.test('STATUS says 50 where no container can be added, 51 where those that run may suffer', async t => {
  for (const code of ['exhausted', 'conflict', 'kernel', 'missing', 'try-again', 'delegate'] as const) {
    t.equal(number(code, 'STATUS'), 50, code)
  }
  t.equal(number('mismatch', 'STATUS'), 51)
  t.equal(number('invalid-config', 'STATUS'), 7, 'the question itself is wrong')
  t.equal(number('internal', 'STATUS'), 999)
})

t.test("a delegated plugin's number is passed on", async t => {
  const thrown = new TsnetError('delegate', 'dhcp: no lease', { pluginCode: 11 })
  t.equal(errorObject(thrown, 'ADD').code, 11)
  t.equal(errorObject(thrown, 'STATUS').code, 11)
})

t.test('several failures are told at once, with the number of the first that has one', async t => {
  const thrown = new AggregateError([
    new Error('first'),
    new AggregateError([new TsnetError('kernel', 'second', { details: 'because' })]),
    new TsnetError('io', 'third', { details: 'why' }),
  ])
  t.match(errorObject(thrown, 'GC'), { code: 103, msg: 'first; second; third', details: /because; why/ })
})

t.test('what nobody foresaw is a fault of ours, and says where', async t => {
  t.match(errorObject(new RangeError('odd'), 'ADD'), {
    code: 999,
    msg: 'odd',
    details: /RangeError: odd\n +at /,
  })
  t.match(errorObject('a string', undefined), { code: 999, msg: 'a string' })
  t.match(errorObject(undefined, undefined), { code: 999, msg: 'undefined' })
  t.match(errorObject(new Error(''), undefined), { msg: 'no message' })
})

t.test('what is used up, and what the system said, is no fault of ours', async t => {
  const system = (code: string, syscall: string) =>
    Object.assign(new Error(`${syscall}: ${code}`), { code, syscall })
  for (const [code, syscall, why] of [
    ['EMFILE', 'open', /ulimit -n/],
    ['ENFILE', 'socket', /fs\.file-max/],
    ['ENOMEM', 'setns', /memory/],
    ['EAGAIN', 'starting /usr/sbin/iptables-save', /pids\.max/],
  ] as const) {
    const thrown = system(code, syscall)
    t.match(errorObject(thrown, 'ADD'), { code: 11, msg: thrown.message, details: why }, code)
    t.match(errorObject(new TsnetError('io', 'x', { cause: thrown }), 'DEL'), { code: 11, details: why })
    t.equal(errorObject(new AggregateError([thrown, new Error('y')]), 'DEL').code, 11)
  }
  t.match(errorObject(system('EIO', 'read'), 'ADD'), { code: 5, msg: 'read: EIO', details: undefined })
  t.match(errorObject(system('EAGAIN', 'flock'), 'ADD'), { code: 5 })
})

t.test('an error object says the version of the question, or the newest', async t => {
  t.equal(errorObject(new TsnetError('io', 'x'), 'ADD', '0.3.1').cniVersion, '0.3.1')
  t.equal(errorObject(new TsnetError('io', 'x'), 'ADD').cniVersion, '1.1.0')
  t.notOk('details' in errorObject(new TsnetError('io', 'x'), 'ADD'))
})
