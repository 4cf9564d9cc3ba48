/** The drop-in plugin firewall on the real kernel, beside the reference plugin of that name. */

import t, { type Test } from 'tap'
import { diff, snapshot } from 'tsnet/lab'
import { Chained, chainedSite, resultFor, type Whose } from '../support/nat-chain.ts'
import { addresses, FAMILIES, iptablesLegacy, iptablesNft, type NatSite } from '../support/nat-site.ts'
import { firewallTable, isReferenceNew } from '../support/newest-reference.ts'
import { answering } from '../support/reach.ts'

t.setTimeout(600_000)

const both: readonly Whose[] = ['ours', 'theirs']
const closed = { config: { ingressPolicy: 'same-bridge' } }
const isolated = { config: { ingressPolicy: 'isolated' } }

async function scene(t: Test, variant = iptablesNft) {
  const site = await chainedSite(t, variant)
  await site.bridgeNetfilter(true)
  return { site, plugin: new Chained(site, 'firewall', { backend: 'iptables' }) }
}

const filterTables = async ({ host }: NatSite): Promise<string[]> => {
  const saved = await Promise.all(
    ['iptables-save', 'ip6tables-save'].map(command => host.run(command, '-t', 'filter')),
  )
  return saved.map(({ stdout }) => stdout.replace(/^#.*\n/gm, '').replace(/\[\d+:\d+\]/g, ''))
}

const left = async (site: NatSite, before: Awaited<ReturnType<typeof snapshot>>): Promise<string[]> =>
  diff(before, await snapshot(site.host)).filter(line => !line.startsWith('connection '))

const linesOf = (table: string): string[] => table.split('\n').filter(line => line.startsWith('-A'))

/** Makes the rules of `web` as the newest reference plugin does. */
async function asNewest({ host }: NatSite, policy: 'same-bridge' | 'isolated'): Promise<void> {
  for (const family of FAMILIES) {
    const command = family === 4 ? 'iptables-restore' : 'ip6tables-restore'
    await host.run('sh', '-c', `${command} --noflush <<'END'\n${firewallTable(policy, family)}END`)
  }
}

/** Who reaches whom at its own address, over both families. */
async function reached(site: NatSite, from: 'web' | 'neighbour' | 'stranger', to: 'web' | 'neighbour') {
  const answers = await Promise.all(
    FAMILIES.map(family => answering(site.get(from), 'tcp', addresses[to][family], 80)),
  )
  return answers.every(answer => answer === to) ? 'all' : answers.includes(to) ? 'some' : 'nobody'
}

for (const policy of ['open', 'same-bridge'] as const) {
  t.test(`ingressPolicy ${policy}: the rules are the reference plugin’s, word for word`, async t => {
    const made = await Promise.all(
      both.map(async whose => {
        const { site, plugin } = await scene(t)
        const result = await plugin.add('web', { config: { ingressPolicy: policy } }, whose)
        t.match(result, { interfaces: resultFor('web').interfaces ?? [], ips: resultFor('web').ips ?? [] })
        return filterTables(site)
      }),
    )
    const [ours = [], theirs = []] = made
    t.strictSame(isReferenceNew() ? ours : ours.map(inOldWords), theirs)
  })
}

/** Up to 1.6 the reference knows but one policy to name in its comments. */
const inOldWords = (table: string): string => table.replaceAll('same-bridge|isolated', 'same-bridge')

t.test('the result is the one that was given, in each version', async t => {
  const { plugin } = await scene(t)
  for (const cniVersion of ['0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
    const result = await plugin.add('web', { config: { cniVersion } })
    const ips = (resultFor('web').ips ?? []).map(ip =>
      cniVersion < '1.0.0' ? { version: ip.address.includes(':') ? '6' : '4', ...ip } : ip,
    )
    t.strictSame(result, { ...resultFor('web'), ips, cniVersion })
    await plugin.delete('web')
  }
})

for (const variant of [iptablesNft, iptablesLegacy]) {
  t.test(`${variant.name}: a container speaks where FORWARD drops, and nothing is left of it`, async t => {
    const { site, plugin } = await scene(t, variant)
    await site.policy('DROP')
    const before = await snapshot(site.host)
    const out = () => answering(site.get('web'), 'tcp', addresses.client[4], 80)
    await site.client.run('ip', 'route', 'add', '10.1.0.0/24', 'via', addresses.lan[4])
    t.equal(await out(), 'nobody')
    await plugin.add('web')
    await plugin.add('web')
    await plugin.check('web')
    t.equal(await out(), 'client')
    t.equal(await answering(site.client, 'tcp', addresses.web[4], 80), 'nobody', 'what is new comes not in')
    await plugin.delete('web')
    t.equal(await out(), 'nobody')
    t.strictSame(await left(site, before), [])
    await plugin.delete('web')
    t.strictSame(await left(site, before), [], 'twice')
  })
}

t.test('an administrator’s chain comes first, has the name that was asked for, and is kept', async t => {
  const { site, plugin } = await scene(t)
  const config = { iptablesAdminChainName: 'CNI-foobar' }
  await site.policy('DROP')
  await site.client.run('ip', 'route', 'add', '10.1.0.0/24', 'via', addresses.lan[4])
  await plugin.add('web', { config })
  const out = () => answering(site.get('web'), 'tcp', addresses.client[4], 80)
  t.equal(await out(), 'client')
  await site.host.run('iptables', '-A', 'CNI-foobar', '-p', 'tcp', '--dport', '80', '-j', 'DROP')
  t.equal(await out(), 'nobody')
  await plugin.delete('web', { config })
  const [v4 = '', v6 = ''] = await filterTables(site)
  t.match(v4, /-A CNI-foobar -p tcp -m tcp --dport 80 -j DROP/)
  t.match(v4, /-A CNI-FORWARD .*-j CNI-foobar/)
  t.notMatch(v6, /CNI-/, 'an empty one is not')
})

t.test('same-bridge: neighbours reach each other, another bridge reaches nobody', async t => {
  const { site, plugin } = await scene(t)
  const before = await snapshot(site.host)
  t.equal(await reached(site, 'stranger', 'web'), 'all', 'control: without it')
  for (const name of ['web', 'neighbour', 'stranger'] as const) await plugin.add(name, closed)
  t.equal(await reached(site, 'neighbour', 'web'), 'all')
  t.equal(await reached(site, 'stranger', 'web'), 'nobody')
  await plugin.delete('neighbour', closed)
  t.equal(await reached(site, 'stranger', 'web'), 'nobody', 'while web is there')
  await plugin.delete('web', closed)
  t.equal(await reached(site, 'stranger', 'web'), 'all', 'the bridge is open again')
  await plugin.delete('stranger', closed)
  t.strictSame(await left(site, before), [])
})

t.test('isolated: not even neighbours reach each other', async t => {
  const { site, plugin } = await scene(t)
  const before = await snapshot(site.host)
  for (const name of ['web', 'neighbour', 'stranger'] as const) await plugin.add(name, isolated)
  t.equal(await reached(site, 'neighbour', 'web'), 'nobody')
  t.equal(await reached(site, 'stranger', 'web'), 'nobody')
  await plugin.add('neighbour', closed)
  t.equal(await reached(site, 'neighbour', 'web'), 'nobody', 'while one of them is isolated')
  await plugin.delete('web', isolated)
  t.equal(await reached(site, 'neighbour', 'web'), 'all')
  t.equal(await reached(site, 'stranger', 'neighbour'), 'nobody')
  await plugin.delete('neighbour', closed)
  await plugin.delete('stranger', isolated)
  t.strictSame(await left(site, before), [])
})

t.test('a bridge stays closed while the reference has a container on it', async t => {
  const { site, plugin } = await scene(t)
  await plugin.add('neighbour', closed, 'theirs')
  await plugin.add('web', closed)
  await plugin.delete('web', closed)
  await plugin.add('stranger', closed)
  t.equal(await reached(site, 'stranger', 'neighbour'), 'nobody')
})

t.test('isolation stays before what lets through, whichever is added later', async t => {
  const { site, plugin } = await scene(t)
  for (const name of ['web', 'stranger'] as const) await plugin.add(name, closed, 'theirs')
  for (const family of ['', '6']) {
    // As after somebody has emptied FORWARD and half of it was made again.
    const again = `-A FORWARD -m comment --comment "CNI firewall plugin rules (ingressPolicy: same-bridge)" -j CNI-ISOLATION-STAGE-1`
    await site.host.run('sh', '-c', `ip${family}tables -F FORWARD; ip${family}tables ${again}`)
  }
  await plugin.add('neighbour')
  const [v4 = ''] = await filterTables(site)
  const jumps = [...v4.matchAll(/-A FORWARD .*-j (\S+)/g)].map(([, target]) => target)
  t.strictSame(jumps, ['CNI-ISOLATION-STAGE-1', 'CNI-FORWARD'])
  t.equal(await reached(site, 'stranger', 'web'), 'nobody')
})

for (const policy of ['same-bridge', 'isolated'] as const) {
  t.test(
    `${policy}: what the newest reference made is checked, shared, and taken away with the last`,
    async t => {
      const { site, plugin } = await scene(t)
      const config = { ingressPolicy: policy }
      const before = await snapshot(site.host)
      await asNewest(site, policy)
      const made = await filterTables(site)
      await plugin.check('web', { config })
      await t.rejects(plugin.check('neighbour', { config }), /lacks/, 'control: of another container')
      await plugin.add('neighbour', { config })
      await plugin.check('neighbour', { config })
      t.strictSame(
        (await filterTables(site)).map(table => linesOf(table).length),
        made.map(table => linesOf(table).length + 2),
        'only its own rules are added',
      )
      t.equal(await reached(site, 'neighbour', 'web'), policy === 'isolated' ? 'nobody' : 'all')
      await plugin.delete('web', { config })
      await plugin.delete('neighbour', { config })
      t.strictSame(await left(site, before), [])
    },
  )
}

t.test('rules that the other plugin doubled in other words are single again', async t => {
  const { site, plugin } = await scene(t)
  const before = await snapshot(site.host)
  for (const name of ['web', 'stranger'] as const) await plugin.add(name, closed)
  const [made = ''] = await filterTables(site)
  // Those of the other bridge are its own containers' business.
  const doubled = (line: string) => line.includes('same-bridge|isolated') && !line.includes('br2')
  for (const rule of linesOf(made).filter(doubled)) {
    const old = rule.replace('same-bridge|isolated', 'same-bridge')
    await site.host.run('sh', '-c', `iptables ${/RETURN/.test(old) ? old : old.replace('-A', '-I')}`)
  }
  await plugin.check('web', closed)
  await plugin.add('neighbour', closed)
  const [now = ''] = await filterTables(site)
  t.equal(linesOf(now).length, linesOf(made).length + 2)
  t.equal(await reached(site, 'stranger', 'web'), 'nobody')
  for (const name of ['web', 'neighbour', 'stranger'] as const) await plugin.delete(name, closed)
  t.strictSame(await left(site, before), [])
})

for (const [giver, taker] of [
  ['ours', 'theirs'],
  ['theirs', 'ours'],
] as const) {
  t.test(`${giver} ADD, both CHECK, ${taker} DEL`, async t => {
    const { site, plugin } = await scene(t)
    const before = await snapshot(site.host)
    await plugin.add('web', closed, giver)
    for (const whose of both) await plugin.check('web', closed, whose)
    await plugin.delete('web', closed, taker)
    for (const table of await filterTables(site)) t.notMatch(table, /10\.1\.0\.2|fd01::2/)
    await plugin.add('web', closed)
    await plugin.delete('web', closed)
    t.strictSame(await left(site, before), [], 'our own next DEL takes all along')
  })
}

t.test('DEL needs neither result nor namespace; GC takes what is no more', async t => {
  const { site, plugin } = await scene(t)
  const before = await snapshot(site.host)
  const ours = plugin.get('ours')
  await plugin.add('web', closed)
  await ours.delete('web', { netns: '' })
  t.strictSame(await left(site, before), [])
  await ours.delete('never', { netns: '' })

  const newest = new Chained(site, 'firewall', { backend: 'iptables', cniVersion: '1.1.0' })
  await plugin.add('web', closed)
  await plugin.add('neighbour', closed)
  await newest.get('ours').collect(['web', 'neighbour'])
  await plugin.check('web', closed)
  await newest.get('ours').collect(['web'])
  await plugin.check('web', closed)
  await t.rejects(plugin.check('neighbour', closed), /lacks/)
  await newest.get('ours').collect([])
  t.strictSame(await left(site, before), [])
  await newest.get('ours').status()
})

t.test('what is refused has no effect', async t => {
  const { site, plugin } = await scene(t)
  const before = await snapshot(site.host)
  const refused: [config: Record<string, unknown>, message: RegExp][] = [
    [{ ingressPolicy: 'shut' }, /ingressPolicy: "shut" is not one of open, same-bridge, isolated/],
    [{ backend: 'nftables' }, /backend: "nftables" is not one of iptables, firewalld/],
    [{ iptablesAdminChainName: 'a b' }, /iptablesAdminChainName: "a b" is not the name of a chain/],
    [{ iptablesAdminChainName: 'ACCEPT' }, /iptables/],
    [{ prevResult: undefined }, /prevResult is missing/],
    [
      { prevResult: { ips: [{ address: '10.1.0.2/24', interface: 3 }] } },
      /interface: 3 is no index of an interface/,
    ],
    [{ ingressPolicy: 'same-bridge', prevResult: { ips: [] } }, /prevResult.* has no interface/],
  ]
  for (const [config, message] of refused) await t.rejects(plugin.add('web', { config }), message)
  t.strictSame(await left(site, before), [])
})
