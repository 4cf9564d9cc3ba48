/** nf_tables on the real kernel: what we make is listed by nft as what nft makes, and what others make is read. */

import t from 'tap'
import { type Host, lab } from 'tsnet/lab'
import type { SetElement } from '../../src/netfilter/elements.ts'
import {
  cmp,
  counter,
  ct,
  dnat,
  fibDestinationType,
  immediate,
  lookup,
  mask,
  masquerade,
  meta,
  payload,
  registerAt,
  verdict,
} from '../../src/netfilter/expressions.ts'
import { consistently, generation } from '../../src/netfilter/generations.ts'
import {
  findChain,
  findElement,
  listChains,
  listElements,
  listRules,
  listSets,
  listTables,
} from '../../src/netfilter/list.ts'
import { netfilterHere } from '../../src/netfilter/netfilter.ts'
import { isBusy, isMissing, isTaken } from '../../src/netfilter/refusal.ts'
import { interfaceBytes, keyBytes } from '../../src/netfilter/set-types.ts'
import { type TableRef, Transaction } from '../../src/netfilter/transaction.ts'
import { be16, u8, u32 } from '../../src/netlink/codecs.ts'
import type { Netlink } from '../../src/netlink/netlink.ts'

t.setTimeout(600_000)

const table: TableRef = { family: 'inet', name: 'demo' }
const ip = (text: string) => keyBytes('ipv4_addr', text)

/** A table of everything, in our words. */
const ours = (): Transaction =>
  new Transaction()
    .addTable(table, 'a table')
    .addChain(table, { name: 'in_use', comment: 'a chain' })
    .addSet(table, { name: 'owners', type: 'mark . mark', data: 'verdict' })
    .addSet(table, { name: 'home', type: 'ipv4_addr . ifname' })
    .addSet(table, { name: 'ports', type: 'inet_proto . inet_service', data: 'ipv4_addr . inet_service' })
    .addSet(table, { name: 'marks', type: 'mark', data: 'mark' })
    .addSet(table, { name: 'nets', type: 'ipv4_addr', isInterval: true })
    .addSet(table, { name: 'pairs', type: 'ipv4_addr . inet_service', isInterval: true })
    .createElements(table, 'owners', [
      {
        key: keyBytes('mark . mark', '0x01234567 . 0x89abcdef'),
        verdict: { code: 'jump', chain: 'in_use' },
        comment: 'mine',
      },
    ])
    .createElements(table, 'home', [{ key: keyBytes('ipv4_addr . ifname', '10.1.0.2 . "br0"') }])
    .createElements(table, 'ports', [
      {
        key: keyBytes('inet_proto . inet_service', 'tcp . 8080'),
        data: keyBytes('ipv4_addr . inet_service', '10.1.0.2 . 80'),
      },
    ])
    .createElements(table, 'marks', [{ key: u32.encode(5), data: u32.encode(6) }])
    .addElements(table, 'nets', [{ key: ip('10.2.0.0') }, { key: ip('10.3.0.0'), isEnd: true }])
    .addElements(table, 'pairs', [
      {
        key: keyBytes('ipv4_addr . inet_service', '10.2.0.0 . 80'),
        keyEnd: keyBytes('ipv4_addr . inet_service', '10.2.0.255 . 90'),
      },
    ])
    .addChain(table, { name: 'pre', hook: { type: 'nat', at: 'prerouting', priority: -90 } })
    .addChain(table, {
      name: 'forwarded',
      hook: { type: 'filter', at: 'forward', priority: 5 },
      policy: 'accept',
    })
    .addRule(table, 'pre', {
      expressions: [fibDestinationType(), cmp('eq', u32.encode(2)), verdict('jump', 'in_use')],
      comment: 'a rule',
    })
    .addRule(table, 'pre', {
      expressions: [
        meta('l4proto'),
        payload('transport', 2, 2, registerAt(4)),
        lookup('ports', { dreg: 1 }),
        dnat('ip', 1, registerAt(4)),
      ],
    })
    .addRule(table, 'forwarded', {
      expressions: [meta('iifname'), cmp('neq', interfaceBytes('lo')), counter, verdict('accept')],
    })
    .addRule(table, 'forwarded', {
      expressions: [
        ct('state'),
        lookup(
          { type: 'ct_state', elements: [{ key: u32.encode(2) }, { key: u32.encode(4) }] },
          { not: true },
        ),
        ct('status'),
        mask(u32.encode(0x20)),
        cmp('neq', u32.encode(0)),
        verdict('drop'),
      ],
    })

const THEIRS = `
  table inet demo {
    comment "a table"
    map owners { type mark . mark : verdict; elements = { 0x01234567 . 0x89abcdef comment "mine" : jump in_use } }
    set home { type ipv4_addr . ifname; elements = { 10.1.0.2 . "br0" } }
    map ports {
      type inet_proto . inet_service : ipv4_addr . inet_service
      elements = { tcp . 8080 : 10.1.0.2 . 80 }
    }
    map marks { type mark : mark; elements = { 5 : 6 } }
    set nets { type ipv4_addr; flags interval; elements = { 10.2.0.0/16 } }
    set pairs { type ipv4_addr . inet_service; flags interval; elements = { 10.2.0.0/24 . 80-90 } }
    chain in_use { comment "a chain"; }
    chain pre {
      type nat hook prerouting priority -90
      fib daddr type local jump in_use comment "a rule"
      dnat ip to meta l4proto . th dport map @ports
    }
    chain forwarded {
      type filter hook forward priority 5; policy accept
      iifname != "lo" counter accept
      ct state != { established, related } ct status dnat drop
    }
  }`

async function hostIn(world: Awaited<ReturnType<typeof lab>>): Promise<{ host: Host; nl: Netlink }> {
  const host = await world.host('host')
  return { host, nl: host.inside(netfilterHere) }
}

const listed = async (host: Host, ...options: string[]): Promise<string> => {
  const { stdout } = await host.run('nft', ...options, 'list', 'ruleset')
  return stdout.replace(/"handle": \d+/g, '"handle": 0')
}

t.test('nft lists what we make as what nft makes, as text and as JSON', async t => {
  await using world = await lab()
  const { host, nl } = await hostIn(world)
  t.equal(ours().commit(nl), undefined)
  const [text, json] = [await listed(host), await listed(host, '-j')]
  t.equal(new Transaction().deleteTable(table).commit(nl), undefined)
  t.equal(await listed(host), '')
  await host.run('nft', '-f', '-', { stdin: THEIRS })
  t.equal(await listed(host), text)
  t.strictSame(JSON.parse(await listed(host, '-j')), JSON.parse(json))
})

t.test('what nft and iptables make is read', async t => {
  await using world = await lab()
  const { host, nl } = await hostIn(world)
  await host.run('nft', '-f', '-', { stdin: THEIRS })
  await host.run(
    'iptables-nft',
    '-A',
    'FORWARD',
    '-p',
    'tcp',
    '-m',
    'multiport',
    '--dports',
    '80,81',
    '-j',
    'LOG',
  )
  consistently(nl, () => {
    t.strictSame(listTables(nl), [
      { ...table, comment: 'a table' },
      { family: 'ip', name: 'filter' },
    ])
    t.match(
      listChains(nl, { table }).map(({ name, hook, policy, comment }) => [name, hook?.at, policy, comment]),
      [
        ['in_use', undefined, undefined, 'a chain'],
        ['pre', 'prerouting', 'accept', undefined],
        ['forwarded', 'forward', 'accept', undefined],
      ],
    )
    const sets = listSets(nl, { table }).filter(({ name }) => !name.startsWith('__set'))
    t.strictSame(
      sets.map(({ name }) => name),
      ['owners', 'home', 'ports', 'marks', 'nets', 'pairs'],
    )
    t.match(listElements(nl, table, 'owners'), [
      { comment: 'mine', verdict: { code: 'jump', chain: 'in_use' } },
    ])
    const [range] = listElements(nl, table, 'pairs')
    t.strictSame(
      Buffer.from(range?.keyEnd ?? []),
      Buffer.from(keyBytes('ipv4_addr . inet_service', '10.2.0.255 . 90')),
    )
    t.equal(listRules(nl, { table }).length, 4)
    t.equal(listRules(nl, { table, chain: 'forwarded' }).length, 2)
    const [rule] = listRules(nl, { family: 'ip' })
    t.match(rule, { table: { family: 'ip', name: 'filter' }, chain: 'FORWARD' })
    const extensions = rule?.expressions.flatMap(({ match, target }) => (match ?? target)?.name ?? [])
    t.strictSame(extensions, ['multiport', 'LOG'])
    t.equal(rule?.expressions.find(({ match }) => match !== undefined)?.match?.info?.length, 48)
  })
  t.equal(findChain(nl, { family: 'ip', name: 'filter' }, 'FORWARD')?.policy, 'accept')
})

t.test('an element that is there is named, and nothing of the transaction is done', async t => {
  await using world = await lab()
  const { nl } = await hostIn(world)
  ours().commit(nl)
  const elements: SetElement[] = Array.from({ length: 2000 }, (_, i) => ({
    key: keyBytes('inet_proto . inet_service', `tcp . ${7000 + i}`),
    data: keyBytes('ipv4_addr . inet_service', '10.1.0.3 . 80'),
  }))
  const before = generation(nl)
  const denial = new Transaction().createElements(table, 'ports', elements).commit(nl)
  t.ok(isTaken(denial))
  t.strictSame(denial?.element, elements[1080])
  t.equal(generation(nl), before)
  t.equal(listElements(nl, table, 'ports').length, 1)
  const absent = new Transaction().deleteElements(table, 'ports', elements).commit(nl)
  t.ok(isMissing(absent))
  t.strictSame(absent?.element?.key, elements[0]?.key)
  t.match(findElement(nl, table, 'ports', elements[1080]?.key ?? u8.encode(0)), {
    data: keyBytes('ipv4_addr . inet_service', '10.1.0.2 . 80'),
  })
})

t.test('what is used is not deleted; a generation that is past changes nothing', async t => {
  await using world = await lab()
  const { nl } = await hostIn(world)
  ours().commit(nl)
  const busy = new Transaction().deleteChain(table, 'in_use').deleteTable(table).commit(nl)
  t.ok(isBusy(busy))
  const then = generation(nl)
  new Transaction().addChain(table, { name: 'more' }).commit(nl)
  t.equal(new Transaction().deleteTable(table).commit(nl, then)?.code, 'ERESTART')
  t.equal(listTables(nl).length, 1)
  t.equal(new Transaction().deleteTable(table).commit(nl, generation(nl)), undefined)
  t.ok(isMissing(new Transaction().addChain(table, { name: 'x' }).commit(nl)))
})

t.test('a chain goes with its rules, or, if so asked, only when it has none', async t => {
  await using world = await lab()
  const { nl } = await hostIn(world)
  const demo = () => new Transaction().addTable(table).addChain(table, { name: 'x' })
  const filled = () => demo().addRule(table, 'x', { expressions: [counter, verdict('drop')] })
  filled().commit(nl)
  t.ok(isBusy(new Transaction().deleteChain(table, 'x', { ifEmpty: true }).commit(nl)))
  t.equal(listRules(nl, { table, chain: 'x' }).length, 1)
  t.equal(new Transaction().deleteChain(table, 'x').commit(nl), undefined)
  t.equal(findChain(nl, table, 'x'), undefined)
  filled().commit(nl)
  const handle = listRules(nl, { table })[0]?.handle ?? 0n
  const emptied = new Transaction().deleteRule(table, 'x', handle).deleteChain(table, 'x', { ifEmpty: true })
  t.equal(emptied.commit(nl), undefined, 'emptied in the same transaction')
})

t.test('the policy of a chain that is there is changed, and nothing else of it', async t => {
  await using world = await lab()
  const { nl } = await hostIn(world)
  const hook = { type: 'filter', at: 'forward', priority: 7 } as const
  new Transaction().addTable(table).addChain(table, { name: 'x', hook, policy: 'drop' }).commit(nl)
  const before = findChain(nl, table, 'x')
  t.equal(before?.policy, 'drop')
  t.equal(new Transaction().setPolicy(table, 'x', 'accept').commit(nl), undefined)
  t.strictSame(findChain(nl, table, 'x'), { ...before, policy: 'accept' })
  const none = new Transaction().setPolicy(table, 'y', 'accept').commit(nl)
  t.equal(none?.code, 'EOPNOTSUPP', 'it is made nowhere')
})

t.test('ten thousand elements go in one transaction, however large the datagram', async t => {
  await using world = await lab()
  const { nl } = await hostIn(world)
  const many: SetElement[] = Array.from({ length: 20_000 }, (_, i) => ({
    key: be16.encode(i + 1),
    comment: 'x'.repeat(100),
  }))
  const tx = new Transaction().addTable(table).addSet(table, { name: 's', type: 'inet_service' })
  t.equal(tx.createElements(table, 's', many).commit(nl), undefined)
  t.equal(listElements(nl, table, 's').length, many.length)
})

t.test('a masquerade and a value into a register are listed as nft has them', async t => {
  await using world = await lab()
  const { host, nl } = await hostIn(world)
  new Transaction()
    .addTable(table)
    .addChain(table, { name: 'post', hook: { type: 'nat', at: 'postrouting', priority: 100 } })
    .addChain(table, { name: 'pre', hook: { type: 'nat', at: 'prerouting', priority: -100 } })
    .addRule(table, 'post', { expressions: [masquerade] })
    .addRule(table, 'pre', {
      expressions: [
        meta('nfproto'),
        cmp('eq', u8.encode(2)),
        meta('l4proto'),
        cmp('eq', u8.encode(6)),
        immediate(ip('10.0.0.2'), 1),
        immediate(be16.encode(80), 2),
        dnat('ip', 1, 2),
      ],
    })
    .commit(nl)
  const text = await listed(host)
  t.match(text, /^\t\tmasquerade$/m)
  t.match(text, /^\t\tmeta nfproto ipv4 meta l4proto tcp dnat ip to 10\.0\.0\.2:80$/m)
})
