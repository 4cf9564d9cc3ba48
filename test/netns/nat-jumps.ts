/** Of two jumps from INPUT to a chain of ours, one for each protocol in which names are asked for, one is lost. */

import t from 'tap'
import type { NatIntent } from '../../src/model/network.ts'
import {
  addresses,
  intentOf,
  ip,
  iptablesLegacy,
  iptablesNft,
  NatSite,
  neighbourIntent,
} from '../support/nat-site.ts'

t.setTimeout(600_000) // on a busy machine

const asking = { resolvers: [ip(addresses.br1[4]), ip(addresses.br1[6])] }
const JUMP = 'INPUT -p tcp -m multiport --dports 53 -j TSNET-INPUT'

for (const variant of [iptablesNft, iptablesLegacy]) {
  t.test(`${variant.name}: one of two jumps that is lost is named, and comes back`, async t => {
    const site = await NatSite.open(variant)
    t.teardown(site.close)
    const web: NatIntent = intentOf(asking)
    const command = `iptables-${variant === iptablesLegacy ? 'legacy' : 'nft'}`
    const lose = () => site.host.run(command, '-D', ...JUMP.split(' '))
    const lacking = () => site.call('verifyRules', 'iptables', web)
    await site.install(web)
    t.strictSame(await lacking(), [])
    await lose()
    t.strictSame(await lacking(), [`iptables: table filter lacks -A ${JUMP}`], 'by CHECK')
    const found = await site.call('mendAll', 'iptables', [web])
    t.strictSame(found, [{ what: `iptables: table filter: there is no -A ${JUMP}` }], 'by reconcile')
    t.strictSame(await lacking(), [], 'and put back')
    await lose()
    await site.install(neighbourIntent(asking))
    t.strictSame(await lacking(), [], 'whoever comes next brings it back')
    for (const { owner } of [web, neighbourIntent()]) await site.withdraw(owner)
    t.notMatch(await site.rules(), /TSNET/)
  })
}
