/**
 * What happens when something goes wrong: processes that are killed, stopped or short of something, calls of the system
 * that fail, files that are damaged, a crash between any two operations on files, rules that others take away.
 *
 *     *-kill, killed-anywhere     kill -9 at every call that changes something
 *     *-errors, limits            an error in the place of a call, and nothing left to be had
 *     damaged-state               whatever may stand in the place of a file
 *     upgrade                     what an earlier build wrote and made
 *     crash-states                every state of the files in which a crash can leave an operation
 *     hand-over, stopped-daemon   somebody in the middle who does not go on
 *     orphans, reconcile-*        others who work on when they should not, or against us
 *     exposed-calls               who gets through while containers come and go
 *     exchanged-path              a namespace's path that leads elsewhere from one moment to the next
 *     random-operations, history  many workers and accidents at random, and who judges them
 *     many-connections, soak      many at once, and many one after the other
 *     long-input                  who says a hundred megabytes where a few lines are said
 *     clock                       a time of day that jumps
 *     expiry                      ends that come while nobody is there to see to them
 *
 * Each one says what shall hold afterwards (residue none, no address and no port twice, nothing lost that was
 * acknowledged), and has a control in which that does not hold: or it would say nothing.
 */

import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'

t.test('every file of this folder begins with what it is about', async t => {
  for (const name of readdirSync('test/faults').filter(each => each.endsWith('.ts')))
    t.match(readFileSync(`test/faults/${name}`, 'utf8'), /^\/\*\*/, name)
})
