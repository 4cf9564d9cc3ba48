/** Rule sets of the iptables backend, with the legacy variant of iptables. */

import t from 'tap'
import { rules } from '../support/nat-rules.ts'
import { intentOf, iptablesLegacy, NatSite } from '../support/nat-site.ts'

rules(iptablesLegacy)

t.test('iptables-legacy: it waits for the xtables lock', async t => {
  const site = await NatSite.open(iptablesLegacy)
  t.teardown(site.close)
  const holder = site.host.start('flock', '/run/xtables.lock', 'sleep', '1')
  const began = performance.now()
  await site.install(intentOf())
  t.ok(performance.now() - began > 500, `it took ${Math.round(performance.now() - began)} ms`)
  t.strictSame(await site.call('verifyRules', 'iptables', intentOf()), [])
  await holder.finished
})
