/**
 * /proc/sys/net shows the network namespace of the thread that looks; /sys/class/net that of its mount.
 *
 * src/netns rests on both: settings are written as files while inside, links are never read from sysfs.
 */

import { existsSync } from 'node:fs'
import t from 'tap'
import { addIfb } from '../../../src/netlink/link/add.ts'
import { readSysctl, writeSysctl } from '../../../src/netns/sysctl.ts'
import { kernel } from '../../support/kernel.ts'

t.test('/proc/sys/net follows the thread', async t => {
  await using world = await kernel()
  const [a, b] = [await world.namespace('a'), await world.namespace('b')]
  const name = 'net/ipv4/ip_default_ttl'
  a.inside(() => writeSysctl(name, '11'))
  b.inside(() => writeSysctl(name, '22'))
  t.equal(
    a.inside(() => readSysctl(name)),
    '11',
  )
  t.equal(
    b.inside(() => readSysctl(name)),
    '22',
  )
})

t.test('so does the folder of an interface', async t => {
  await using world = await kernel()
  const a = await world.namespace('a')
  addIfb(a.nl, { name: 'only-in-a' })
  const path = '/proc/sys/net/ipv4/conf/only-in-a'
  t.ok(a.inside(() => existsSync(path)))
  t.notOk(existsSync(path))
})

t.test('/sys/class/net does not', async t => {
  await using world = await kernel()
  const a = await world.namespace('a')
  addIfb(a.nl, { name: 'only-in-a' })
  t.notOk(a.inside(() => existsSync('/sys/class/net/only-in-a')))
})
