import t from 'tap'
import { everyStep, Undo, withUndo } from '../../src/model/undo.ts'

t.test('what was done is taken back, newest first', async t => {
  const order: string[] = []
  const undo = new Undo()
  undo.push('bridge', () => void order.push('bridge'))
  undo.push('veth', async () => void order.push('veth'))
  t.same(await undo.rollback(), [])
  t.same(order, ['veth', 'bridge'])
  t.same(await undo.rollback(), [], 'once')
  t.same(order, ['veth', 'bridge'])
})

t.test('a step that cannot be taken back does not keep the others', async t => {
  const order: string[] = []
  const undo = new Undo()
  const cause = new Error('EBUSY')
  undo.push('bridge', () => void order.push('bridge'))
  undo.push('veth', () => Promise.reject(cause))
  undo.push('lease', () => void order.push('lease'))
  const failures = await undo.rollback()
  t.same(order, ['lease', 'bridge'])
  t.match(failures, [{ message: 'could not take back veth', cause }])
})

t.test('what is kept is not taken back', async t => {
  const undo = new Undo()
  undo.push('bridge', () => void t.fail('it should stay'))
  undo.keep()
  t.same(await undo.rollback(), [])
})

t.test('work that succeeds stays and its result comes back', async t => {
  const result = await withUndo(async undo => {
    undo.push('bridge', () => void t.fail('it should stay'))
    return 7
  })
  t.equal(result, 7)
})

t.test(
  'what steps need is closed after the last of them, and when there is nothing to take back',
  async t => {
    const order: string[] = []
    const resource = (name: string): Disposable => ({
      [Symbol.dispose]: () => void order.push(`close ${name}`),
    })
    const work = withUndo(async undo => {
      undo.use(resource('first'))
      undo.push('link', () => void order.push('link'))
      undo.use(resource('second'))
      throw new Error('later')
    })
    await t.rejects(work, /later/)
    t.same(order.splice(0), ['link', 'close second', 'close first'])
    await withUndo(async undo => void undo.use(resource('third')))
    t.same(order, ['close third'])
  },
)

t.test('work that fails is taken back and its error goes on as it is', async t => {
  const order: string[] = []
  const failure = new Error('no address left')
  const work = withUndo(async undo => {
    undo.push('bridge', () => void order.push('bridge'))
    throw failure
  })
  await t.rejects(work, failure)
  t.same(order, ['bridge'])
})

t.test('when taking back fails as well, both errors are told, the first one first', async t => {
  const failure = new Error('no address left')
  const work = withUndo(async undo => {
    undo.push('bridge', () => Promise.reject(new Error('EBUSY')))
    throw failure
  })
  const thrown = await work.then(
    () => t.fail(),
    error => error,
  )
  t.type(thrown, AggregateError)
  t.match(thrown.errors, [failure, { message: 'could not take back bridge' }])
})

t.test('every step of a tear-down runs, whatever fails', async t => {
  const order: string[] = []
  const step = (name: string) => async () => void order.push(name)
  const broken = (name: string) => () => {
    order.push(name)
    throw new Error(name)
  }
  await everyStep([step('a'), step('b')])
  await t.rejects(everyStep([step('c'), broken('d'), step('e')]), { message: 'd' })
  const both = await everyStep([broken('f'), step('g'), broken('h')]).then(
    () => t.fail(),
    error => error,
  )
  t.type(both, AggregateError)
  t.same(
    both.errors.map((error: Error) => error.message),
    ['f', 'h'],
  )
  t.same(order, ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
})

t.test('a resource that does not close keeps no other open', async t => {
  const order: string[] = []
  await t.rejects(
    withUndo(async undo => {
      undo.use({ [Symbol.dispose]: () => void order.push('first') })
      undo.use({
        [Symbol.dispose]: () => {
          throw new Error('EIO')
        },
      })
    }),
    /EIO/,
  )
  t.same(order, ['first'])
})
