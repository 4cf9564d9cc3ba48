/** `tsnet publish` for containers that a real LXC runs already, over a restart of theirs as well. */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { Lxc } from '../support/lxc.ts'
import { Publishing } from '../support/publish.ts'
import { at, openSite } from '../support/site.ts'

t.setTimeout(600_000)

/** What the monitor keeps; veths and their addresses, of a container that was started again. */
const lxcs = /lxc|\bveth/

t.test('a running lxc container is published by name, followed over a restart, and off again', async t => {
  const site = await openSite()
  t.teardown(() => site.world.end())
  const lxc = await Lxc.start(site.host)
  lxc.create('web', 2, webServer('web'))
  lxc.create('other', 3, webServer('db'))
  await lxc.up('web')
  const publishing = await Publishing.begin(site)
  await t.rejects(publishing.command.run('publish', '8080:80', 'other'), /"other" is not running/)
  await publishing.published(t, '8080:80', 'web')
  t.equal(await publishing.seenFromClient(), at.client.v4)
  t.strictSame(await publishing.command.faults(), [], 'nothing is wrong with the host')
  await publishing.unpublished(t)
  await publishing.published(t, '8080:80', 'lxc:web')

  const containerNow = async () => (await publishing.command.ports())[0]?.containers[0]
  const before = await containerNow()
  await lxc.down('web')
  await lxc.up('web')
  const moved = async () => (await containerNow())?.pid !== before?.pid
  await waitFor(moved, { what: 'the publication to follow' })
  await publishing.reaches(t)
  await publishing.unpublished(t, 'web')
  await publishing.leavesNothing(t, lxcs)
  await lxc.down('web')
})
