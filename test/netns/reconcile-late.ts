/** A pass that began before a publication was led elsewhere, or ended, takes nothing from who is there by now. */

import t from 'tap'
import { iptablesMixed, NatSite, nftables } from '../support/nat-site.ts'

t.setTimeout(600_000) // on a busy machine

const [MOVED, ENDED, NEXT, GUEST] = ['a1', 'a2', 'a3', 'b1'].map(end => end.padStart(16, '0'))

for (const variant of [nftables, iptablesMixed]) {
  t.test(`${variant.name}: what was led elsewhere stays, and what has ended goes`, async t => {
    const site = await NatSite.open(variant)
    t.teardown(site.close)
    const found = await site.script<{ losers: string[] }>('reconcile-late', [variant.backend], {})
    t.strictSame(found, {
      losers: [MOVED, ENDED, GUEST],
      owners: [MOVED, NEXT, GUEST],
      moved: [],
      next: [],
      guest: [],
    })
  })
}
