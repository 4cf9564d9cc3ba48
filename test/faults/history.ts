/** The judge of random operations: what it lets pass, and that it finds what is wrong. */

import t from 'tap'
import { faultsIn, type Operation } from '../support/history.ts'

const POOL = 3

/** An operation without its moments. */
type Step<T> = T extends Operation ? Omit<T, 'from' | 'to' | 'outcome'> & { outcome?: T['outcome'] } : never
/** `[from, to, what]` */
type Row = [from: number, to: number, step: Step<Operation>]

const history = (...rows: Row[]): Operation[] =>
  rows.map(([from, to, step]) => ({ outcome: 'done', ...step, from, to }) as Operation)
const faults = (...rows: Row[]): string[] => faultsIn(history(...rows), POOL)

const add = (who: string, address?: string, ...ports: number[]) =>
  ({ kind: 'add', who, addresses: address === undefined ? [] : [address], ports }) as const
const failed = { outcome: 'refused', said: 'no' } as const
const killed = { outcome: 'killed' } as const

t.test('one after the other may have the same address and the same port', async t => {
  const first: Row[] = [
    [1, 2, add('a', '10.0.0.2', 80)],
    [3, 4, { kind: 'del', who: 'a' }],
  ]
  t.strictSame(faults(...first, [5, 6, add('b', '10.0.0.2', 80)]), [])
  // The second began before the first was gone: as far as anybody can tell it came after.
  t.strictSame(
    faults([1, 2, add('a', '10.0.0.2')], [3, 6, { kind: 'del', who: 'a' }], [4, 5, add('b', '10.0.0.2')]),
    [],
  )
})

t.test('an address or a port that two have is found, whoever took how', async t => {
  t.match(faults([1, 2, add('a', '10.0.0.2')], [3, 4, add('b', '10.0.0.2')]), [
    /^10\.0\.0\.2 is a's and b's at 4/,
  ])
  t.match(faults([1, 2, add('a', '10.0.0.2', 80)], [3, 4, { kind: 'publish', who: 'b', port: 80 }]), [
    /^port 80 is a's and b's/,
  ])
  const taken: Step<Operation>[] = [
    { kind: 'del', who: 'b' },
    { kind: 'collect', valid: ['a'] },
    { kind: 'unpublish', who: 'a', port: 80 },
    { kind: 'del', who: 'a', ...killed },
    { kind: 'restart' },
  ]
  for (const step of taken.filter(({ kind, outcome }) => !(kind === 'del' && outcome)))
    t.equal(
      faults([1, 2, add('a', '10.0.0.2')], [3, 4, step], [5, 6, add('b', '10.0.0.2')]).length,
      1,
      step.kind,
    )
  const freed: Step<Operation>[] = [
    { kind: 'del', who: 'a' },
    { kind: 'del', who: 'a', ...killed },
    { kind: 'collect', valid: ['b'] },
    { kind: 'reboot' },
  ]
  for (const step of freed)
    t.strictSame(
      faults([1, 2, add('a', '10.0.0.2')], [3, 4, step], [5, 6, add('b', '10.0.0.2')]),
      [],
      step.kind,
    )
})

t.test('what is refused has a reason', async t => {
  const refused: Row = [9, 10, { ...add('b', undefined, 80), ...failed }]
  t.match(faults(refused), [/add of b \(9 to 10\) is refused without a reason: no/])
  t.strictSame(faults([1, 2, add('a', undefined, 80)], refused), [], 'the port is taken')
  t.strictSame(faults([1, 2, { ...add('a', undefined, 80), ...killed }], refused), [], 'or may be')
  t.equal(
    faults([1, 2, { ...add('a', undefined, 80), ...killed }], [3, 4, { kind: 'del', who: 'a' }], refused)
      .length,
    1,
  )
  t.equal(faults([1, 2, add('a', undefined, 81)], refused).length, 1, 'another port is')
  t.strictSame(faults([1, 2, { ...add('b'), ...killed }], refused), [], 'it may be there')
  t.equal(faults([1, 2, { ...add('b'), ...killed }], [3, 4, { kind: 'del', who: 'b' }], refused).length, 1)
  t.strictSame(faults([8, 11, { kind: 'flush' }], refused), [])

  const full: Row = [9, 10, { ...add('d'), ...failed }]
  const others: Row[] = ['a', 'b', 'c'].map((who, i) => [2 * i, 2 * i + 1, add(who, `10.0.0.${i}`)])
  t.strictSame(faults(...others, full), [])
  t.equal(faults(...others.slice(1), full).length, 1)
})

t.test('DEL and GC are never refused, CHECK only while rules are away', async t => {
  t.equal(faults([8, 11, { kind: 'flush' }], [9, 10, { kind: 'del', who: 'a', ...failed }]).length, 1)
  t.equal(faults([9, 10, { kind: 'collect', valid: [], ...failed }]).length, 1)
  t.equal(faults([9, 10, { kind: 'check', who: 'a', ...failed }]).length, 1)
  t.strictSame(faults([8, 11, { kind: 'flush' }], [9, 10, { kind: 'check', who: 'a', ...failed }]), [])
})

t.test('a port is answered by who has it', async t => {
  const ask = (answer: string | undefined): Row => [9, 10, { kind: 'ask', who: 'a', port: 80, answer }]
  t.strictSame(faults(ask('a')), [])
  t.match(faults(ask('b')), [/port 80 is answered by b/])
  t.match(faults(ask(undefined)), [/answered by nobody/])
  t.strictSame(faults([8, 11, { kind: 'flush' }], ask(undefined)), [])
  t.equal(faults([8, 11, { kind: 'flush' }], ask('b')).length, 1)
})
