/** CHECK of ports that the newest reference plugins made with nftables. */

import t, { type Test } from 'tap'
import { Chained, chainedSite } from '../support/nat-chain.ts'
import { addresses, FAMILIES, type NatSite, nftables } from '../support/nat-site.ts'
import { isReferenceNew, type PortTable, portTable } from '../support/newest-reference.ts'

t.setTimeout(600_000)

const ports = [
  { hostPort: 8080, containerPort: 80 },
  { hostPort: 8081, containerPort: 80, hostIP: addresses.lan[4] },
  { hostPort: 8081, containerPort: 80, hostIP: addresses.lan[6] },
]

const conditions = {
  conditionsV4: ['ip', 'saddr', '192.0.2.0/24'],
  conditionsV6: ['ip6', 'saddr', '2001:db8::/32'],
}

/** What a list says, and what 1.9.1 or main makes of it. */
const cases: [
  what: string,
  config: Record<string, unknown>,
  made: (family: 4 | 6) => Omit<PortTable, 'family'>,
][] = [
  ['as it comes', {}, () => ({})],
  ['without snat', { snat: false }, () => ({ snat: 'none' })],
  ['masqAll with 1.9, which does not know it', { masqAll: true }, () => ({})],
  ['masqAll with main', { masqAll: true }, () => ({ snat: 'all' })],
  [
    'conditions, which stand before its jumps',
    conditions,
    family => ({ conditions: conditions[`conditionsV${family}`].join(' ') }),
  ],
]

async function scene(t: Test) {
  const site = await chainedSite(t, nftables)
  await site.sysctl('net/ipv4/conf/br1/route_localnet', '1')
  return { site, plugin: new Chained(site, 'portmap', { backend: 'nftables' }) }
}

const nft = ({ host }: NatSite, text: string) => host.run('sh', '-c', `nft -f - <<'END'\n${text}\nEND`)

for (const [what, config, made] of cases) {
  t.test(`made by the newest reference: ${what}`, async t => {
    const { site, plugin } = await scene(t)
    for (const family of FAMILIES) await nft(site, portTable({ family, ...made(family) }))
    const check = () => plugin.check('web', { ports, config })
    await check()
    if (made(4).snat !== 'none') {
      await site.host.run('nft', 'flush', 'chain', 'ip', 'cni_hostport', 'masquerading')
      await t.rejects(check(), /ip cni_hostport masquerading lacks/)
      await nft(site, `delete table ip cni_hostport\n${portTable({ family: 4, ...made(4) })}`)
    }
    await site.host.run('nft', 'flush', 'chain', 'ip6', 'cni_hostport', 'prerouting')
    await site.host.run('nft', 'flush', 'chain', 'ip6', 'cni_hostport', 'output')
    await t.rejects(check(), /nothing leads to the ports of ip6 cni_hostport/)
  })

  t.test(`made by ours: ${what}`, async t => {
    const { plugin } = await scene(t)
    await plugin.add('web', { ports, config })
    await plugin.check('web', { ports, config })
    if (isReferenceNew()) await plugin.check('web', { ports, config }, 'theirs')
    // What the newest reference's CHECK counts: a rule for each source, with masqAll too.
    const rules = await plugin.site.rules()
    const sources = [...rules.matchAll(/ip6? saddr \S+ ip6? daddr \S+ masquerade comment "web"/g)].length
    t.equal(sources, config.snat === false ? 0 : 3)
    // What the reference does not know of, the next DEL of ours takes.
    if (isReferenceNew()) await plugin.delete('web', { ports, config }, 'theirs')
    t.notMatch(isReferenceNew() ? await plugin.site.rules() : '', /(dnat to|masquerade) .*comment "web"/)
    await plugin.delete('web', { ports, config })
    t.notMatch(await plugin.site.rules(), /comment "web"/)
  })
}
