/** What may be a name in the DNS: what is not is refused where it is asked for, and told nobody. */

import t from 'tap'
import { isHostName } from '../../../src/model/address/host-name.ts'

t.test('a name is labels of letters, digits, dashes and underscores, and not too long', async t => {
  const label = 'a'.repeat(63)
  const longest = `${label}.${label}.${label}.${'a'.repeat(61)}`
  for (const name of ['web', 'Web-1', '_srv', 'a_b', '1', 'a.b', label, longest]) t.ok(isHostName(name), name)
  for (const name of [
    ...['', '.', 'a.', '.a', 'a..b', '-a', 'a-', 'a b', 'a\nb', 'a/b', 'ü', 'a\0', '*', 'a\u0000b', '$(a)'],
    ...[`${label}a`, `${longest}a`],
  ])
    t.notOk(isHostName(name), JSON.stringify(name))
})
