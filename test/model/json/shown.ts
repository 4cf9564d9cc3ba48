import t from 'tap'
import { cut, shown, shownBare, shownPath } from '../../../src/model/json/shown.ts'

t.test('a value is shown as JSON, and no more of it than helps', async t => {
  t.equal(shown('a\n"b"'), '"a\\n\\"b\\""')
  t.equal(shown(undefined), 'nothing')
  t.equal(shown({ a: [1, null] }), '{"a":[1,null]}')
  t.equal(shown('x'.repeat(1_000_000)), `"${'x'.repeat(79)}…`)
  t.equal(cut('x'.repeat(81)), `${'x'.repeat(80)}…`)
  t.equal(shownPath(`/${'x'.repeat(200)}`).length, 203)
  t.equal(shownPath(`/${'x'.repeat(5000)}`).length, 301)
})

t.test('one that is nested too deep to be printed is shown by how it begins', async t => {
  const nested = (depth: number) => JSON.parse('['.repeat(depth) + ']'.repeat(depth))
  t.equal(shown(nested(100_000)), '[…')
  t.equal(shown({ a: nested(100_000) }), '{…')
})

t.test('a plain word stands for itself', async t => {
  t.equal(shownBare('ipam.ranges[0]'), 'ipam.ranges[0]')
  t.equal(shownBare('a b'), '"a b"')
  t.equal(shownBare(7), '7')
})
