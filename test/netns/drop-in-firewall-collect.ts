/** GC of the drop-in plugin firewall, of what the reference plugin made: its rules tell nothing but an address. */

import t from 'tap'
import { diff, snapshot } from 'tsnet/lab'
import { Chained, chainedSite } from '../support/nat-chain.ts'
import { addresses, FAMILIES, iptablesLegacy, iptablesNft } from '../support/nat-site.ts'
import { KERNELS_OWN } from '../support/scene.ts'

t.setTimeout(600_000)

for (const variant of [iptablesNft, iptablesLegacy]) {
  t.test(
    `${variant.name}: GC takes what the reference left for addresses that nobody has any more`,
    async t => {
      const site = await chainedSite(t, variant)
      const plugin = new Chained(site, 'firewall', { backend: 'iptables', cniVersion: '1.1.0' })
      const before = await snapshot(site.host)
      const ours = plugin.get('ours')
      const letThrough = async () => (await site.rules()).match(/-A CNI-FORWARD -s \S+/g)?.sort()
      const lives = (['neighbour', 'web'] as const)
        .flatMap(name => FAMILIES.map(family => rule(name, family)))
        .sort()
      // What a runtime of the reference plugins has written down of web.
      const lease = (text: string) => site.host.run('sh', '-c', text)
      await lease('mkdir -p /var/lib/cni/networks/front /var/lib/cni/results')
      await lease(`printf 'web\\r\\neth0' >/var/lib/cni/networks/front/${addresses.web[4]}`)
      for (const name of ['neighbour', 'web'] as const) await plugin.add(name, { config: old }, 'theirs')

      for (const valid of [undefined, []]) {
        await ours.collect(valid)
        t.strictSame(await letThrough(), lives, 'the control: they are there, whatever is said of them')
      }
      await site.get('web').remove()
      await ours.collect(undefined)
      const leased = [rule('neighbour', 4), rule('neighbour', 6), rule('web', 4)].sort()
      t.strictSame(await letThrough(), leased, 'what is leased may be where nobody sees it')
      const entry = JSON.stringify({ kind: 'cniCacheV1', containerId: 'web', netns: '/run/netns/web' })
      await lease(`echo '${entry}' >/var/lib/cni/results/front-web-eth0`)
      await ours.collect(undefined)
      t.strictSame(await letThrough(), [rule('neighbour', 4), rule('neighbour', 6)].sort(), 'without a list')
      await site.get('neighbour').remove()
      await ours.collect([])
      t.notMatch(await site.rules(), /CNI-/, 'with an empty one, and what all shared')
      const others = (line: string) =>
        !KERNELS_OWN.test(line) && !/neighbour|web|^link host br1 changed|cni/.test(line)
      t.strictSame(diff(before, await snapshot(site.host)).filter(others), [])
    },
  )
}

/** GC came with 1.1.0, which not every reference plugin knows. */
const old = { cniVersion: '1.0.0' }

const rule = (name: 'web' | 'neighbour', family: 4 | 6): string =>
  `-A CNI-FORWARD -s ${addresses[name][family]}/${family === 4 ? 32 : 128}`
