import t from 'tap'
import { present } from '../../src/model/present.ts'

t.test('keys without a value are absent, not undefined', async t => {
  const value = present({ name: 'web', mtu: undefined, up: false, index: 0, alias: '', link: null })
  t.strictSame(Object.keys(value), ['name', 'up', 'index', 'alias', 'link'])
  const typed: { name: string; mtu?: number } = present({ name: 'web', mtu: undefined as number | undefined })
  t.notOk('mtu' in typed)
})
