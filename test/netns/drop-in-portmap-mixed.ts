/** Ports that our portmap made and the reference's takes away, and the other way round. */

import t from 'tap'
import { diff, snapshot } from 'tsnet/lab'
import { chainNameOf } from '../../src/model/chained.ts'
import { Chained, chainedSite, type Whose } from '../support/nat-chain.ts'
import { addresses, iptablesNft } from '../support/nat-site.ts'
import { answering, answers } from '../support/reach.ts'

t.setTimeout(600_000)

const ports = [
  { hostPort: 8080, containerPort: 80 },
  { hostPort: 8081, containerPort: 80, hostIP: addresses.lan[4] },
  { hostPort: 8080, containerPort: 80, protocol: 'udp' },
]
const chain = new RegExp(chainNameOf('CNI-DN-', 'front', 'web'))
const both: readonly Whose[] = ['ours', 'theirs']

const tables = async ({ site }: Chained): Promise<string[]> => {
  const saved = await Promise.all(
    ['iptables-save', 'ip6tables-save'].map(command => site.host.run(command, '-t', 'nat')),
  )
  return saved
    .flatMap(({ stdout }) =>
      stdout
        .replace(/^#.*\n/gm, '')
        .replace(/\[\d+:\d+\]/g, '')
        .split('\n'),
    )
    .sort()
}

t.test('the rules are the reference plugin’s, word for word', async t => {
  const made = await Promise.all(
    both.map(async whose => {
      const plugin = new Chained(await chainedSite(t, iptablesNft), 'portmap')
      await plugin.add('web', { ports }, whose)
      return tables(plugin)
    }),
  )
  t.strictSame(made[0], made[1])
})

for (const [giver, taker] of [
  ['ours', 'theirs'],
  ['theirs', 'ours'],
] as const) {
  t.test(`${giver} ADD, ${taker} DEL`, async t => {
    const plugin = new Chained(await chainedSite(t, iptablesNft), 'portmap')
    const { host, client } = plugin.site
    const before = await snapshot(host)
    await plugin.add('web', { ports }, giver)
    // The reference 1.1.1 looks for rules of each family in both, and fails after its own ADD too.
    await plugin.check('web', { ports }, 'ours')
    for (const port of [8080, 8081]) {
      t.equal(await answers(client, 'tcp', addresses.lan[4], port), 'web')
    }
    await plugin.delete('web', { ports }, taker)
    t.equal(await answering(client, 'tcp', addresses.lan[4], 8080), 'nobody')
    t.notMatch(await plugin.site.rules(), chain)

    // What the reference leaves after itself, by a run of its own.
    const control = new Chained(await chainedSite(t, iptablesNft), 'portmap')
    await control.add('web', { ports }, 'theirs')
    await control.delete('web', { ports }, 'theirs')
    t.strictSame(await tables(plugin), await tables(control), 'what is left is what the reference leaves')

    await plugin.add('web', { ports }, 'ours')
    await plugin.delete('web', { ports }, 'ours')
    const lines = diff(before, await snapshot(host)).filter(line => !line.startsWith('connection '))
    const setting = 'setting host net/ipv4/conf/br1/route_localnet changed: 0 → 1'
    t.strictSame(
      lines.filter(line => line !== setting),
      [],
      'and our own next DEL takes that along',
    )
    t.equal(lines.includes(setting), giver === 'theirs', 'a setting that the reference made is not ours')
  })
}

t.test('containers of both live side by side', async t => {
  const plugin = new Chained(await chainedSite(t, iptablesNft), 'portmap')
  const { client } = plugin.site
  const second = [{ hostPort: 9090, containerPort: 80 }]
  const reached = () =>
    Promise.all([8080, 9090].map(port => answering(client, 'tcp', addresses.lan[4], port)))
  for (const [first, other] of [both, both.toReversed()] as [Whose, Whose][]) {
    await plugin.add('web', { ports }, first)
    await plugin.add('neighbour', { ports: second }, other)
    t.strictSame(await reached(), ['web', 'neighbour'])
    t.equal(await answers(plugin.site.host, 'tcp', '127.0.0.1', 9090), 'neighbour')
    await plugin.delete('web', { ports }, first)
    t.strictSame(await reached(), ['nobody', 'neighbour'])
    t.equal(await answers(plugin.site.host, 'tcp', '127.0.0.1', 9090), 'neighbour')
    await plugin.delete('neighbour', { ports: second }, other)
    t.strictSame(await reached(), ['nobody', 'nobody'])
  }
})

t.test('GC takes what the reference left of containers that are no more', async t => {
  const plugin = new Chained(await chainedSite(t, iptablesNft), 'portmap', { cniVersion: '1.0.0' })
  await plugin.add('web', { ports }, 'theirs')
  const later = new Chained(plugin.site, 'portmap', { cniVersion: '1.1.0' })
  await later.get('ours').collect(undefined)
  t.match(await plugin.site.rules(), chain, 'nothing proves that it is dead')
  await later.get('ours').collect(['web'])
  t.match(await plugin.site.rules(), chain)
  const other = new Chained(plugin.site, 'portmap', { cniVersion: '1.1.0', name: 'back' })
  await other.get('ours').collect([])
  t.match(await plugin.site.rules(), chain, 'another network is not ours to clean')
  await later.get('ours').collect([])
  t.notMatch(await plugin.site.rules(), chain)
})
