/** The nftables backend where something is in its way: little room, no permission, others who change the same. */

import fc from 'fast-check'
import t from 'tap'
import type { Cidr } from '../../src/model/address/address.ts'
import * as k from '../../src/netfilter/constants.ts'
import { netfilterHere } from '../../src/netfilter/netfilter.ts'
import {
  chainMessage,
  elementsMessage,
  ruleMessage,
  setMessage,
  tableMessage,
} from '../../src/netfilter/tables.ts'
import type { Netlink } from '../../src/netlink/netlink.ts'
import {
  type Call,
  intentOf,
  NatSite,
  neighbourIntent,
  nftables,
  publish,
  publishBoth,
  type Result,
} from '../support/nat-site.ts'

t.setTimeout(600_000)

const CALLS = new URL('../support/nat-call.js', import.meta.url).pathname

/** Runs operations in a user namespace of its own, whose root has no say about the machine's limits. */
async function asGuest(site: NatSite, ...calls: unknown[][]): Promise<Result[]> {
  const { stdout } = await site.host.run(
    'unshare',
    '--user',
    '--map-root-user',
    '--net',
    process.execPath,
    CALLS,
    {
      stdin: JSON.stringify(calls),
    },
  )
  return JSON.parse(stdout) as Result[]
}

t.test('in a user namespace thousands of ports are published at once, or not at all', async t => {
  const site = await NatSite.open(nftables)
  t.teardown(site.close)
  const many = intentOf({ ports: [publish(20_000, { count: 4000 })] })
  const late = neighbourIntent({ ports: [publish(23_999, { count: 1 })] })
  const [installed, verified, withdrawn, owners] = await asGuest(
    site,
    ['install', 'nftables', many],
    ['verifyRules', 'nftables', many],
    ['withdraw', 'nftables', many.owner, { intent: many, last: false }],
    ['owners', 'nftables'],
  )
  t.strictSame([installed?.error, withdrawn?.error], [undefined, undefined])
  t.strictSame(verified?.value, [])
  t.strictSame(owners?.value, [])
  const [, refused, left, unheard, rest] = await asGuest(
    site,
    ['install', 'nftables', late],
    ['install', 'nftables', many],
    ['owners', 'nftables'],
    ['withdraw', 'nftables', late.owner, { last: true }],
    ['owners', 'nftables'],
  )
  t.match(refused?.error, { code: 'conflict', message: /host port tcp \. 23999 has rules of/ })
  t.strictSame(left?.value, [late.owner], 'what was done by then is taken back')
  t.equal(unheard?.error, undefined)
  t.strictSame(rest?.value, [])
})

t.test('without permission the error says so, and nothing is there', async t => {
  const site = await NatSite.open(nftables)
  t.teardown(site.close)
  const before = await site.rules()
  const { stdout } = await site.host.run(
    'setpriv',
    '--reuid=65534',
    '--clear-groups',
    '--bounding-set=-all',
    '--inh-caps=-all',
    process.execPath,
    CALLS,
    { stdin: JSON.stringify([['install', 'nftables', intentOf()]]) },
  )
  const [refused] = JSON.parse(stdout) as Result[]
  t.match(refused?.error?.message, /Operation not permitted \(EPERM\)/)
  t.equal(await site.rules(), before)
})

t.test('a table that somebody deletes at any moment is made again, and no call is stuck', async t => {
  const site = await NatSite.open(nftables)
  t.teardown(site.close)
  const before = await site.rules()
  const vandal = site.host.start('sh', '-c', 'while :; do nft delete table inet tsnet 2>/dev/null; done')
  const intent = intentOf({ ports: publishBoth(8080) })
  const results = await site.all(
    ...Array.from({ length: 40 }, () => [
      ['install', 'nftables', intent] as const,
      ['withdraw', 'nftables', intent.owner, { intent, last: false }] as const,
    ]).flat(),
  )
  await vandal.stop('SIGKILL')
  t.strictSame(
    results.flatMap(({ error }) => error ?? []),
    [],
  )
  await site.all(['withdraw', 'nftables', intent.owner, { last: true }])
  t.equal(await site.rules(), before)
  await site.install(intent)
  await site.host.run('nft', 'delete', 'table', 'inet', 'tsnet')
  t.match(await site.call('verifyRules', 'nftables', intent), [/ports4? lacks|lacks/])
  await site.withdraw(intent.owner, { intent, last: true })
  t.equal(await site.rules(), before)
})

t.test('what the kernel would refuse is not asked of it: for a refusal it waits 15 ms and more', async t => {
  const site = await NatSite.open(nftables)
  t.teardown(site.close)
  await site.forwarding('0')
  const before = await site.rules()
  const intent = intentOf({ ports: publishBoth(8080) })
  const neighbour = neighbourIntent({ ports: [publish(9000, { count: 20 })] })
  const { owner } = intent
  const quietly = async (...calls: Call[]) => {
    const results = await site.all(...calls)
    for (const [i, { error, refused }] of results.entries())
      t.strictSame([error, refused], [undefined, 0], calls[i]?.[0] ?? '')
    return results
  }
  await quietly(
    ['withdraw', 'nftables', owner, { last: true }],
    ['withdrawSpoofGuard', 'nftables', owner],
    ['withdrawMacGuard', { containerId: 'web', ifname: 'eth0' }],
    ['removeUnusedNft'],
  )
  t.equal(await site.rules(), before, 'nobody has anything')
  const [, change] = await quietly(
    ['install', 'nftables', intent, { first: true }],
    ['openForwarding', 'nftables', [4, 6]],
    ['install', 'nftables', neighbour, { first: false }],
    ['withdraw', 'nftables', owner, { intent, last: false }],
    ['withdraw', 'nftables', owner, { last: false }],
    ['install', 'nftables', intent, { first: false }],
  )
  await quietly(
    ['withdraw', 'nftables', owner, { intent, last: false }],
    ['withdraw', 'nftables', neighbour.owner, { intent: neighbour, last: true, changes: [change?.value] }],
  )
  t.equal(await site.rules(), before)
  const [install] = await site.all(['install', 'nftables', intent, { first: false }])
  t.strictSame([install?.error, install?.refused], [undefined, 1], 'the table is gone, for all that is known')
  await site.withdraw(owner, { intent, last: true })
  t.equal(await site.rules(), before)
})

/** Everything that the kernel says of tables that are not ours, to the byte. */
function foreign(nl: Netlink): string[] {
  const dump = (type: number, payload: Uint8Array) =>
    nl.dump({ equivalent: 'nft list ruleset', type, payload: [payload] }).map(message => message.payload)
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
  const isOurs = (name: string | undefined) => name === 'tsnet'
  const sets = dump(k.NFT_MSG_GETSET, setMessage.encode({ header: {}, attributes: {} }))
  return [
    ...dump(k.NFT_MSG_GETTABLE, tableMessage.encode({ header: {}, attributes: {} })).filter(
      bytes => !isOurs(tableMessage.decode(bytes).attributes.name),
    ),
    ...dump(k.NFT_MSG_GETCHAIN, chainMessage.encode({ header: {}, attributes: {} })).filter(
      bytes => !isOurs(chainMessage.decode(bytes).attributes.table),
    ),
    ...dump(k.NFT_MSG_GETRULE, ruleMessage.encode({ header: {}, attributes: {} })).filter(
      bytes => !isOurs(ruleMessage.decode(bytes).attributes.table),
    ),
    ...sets.filter(bytes => !isOurs(setMessage.decode(bytes).attributes.table)),
    ...sets.flatMap(bytes => {
      const { header, attributes } = setMessage.decode(bytes)
      if (isOurs(attributes.table)) return []
      const { table, name } = attributes
      return dump(k.NFT_MSG_GETSETELEM, elementsMessage.encode({ header, attributes: { table, set: name } }))
    }),
  ].map(bytes => hex(generationless(bytes)))
}

/** Without the resource, which is the lower half of the rule set's generation. */
const generationless = (bytes: Uint8Array): Uint8Array => {
  const copy = bytes.slice()
  copy.fill(0, 2, 4)
  return copy
}

const name = fc.stringMatching(/^[a-z][a-z0-9_]{2,12}$/).map(text => `x_${text}`)
const port = fc.integer({ min: 1, max: 65535 })
const statement = fc.oneof(
  port.map(port => `tcp dport ${port} accept`),
  port.map(port => `udp sport { ${port}, 53 } counter drop`),
  fc.nat(255).map(n => `ip saddr 10.${n}.0.0/16 return`),
  fc.nat(0xffff).map(n => `ip6 daddr 2001:db8:${n.toString(16)}::/48 drop`),
  fc.constantFrom(
    'ct state vmap { established : accept, invalid : drop }',
    'limit rate 5/second accept',
    'iifname "eth*" accept',
    'tcp flags & (fin | syn) == syn accept',
    'log prefix "tsnet:0123456789abcdef" accept',
    'meta l4proto icmp icmp type echo-request accept comment "tsnet:00000000000000a1"',
  ),
)
const table = fc.record({
  family: fc.constantFrom('inet', 'ip', 'bridge', 'inet'),
  name,
  priority: fc.integer({ min: -400, max: 400 }),
  hook: fc.constantFrom('prerouting', 'forward', 'postrouting', 'input'),
  rules: fc.array(statement, { maxLength: 6 }),
  ports: fc.uniqueArray(port, { maxLength: 5 }),
})

t.test('tables of others are the same to the byte, whatever they hold', async t => {
  const site = await NatSite.open(nftables)
  t.teardown(site.close)
  const nl = site.host.inside(netfilterHere)
  for (const tables of fc.sample(fc.uniqueArray(table, { maxLength: 5, selector: ({ name }) => name }), 8)) {
    for (const { family, name, priority, hook, rules, ports } of tables) {
      const mine = rules.filter(rule =>
        family === 'bridge'
          ? !/^(ip6?|ct) /.test(rule)
          : !/^ip6? /.test(rule) || family === 'inet' || rule.startsWith(`${family} `),
      )
      const text = `table ${family} ${name} {
        set some { type inet_service; ${ports.length > 0 ? `elements = { ${ports.join(', ')} }` : ''} }
        map owners { type mark . mark : verdict; }
        chain in_use { ${mine.join('; ')}${mine.length > 0 ? ';' : ''} }
        chain publish { type filter hook ${hook} priority ${priority}; policy accept; jump in_use; }
      }`
      await site.host.run('nft', '-f', '-', { stdin: text })
    }
    const before = foreign(nl)
    const intents = [
      intentOf({ ports: publishBoth(8080), addresses: ['10.1.0.2/24', 'fd01::2/64'] as Cidr[] }),
      neighbourIntent({ ports: [publish(9000, { count: 20 })] }),
    ]
    for (const intent of intents) await site.install(intent)
    t.strictSame(foreign(nl), before)
    for (const { owner } of intents) await site.withdraw(owner)
    t.strictSame(foreign(nl), before)
    await site.host.run('nft', 'flush', 'ruleset')
  }
})
