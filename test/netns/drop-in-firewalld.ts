/** The drop-in plugin firewall where firewalld is on the bus, beside the reference plugin; a scripted bus. */

import t, { type Test } from 'tap'
import { Chained, chainedSite, type Whose } from '../support/nat-chain.ts'
import { iptablesNft } from '../support/nat-site.ts'
import { SystemBus } from '../support/system-bus.ts'

t.setTimeout(600_000)

const both: readonly Whose[] = ['ours', 'theirs']
const inTrusted = new Map([
  ['10.1.0.2/32', 'trusted'],
  ['fd01::2/128', 'trusted'],
])

async function scene(t: Test, config = {}): Promise<{ bus: SystemBus; plugin: Chained }> {
  const site = await chainedSite(t, iptablesNft)
  const bus = await SystemBus.open(site.host)
  t.teardown(() => bus[Symbol.asyncDispose]())
  return { bus, plugin: new Chained(site, 'firewall', config) }
}

for (const giver of both) {
  for (const taker of both) {
    t.test(`firewalld is taken where it runs: ${giver} ADD, ${taker} DEL`, async t => {
      const { bus, plugin } = await scene(t)
      const before = await plugin.site.rules()
      await plugin.add('web', {}, giver)
      t.same(bus.sources, inTrusted)
      for (const whose of both) await plugin.check('web', {}, whose)
      await plugin.delete('web', {}, taker)
      t.same(bus.sources, new Map())
      t.equal(await plugin.site.rules(), before, 'iptables has nothing to do with it')
    })
  }
}

t.test('another zone, a zone that is not there, and an address that another zone has', async t => {
  const { bus, plugin } = await scene(t, { backend: 'firewalld' })
  const dmz = { config: { firewalldZone: 'dmz' } }
  await plugin.add('web', dmz)
  await plugin.add('web', dmz)
  t.equal(bus.sources.get('10.1.0.2/32'), 'dmz')
  await plugin.delete('web', dmz)
  t.same(bus.sources, new Map())
  await t.rejects(plugin.add('web', { config: { firewalldZone: 'nowhere' } }), /INVALID_ZONE: nowhere/)
  bus.sources.set('fd01::2/128', 'dmz')
  await t.rejects(plugin.add('web'), /fd01::2\/128 to zone trusted: .*ZONE_CONFLICT/)
  t.same(bus.sources, new Map([['fd01::2/128', 'dmz']]), 'what was added before is taken back')
})

t.test('CHECK sees an address that is in no zone, which the reference does not', async t => {
  const { bus, plugin } = await scene(t)
  await plugin.add('web')
  bus.sources.clear()
  await t.rejects(plugin.check('web'), /10\.1\.0\.2\/24 is not a source of zone trusted/)
  await plugin.check('web', {}, 'theirs')
  await plugin.delete('web')
})

t.test('without firewalld on the bus it is iptables; asked for by name, it is missing', async t => {
  const { bus, plugin } = await scene(t)
  bus.isRunning = false
  await plugin.add('web')
  t.match(await plugin.site.rules(), /-A CNI-FORWARD -s 10\.1\.0\.2\/32 -j ACCEPT/)
  await plugin.delete('web')
  const asked = new Chained(plugin.site, 'firewall', { backend: 'firewalld', cniVersion: '1.1.0' })
  await t.rejects(asked.get('ours').status(), { code: 50, message: /not on the system bus/ })
  await t.rejects(asked.add('web'), /firewalld/)
})

t.test('firewalld that went away keeps nothing from being removed', async t => {
  const { bus, plugin } = await scene(t)
  await plugin.add('web')
  bus.isRunning = false
  await plugin.delete('web')
  t.notOk((await plugin.site.host.run('ls', '/run')).stdout.includes('tsnet'))
})

t.test('where there is no busctl, dbus-send will do', async t => {
  const { bus, plugin } = await scene(t)
  await plugin.site.host.run('mount', '--bind', '/dev/null', '/usr/bin/busctl')
  await plugin.add('web')
  t.same(bus.sources, inTrusted)
  await plugin.check('web')
  await plugin.delete('web')
  t.same(bus.sources, new Map())
})
