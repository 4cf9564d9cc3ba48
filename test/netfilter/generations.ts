/** Which generations of the rule set are of our own making. */

import t from 'tap'
import { isOnlyOurs, noteOwnGeneration } from '../../src/netfilter/generations.ts'
import { Netlink } from '../../src/netlink/netlink.ts'
import { ScriptedKernel } from '../support/scripted-kernel.ts'

t.test("what follows each other is one span, which somebody else's ends", async t => {
  const nl = new Netlink(new ScriptedKernel())
  t.ok(isOnlyOurs(nl, 5, 5), 'nothing has changed')
  t.notOk(isOnlyOurs(nl, 5, 6), 'we have made none')
  noteOwnGeneration(nl, 6)
  noteOwnGeneration(nl, 7)
  t.ok(isOnlyOurs(nl, 5, 7))
  t.ok(isOnlyOurs(nl, 6, 7))
  t.notOk(isOnlyOurs(nl, 4, 7), 'the fifth was not ours')
  t.notOk(isOnlyOurs(nl, 5, 8), 'nor is the eighth')
  noteOwnGeneration(nl, 9)
  t.notOk(isOnlyOurs(nl, 7, 9))
  t.ok(isOnlyOurs(nl, 8, 9))
  t.notOk(
    isOnlyOurs(new Netlink(new ScriptedKernel()), 8, 9),
    'those of one namespace say nothing of another',
  )
})

t.test('the number goes round', async t => {
  const nl = new Netlink(new ScriptedKernel())
  for (const made of [0xffff_ffff, 0]) noteOwnGeneration(nl, made)
  t.ok(isOnlyOurs(nl, 0xffff_fffe, 0))
  t.notOk(isOnlyOurs(nl, 0xffff_fffd, 0))
  t.notOk(isOnlyOurs(nl, 1, 0))
})
