/** What proves that a link is ours. */

import t from 'tap'
import { hostAlias, hostMac, hostNames, isAnyPort, isHostEnd, isOurBridge } from '../../src/bridge/names.ts'
import { OWNER } from '../support/link-plan.ts'

const mac = hostMac(OWNER)
const other = 'fedcba9876543210'

t.test('the host end is proved by its alias, or by its MAC while it has none', async t => {
  t.ok(isHostEnd({ kind: 'veth', mac: '02:00:00:00:00:01', alias: hostAlias(OWNER) }, OWNER))
  t.ok(isHostEnd({ kind: 'veth', mac }, OWNER))
  t.notOk(isHostEnd({ kind: 'veth', mac, alias: hostAlias(other) }, OWNER), 'another alias')
  t.notOk(isHostEnd({ kind: 'veth', mac, alias: 'mine' }, OWNER), "somebody's alias")
  t.notOk(isHostEnd({ kind: 'veth', mac: '02:00:00:00:00:01' }, OWNER), 'the name alone')
  t.notOk(isHostEnd({ kind: 'ifb', mac, alias: hostAlias(OWNER) }, OWNER), 'another kind')
  t.notOk(isHostEnd({ mac, alias: hostAlias(OWNER) }, OWNER), 'hardware')
})

t.test('any port of ours is known by its alias', async t => {
  t.ok(isAnyPort({ kind: 'veth', alias: hostAlias(other) }))
  t.notOk(isAnyPort({ kind: 'veth', alias: 'mine' }))
  t.notOk(isAnyPort({ kind: 'veth' }), 'whatever its MAC is')
  t.notOk(isAnyPort({ kind: 'ifb', alias: hostAlias(other) }))
})

t.test('a bridge is ours by its alias, or by its MAC while it has none', async t => {
  t.ok(isOurBridge({ kind: 'bridge', mac: '02:00:00:00:00:01', alias: 'tsnet' }))
  t.ok(isOurBridge({ kind: 'bridge', mac: '0e:74:6e:12:34:56' }))
  t.notOk(isOurBridge({ kind: 'bridge', mac: '0e:74:6e:12:34:56', alias: 'mine' }))
  t.notOk(isOurBridge({ kind: 'bridge', mac }), "a foreign bridge that took our port's MAC")
  t.notOk(isOurBridge({ kind: 'veth', mac: '0e:74:6e:12:34:56', alias: 'tsnet' }))
})

t.test('names fit into an interface name and together hold the whole tag', async t => {
  t.same(hostNames(OWNER), ['veth01234567', 'veth89abcdef'])
})
