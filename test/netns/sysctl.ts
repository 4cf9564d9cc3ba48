/**
 * Kernel settings of a network namespace.
 */

import t from 'tap'
import { addIfb } from '../../src/netlink/link/add.ts'
import { readSysctl, writeSysctl } from '../../src/netns/sysctl.ts'
import { kernel } from '../support/kernel.ts'

t.test('a setting is read and written in the namespace of the thread, and nowhere else', async t => {
  await using world = await kernel()
  const web = await world.namespace('web')
  const read = () => readSysctl('net/ipv4/ip_forward')
  const [before] = [world.host.inside(read)]
  const other = before === '1' ? '0' : '1'
  t.equal(
    world.host.inside(() => writeSysctl('net/ipv4/ip_forward', other)),
    before,
    'writing tells what it was',
  )
  t.equal(world.host.inside(read), other)
  t.equal(web.inside(read), before)
})

t.test('a setting that the kernel does not have is no error', async t => {
  await using world = await kernel()
  t.equal(
    world.host.inside(() => readSysctl('net/ipv4/no_such_setting')),
    undefined,
  )
  t.equal(
    world.host.inside(() => writeSysctl('net/ipv6/conf/gone0/accept_ra', '0')),
    undefined,
  )
})

t.test('settings of an interface are under its name, also with a dot in it', async t => {
  await using world = await kernel()
  addIfb(world.nl, { name: 'if.100' })
  world.host.inside(() => writeSysctl('net/ipv6/conf/if.100/accept_ra', '0'))
  t.equal(
    world.host.inside(() => readSysctl('net/ipv6/conf/if.100/accept_ra')),
    '0',
  )
})

t.test('a value that the kernel refuses is an error and changes nothing', async t => {
  await using world = await kernel()
  const name = 'net/ipv6/conf/lo/accept_ra'
  const before = world.host.inside(() => readSysctl(name))
  t.throws(() => world.host.inside(() => writeSysctl(name, 'many')), { code: 'EINVAL' })
  t.equal(
    world.host.inside(() => readSysctl(name)),
    before,
  )
})
