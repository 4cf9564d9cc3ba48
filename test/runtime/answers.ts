import t from 'tap'
import { type Asked, answersOf } from '../../src/runtime/answers.ts'

const saying = (name: string): Asked<string> => ({ name, answer: Promise.resolve(name) })
const failing = (name: string): Asked<string> => ({ name, answer: Promise.reject(new Error(name)) })
const hanging = (name: string): Asked<string> => ({ name, answer: new Promise(() => {}) })

// What hangs keeps no process alive.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

t.test('whoever answers is heard, in the order in which they were asked', async t => {
  const late = { name: 'late', answer: new Promise<string>(done => setImmediate(() => done('late'))) }
  t.same(await answersOf([late, saying('soon'), failing('no')]), {
    values: ['late', 'soon'],
    failures: [new Error('no')],
    silent: [],
  })
  t.same(await answersOf([]), { values: [], failures: [], silent: [] })
})

t.test('who hangs is waited for for a moment where the others are enough, and named', async t => {
  const { values, silent } = await answersOf([hanging('docker'), saying('lxc')], () => true, 10)
  t.same([values, silent], [['lxc'], ['docker']])
})

t.test('who hangs is waited for until it is enough', async t => {
  const fails = {
    name: 'docker',
    answer: new Promise<string>((_, no) => setTimeout(no, 50, new Error('late'))),
  }
  t.match(await answersOf([fails, saying('lxc')], () => false, 10), {
    failures: [{ message: 'late' }],
    silent: [],
  })
  const says = { name: 'docker', answer: new Promise<string>(done => setTimeout(done, 50, 'docker')) }
  const isEnough = (values: string[]) => values.includes('docker')
  t.match(await answersOf([says, hanging('lxc')], isEnough, 10), { values: ['docker'], silent: ['lxc'] })
})
