/** What src/nat puts into the kernel and takes out again, as rule sets: for one way of reaching a backend. */

import t, { type Test } from 'tap'
import type { Cidr } from '../../src/model/address/address.ts'
import type { NatIntent } from '../../src/model/network.ts'
import {
  addresses,
  intentOf,
  NatSite,
  neighbourIntent,
  publish,
  publishBoth,
  type Result,
  strangerIntent,
  type Variant,
} from './nat-site.ts'

type Call = [name: string, ...values: unknown[]]

/** Rules of others, in every table that we touch. */
const FOREIGN_NFT = `
  table inet other {
    map ports { type inet_service : ipv4_addr; elements = { 8080 : 10.9.9.9 } }
    chain forward { type filter hook forward priority 5; policy accept; ip saddr 10.9.0.0/16 counter comment "tsnet:not-ours"; }
    chain nat { type nat hook postrouting priority 90; ip saddr 10.9.0.0/16 masquerade; }
  }`
const FOREIGN_IPT = `*raw
-A PREROUTING -d 10.9.9.9/32 -m comment --comment "tsnet:ffff" -j DROP
COMMIT
*filter
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A DOCKER-USER -s 10.9.0.0/16 -m comment --comment "it's \\"theirs\\"" -j RETURN
-A FORWARD -o docker0 -j ACCEPT
COMMIT
*nat
-A PREROUTING -p tcp -m tcp --dport 8080 -j RETURN
-A POSTROUTING -s 10.9.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
`

async function addForeign(site: NatSite): Promise<void> {
  await site.host.run('nft', '-f', '-', { stdin: FOREIGN_NFT })
  for (const command of site.kinds.flatMap(kind => [`iptables-${kind}`, `ip6tables-${kind}`])) {
    const stdin = command.startsWith('ip6')
      ? FOREIGN_IPT.replace(/10\.9\.\d\.\d\/\d+/g, 'fd09::/64')
      : FOREIGN_IPT
    await site.host.run(`${command}-restore`, '--noflush', { stdin })
  }
}

const everything = intentOf({
  ports: [
    ...publishBoth(8080),
    publish(9000, { count: 100 }),
    publish(5000, { protocol: 'udp', containerPort: 6000, count: 4 }),
    publish(9899, { protocol: 'sctp', containerPort: 9899 }),
    publish(53, { protocol: 'udp', hostIp: addresses.lan[4] }),
    publish(53, { protocol: 'udp', hostIp: addresses.lan[6] }),
    publish(81, { hostIp: '127.0.0.1' }),
  ],
})

const intents: Record<string, NatIntent> = {
  everything,
  'masquerade only': intentOf(),
  'nothing but accepts': intentOf({ ipMasq: false, guardDirect: false }),
  'own addresses, guarded': intentOf({ ipMasq: false }),
  'IPv6 only': intentOf({ addresses: [`${addresses.web[6]}/64` as Cidr], ports: publishBoth(8080) }),
  'two addresses of a family, in networks of odd sizes': intentOf({
    addresses: ['10.1.0.2/23', '10.77.0.9/30', 'fd01::2/61', 'fd77::9/127'] as Cidr[],
    ports: publishBoth(8080),
  }),
}

const owner = (n: number): string => n.toString(16).padStart(16, '0')

/** What went wrong with calls, in words. */
const errorsOf = (results: readonly Result[]): string[] =>
  results.flatMap(({ error }) => error?.message ?? [])

/** An attachment of its own addresses and ports. */
const numbered = (n: number): NatIntent =>
  intentOf({
    owner: owner(n),
    addresses: [`10.1.1.${n}/24`, `fd01::1:${n.toString(16)}/64`] as Cidr[],
    ports: publishBoth(20000 + n),
  })

/** All at once, two in a process. */
async function installAtOnce(site: NatSite, intents: readonly NatIntent[]): Promise<void> {
  const calls = intents.map((intent): Call => ['install', site.variant.backend, intent])
  const pairs = Array.from({ length: Math.ceil(calls.length / 2) }, (_, i) => calls.slice(2 * i, 2 * i + 2))
  const results = await Promise.all(pairs.map(pair => site.together(...pair)))
  const [failure] = errorsOf(results.flat())
  if (failure !== undefined) throw new Error(failure)
}

export function rules(variant: Variant): void {
  t.setTimeout(600_000)
  const open = async (t: Test): Promise<NatSite> => {
    const site = await NatSite.open(variant)
    t.teardown(site.close)
    await site.primeTables()
    return site
  }
  // Each of those that share it leaves it as it was.
  let shared: Promise<NatSite> | undefined
  const share = (): Promise<NatSite> => {
    shared ??= open(t)
    return shared
  }

  t.test(`${variant.name}: what was installed goes, and nothing else changes`, async t => {
    const site = await open(t)
    await addForeign(site)
    const before = await site.rules()
    for (const [name, intent] of Object.entries(intents)) {
      for (const hint of [{ intent, last: true }, { last: true }]) {
        await t.test(
          `${name}, taken down ${hint.intent ? 'by its record' : 'with nothing but its tag'}`,
          async t => {
            const results = await site.all(
              ['install', variant.backend, intent],
              ['openLoopback', intent],
              ['verifyRules', variant.backend, intent],
              ['owners', variant.backend],
              ...[1, 2, 3].map((): Call => ['withdraw', variant.backend, intent.owner, hint]),
              ['owners', variant.backend],
            )
            t.strictSame(errorsOf(results), [])
            t.strictSame(results[2]?.value, [])
            t.strictSame(results[3]?.value, [intent.owner])
            t.strictSame(results[7]?.value, [])
            t.equal(await site.rules(), before)
          },
        )
      }
    }
    await t.test('what never was goes as well', async t => {
      const gone = await site.all(
        ['withdraw', variant.backend, owner(99), { last: true }],
        ['withdraw', variant.backend, owner(99), { intent: numbered(99), last: false }],
        ['withdraw', variant.backend, owner(99), { intent: everything, last: true }],
      )
      t.strictSame(errorsOf(gone), [])
      t.equal(await site.rules(), before)
    })
    await t.test(
      'one that is not the last takes only what is its own, though it is called the last',
      async t => {
        await site.install(neighbourIntent({ ports: publishBoth(7070) }))
        const alone = await site.rules()
        for (const hint of [
          { intent: everything, last: true },
          { last: true },
          { intent: everything, last: false },
        ]) {
          const results = await site.all(
            ['install', variant.backend, everything],
            ['withdraw', variant.backend, everything.owner, hint],
          )
          t.strictSame(errorsOf(results), [])
          t.equal(await site.rules(), alone)
        }
        await site.withdraw(neighbourIntent().owner)
        t.equal(await site.rules(), before)
      },
    )
    await t.test('nor what guards the ports of one who has no guard of its own', async t => {
      const bare = neighbourIntent({ guardDirect: false, ports: publishBoth(7070) })
      const install = (intent: NatIntent): Call => ['install', variant.backend, intent]
      const withdraw = (hint: object): Call => ['withdraw', variant.backend, intentOf().owner, hint]
      const after: Call[] = [
        ['verifyRules', variant.backend, bare],
        ['withdraw', variant.backend, bare.owner, { last: true }],
      ]
      for (const hint of [{ intent: intentOf(), last: true }, { last: true }]) {
        const results = await site.all(install(intentOf()), install(bare), withdraw(hint), ...after)
        t.strictSame(errorsOf(results), [])
        t.strictSame(results[3]?.value, [])
        t.equal(await site.rules(), before)
      }
      for (let round = 0; round < 5; round++) {
        await site.install(intentOf())
        const both = await site.together(install(bare), withdraw({ last: true }))
        const results = await site.all(...after)
        t.strictSame(errorsOf([...both, ...results]), [])
        t.strictSame(results[0]?.value, [], 'whoever comes first')
      }
      t.equal(await site.rules(), before)
    })
  })

  t.test(`${variant.name}: the document that is shown is what is installed`, async t => {
    const site = await share()
    const empty = await site.rules()
    const feed = async (text: string): Promise<void> => {
      for (const part of text.split(/(?=^# ip6?tables-restore)/m).filter(part => part.trim() !== '')) {
        const command = /^# (ip6?)tables-restore/.exec(part)?.[1]
        const kind = variant.name === 'iptables-legacy' ? 'legacy' : 'nft'
        const words =
          command === undefined
            ? ['nft', '-f', '-']
            : [`${command}tables-${kind}-restore`, '--noflush', '-w', '60']
        await site.host.run(...words, { stdin: part })
      }
    }
    for (const [name, intent] of Object.entries(intents)) {
      const [shown] = await site.all(['describeRules', variant.backend, intent])
      await feed(String(shown?.value))
      const fed = await site.rules()
      await site.all(
        ['withdraw', variant.backend, intent.owner, { last: true }],
        ['install', variant.backend, intent],
      )
      t.equal(await site.rules(), fed, name)
      await site.withdraw(intent.owner)
      t.equal(await site.rules(), empty)
    }
  })

  t.test(`${variant.name}: saved and restored, the rules are the same`, async t => {
    const site = await open(t)
    await site.install(everything)
    // Restored, tables and chains may stand in another order.
    const sorted = async () => (await site.rules()).split('\n').sort()
    const before = await sorted()
    const kind = variant.name.replace('iptables-', '')
    await site.host.run(
      'sh',
      '-euc',
      variant.backend === 'nftables'
        ? 'nft list ruleset >/run/saved; nft flush ruleset; nft -f /run/saved'
        : `for n in "" 6; do
             ip\${n}tables-${kind}-save >/run/saved; ip\${n}tables-${kind}-restore </run/saved
           done`,
    )
    const added = (await sorted()).filter(line => !before.includes(line))
    t.strictSame(
      added.filter(line => !/chain (INPUT|OUTPUT)|hook (input|output)/.test(line)),
      [],
    )
    await site.all(['openLoopback', everything])
    t.strictSame(await site.call('verifyRules', variant.backend, everything), [])
  })

  t.test(`${variant.name}: twenty at once, in ten processes, make the shared parts once`, async t => {
    const site = await share()
    const before = await site.rules()
    const all = Array.from({ length: 20 }, (_, i) => numbered(i + 1))
    const jumps = async () =>
      ((await site.rules()).match(/^-A (PREROUTING|OUTPUT|POSTROUTING|FORWARD) /gm) ?? []).length
    await installAtOnce(site, all)
    for (const result of await site.all(
      ...all.map((intent): Call => ['verifyRules', variant.backend, intent]),
    )) {
      t.strictSame(result.value, [])
    }
    const expected = await jumps()
    t.equal(expected, variant.backend === 'iptables' ? 12 : 0)

    await t.test('and repair them once, when somebody has flushed them', async t => {
      if (variant.backend !== 'iptables') return
      const kind = variant.name.slice(9)
      await site.host.run(
        'sh',
        '-c',
        `for t in raw mangle filter nat; do for c in PREROUTING OUTPUT POSTROUTING FORWARD; do iptables-${kind} -t $t -F $c; done; done 2>/dev/null; true`,
      )
      t.match(
        await site.call('verifyRules', variant.backend, all[0]),
        [/lacks -A PREROUTING/],
        'the loss is named',
      )
      const more = Array.from({ length: 8 }, (_, i) => numbered(i + 31))
      await installAtOnce(site, more)
      t.equal(await jumps(), expected)
      const gone = await site.all(
        ...more.map(({ owner }): Call => ['withdraw', variant.backend, owner, { last: false }]),
      )
      t.strictSame(errorsOf(gone), [])
    })
    await t.test('and remove them at once, by record or not', async t => {
      const removal = (intent: NatIntent, i: number): Call => [
        'withdraw',
        variant.backend,
        intent.owner,
        { last: true, ...(i % 2 === 0 && { intent }) },
      ]
      const removals = all.map(removal)
      const gone = [0, 4, 8, 12, 16].map(from => site.all(...removals.slice(from, from + 4)))
      t.strictSame(errorsOf((await Promise.all(gone)).flat()), [])
      // Each may have seen the others still there.
      await site.withdraw(owner(1))
      t.equal(await site.rules(), before)
    })
    await t.test('while others come and go', async t => {
      const rounds = (intent: NatIntent): Call[] =>
        [1, 2, 3].flatMap((): Call[] => [
          ['install', variant.backend, intent],
          ['verifyRules', variant.backend, intent],
          ['withdraw', variant.backend, intent.owner, { last: true, intent }],
        ])
      const results = await Promise.all(all.slice(0, 5).map(intent => site.all(...rounds(intent))))
      t.strictSame(errorsOf(results.flat()), [])
      t.strictSame(
        results.flat().flatMap(({ value }) => value ?? []),
        [],
      )
      await site.withdraw(owner(1))
      t.equal(await site.rules(), before)
    })
  })

  t.test(`${variant.name}: ports go over from one owner to another, and nothing else of either`, async t => {
    const site = await share()
    const before = await site.rules()
    const ports = [...publishBoth(8080), publish(9000, { count: 3 })]
    const first = intentOf({ ports })
    const next = strangerIntent({ ports })
    // With iptables, rules for one port stand behind each other.
    const waits = variant.backend === 'nftables'
    await site.install({ ...next, held: [] })
    await site.call('handOver', variant.backend, undefined, [{ ...next, held: ports }])
    t.strictSame(await site.call('verifyRules', variant.backend, next), [], 'from nobody')
    await site.withdraw(next.owner, { last: false })
    const verify = (intent: NatIntent) => site.call('verifyRules', variant.backend, intent)
    await site.install(first)
    await site.install(waits ? { ...next, held: [] } : next)
    t.strictSame(await verify(first), [])
    const handOver = () =>
      site.call('handOver', variant.backend, first.owner, waits ? [{ ...next, held: ports }] : [])
    for (const round of ['once', 'again']) {
      await handOver()
      t.strictSame(await verify(next), [], round)
      t.strictSame(await verify({ ...first, held: [] }), [], round)
    }
    await site.withdraw(first.owner, { last: false })
    t.strictSame(await verify(next), [])
    await site.withdraw(next.owner, { last: true, intent: next })
    t.equal(await site.rules(), before)
  })

  t.test(`${variant.name}: a mapping that cannot be changes nothing`, async t => {
    const site = await share()
    await site.install(strangerIntent())
    const before = await site.rules()
    const bad: [NatIntent, string][] = [
      [intentOf({ ports: [publish(80, { hostIp: '::1' })] }), 'unsupported-field'],
      [intentOf({ ports: [publish(65535, { count: 2 })] }), 'invalid-config'],
      [intentOf({ bridge: 'br1+' }), 'invalid-config'],
    ]
    for (const [intent, code] of bad) await t.rejects(site.install(intent), { code })
    t.equal(await site.rules(), before)
    await site.withdraw(strangerIntent().owner)
  })
}
