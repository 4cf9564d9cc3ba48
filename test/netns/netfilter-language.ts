/** Our reading of nft's language, beside nft's own: the kernel holds the same. */

import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { type Host, lab } from 'tsnet/lab'
import { transactionOf } from '../../src/netfilter/commands.ts'
import { listElements, listRules } from '../../src/netfilter/list.ts'
import { netfilterHere } from '../../src/netfilter/netfilter.ts'
import { denied } from '../../src/netfilter/refusal.ts'
import { Transaction } from '../../src/netfilter/transaction.ts'
import type { Netlink } from '../../src/netlink/netlink.ts'

t.setTimeout(600_000)

const listed = async (host: Host, ...options: string[]): Promise<string> => {
  const { stdout } = await host.run('nft', ...options, 'list', 'ruleset')
  return stdout.replace(/"handle": \d+/g, '"handle": 0')
}

function run(nl: Netlink, commands: readonly string[]): void {
  const denial = transactionOf(commands).commit(nl)
  if (denial !== undefined) throw denied('a document', denial)
}

t.test('every page of the golden files makes what nft makes of it', async t => {
  await using world = await lab()
  const host = await world.host('host')
  const nl = host.inside(netfilterHere)
  for (const page of readdirSync('test/golden/nat').filter(name => name.endsWith('.nft'))) {
    const text = readFileSync(`test/golden/nat/${page}`, 'utf8')
    // Elements are values, not text.
    const lines = text.split('\n').filter(line => !line.startsWith('create element'))
    run(nl, lines)
    const [ours, json] = [await listed(host), await listed(host, '-j')]
    await host.run('nft', 'flush', 'ruleset')
    await host.run('nft', '-f', '-', { stdin: lines.join('\n') })
    t.equal(ours, await listed(host), page)
    t.strictSame(JSON.parse(json), JSON.parse(await listed(host, '-j')), `${page} as JSON`)
    await host.run('nft', 'flush', 'ruleset')
  }
})

const v4 = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)).map(parts => parts.join('.'))
const v6 = fc
  .tuple(fc.nat(0xffff), fc.nat(0xffff))
  .map(([a, b]) => `2001:db8:${a.toString(16)}::${b.toString(16)}`)
const not = fc.constantFrom('', '!= ')
const port = fc.integer({ min: 1, max: 65535 })
/** Prefixes are written with the bits behind them, which nft takes away. */
const prefix4 = fc.tuple(v4, fc.integer({ min: 1, max: 32 })).map(([ip, length]) => `${ip}/${length}`)
const prefix6 = fc.tuple(v6, fc.integer({ min: 1, max: 128 })).map(([ip, length]) => `${ip}/${length}`)
const either = fc.constantFrom('saddr', 'daddr')
const transport = fc.constantFrom('tcp', 'udp', 'sctp')

const matches = (family: string): fc.Arbitrary<string> => {
  const of4 = [
    fc.tuple(either, not, fc.oneof(v4, prefix4)).map(([which, not, ip]) => `ip ${which} ${not}${ip}`),
    fc
      .tuple(either, not, fc.uniqueArray(v4, { minLength: 1, maxLength: 4 }))
      .map(([which, not, ips]) => `ip ${which} ${not}{ ${ips.join(', ')} }`),
    fc.tuple(not, v4).map(([not, ip]) => `rt ip nexthop ${not}${ip}`),
    fc.tuple(either, not).map(([which, not]) => `ip ${which} . oifname ${not}@home4`),
  ]
  const of6 = [
    fc.tuple(either, not, fc.oneof(v6, prefix6)).map(([which, not, ip]) => `ip6 ${which} ${not}${ip}`),
    fc.tuple(not, v6).map(([not, ip]) => `rt ip6 nexthop ${not}${ip}`),
    fc.tuple(either, not).map(([which, not]) => `ip6 ${which} ${not}{ ::1, fe80::/10 }`),
  ]
  const any = [
    fc
      .tuple(transport, fc.constantFrom('sport', 'dport'), not, port)
      .map(words => words.join(' ').replace('  ', ' ')),
    fc.tuple(fc.constantFrom('iifname', 'oifname'), not).map(([name, not]) => `${name} ${not}"br0"`),
    fc.constantFrom(
      'ct state invalid',
      'ct state != { established, related }',
      'ct status dnat',
      'ct direction reply',
      'fib daddr type local',
      'fib daddr type != local',
      'meta l4proto { tcp, sctp }',
      'counter',
      'add @seen { meta l4proto . th sport timeout 60s }',
      'update @seen { meta l4proto . th dport timeout 7200s }',
      'update @seen { meta l4proto . th dport }',
      'update @seen { meta l4proto . th dport timeout 60s counter }',
      'counter name meta l4proto map @counted',
    ),
    port.map(mark => `meta mark ${mark}`),
    port.map(bits => `meta mark set meta mark | ${bits}`),
  ]
  const own = family === 'ip6' ? of6 : family === 'ip' ? of4 : family === 'inet' ? [...of4, ...of6] : []
  return fc.oneof(...own, ...any)
}

const verdicts = fc.constantFrom('accept', 'drop', 'return', 'jump other', 'goto other')

/** A table with a chain `rules` to fill, and what rules refer to. */
const scaffold = (family: string): string[] => [
  `add table ${family} t`,
  ...(family === 'ip6' ? [] : [`add set ${family} t home4 { type ipv4_addr . ifname; }`]),
  `add chain ${family} t other`,
  `add chain ${family} t rules`,
]

/** A set that grows as packets come: commands of ours make none. */
const SEEN = {
  name: 'seen',
  type: 'inet_proto . inet_service',
  size: 100,
  isDynamic: true,
  hasTimeouts: true,
}
/** One of counters. */
const COUNTED = { name: 'counted', type: 'inet_proto', data: 'counter', hasTimeouts: true }
const filledOf = (family: string): string[] => [
  `add set ${family} t seen { type ${SEEN.type}; size 100; flags dynamic, timeout; }`,
  `add map ${family} t counted { type ${COUNTED.type} : counter; flags timeout; }`,
]

/** The rules of the chain, with the elements of their own sets in place of the sets' names. */
function picture(nl: Netlink, family: 'ip' | 'ip6' | 'inet'): unknown[] {
  const table = { family, name: 't' }
  return listRules(nl, { table, chain: 'rules' }).map(({ expressions, comment }) => ({
    comment,
    expressions: expressions.map(expression => {
      const { set } = expression.lookup ?? {}
      if (!set?.startsWith('__set')) return expression
      const elements = listElements(nl, table, set).map(
        ({ key, isEnd }) => `${Buffer.from(key).toString('hex')} ${isEnd}`,
      )
      return { ...expression, lookup: { ...expression.lookup, set: elements.sort() } }
    }),
  }))
}

for (const family of ['ip', 'ip6', 'inet'] as const) {
  t.test(`rules of any words in a table of ${family} are the same expressions as nft's`, async t => {
    await using world = await lab()
    const host = await world.host('host')
    const nl = host.inside(netfilterHere)
    // A rule is of one IP family and of one transport.
    const isSound = (words: string[]) => {
      const text = words.join(' ')
      const several = (list: string[]) => list.filter(word => new RegExp(`\\b${word} `).test(text)).length > 1
      // nft compares both ports at once, before 1.1 wrongly so where neither may be.
      const merged = (text.match(/ [sd]port /g) ?? []).length > 1
      return !several(['ip', 'ip6']) && !several(['tcp', 'udp', 'sctp', 'meta l4proto']) && !merged
    }
    const rule = fc
      .tuple(fc.uniqueArray(matches(family), { maxLength: 4 }).filter(isSound), verdicts)
      .map(([words, verdict]) => `add rule ${family} t rules ${[...words, verdict].join(' ')} comment "x y"`)
    const rules = fc.sample(rule, 150)
    const table = { family, name: 't' } as const
    t.equal(
      new Transaction().addTable(table).addSet(table, SEEN).addSet(table, COUNTED).commit(nl),
      undefined,
    )
    run(nl, [...scaffold(family), ...rules])
    const ours = picture(nl, family)
    new Transaction().deleteTable({ family, name: 't' }).commit(nl)
    const [first = '', ...more] = scaffold(family)
    await host.run('nft', '-f', '-', { stdin: [first, ...filledOf(family), ...more, ...rules].join('\n') })
    const theirs = picture(nl, family)
    t.equal(theirs.length, rules.length)
    for (const [i, rule] of rules.entries()) t.strictSame(ours[i], theirs[i], rule)
  })
}
