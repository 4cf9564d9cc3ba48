/** What follows from a listing, tried on a model of iptables: from any state, to the one that is wanted. */

import fc from 'fast-check'
import t from 'tap'
import type { Cidr } from '../../../src/model/address/address.ts'
import type { NatIntent } from '../../../src/model/network.ts'
import { flatRule, intoBuckets } from '../../../src/nat/iptables/buckets.ts'
import {
  freshFile,
  removalFile,
  steadyFile,
  type Table,
  tablesOf,
  withPolicy,
} from '../../../src/nat/iptables/document.ts'
import {
  asTheyStand,
  completion,
  excessRules,
  loopbackBridges,
  missingRules,
  oneLess,
  ownersIn,
  readListing,
  removal,
  repeatedJumps,
} from '../../../src/nat/iptables/listing.ts'
import { planRules } from '../../../src/nat/rules.ts'
import { IptModel } from '../../support/ipt-model.ts'

const intents: NatIntent[] = [
  {
    ipMasq: true,
    guardDirect: true,
    ports: [{ protocol: 'tcp', hostPort: 80, containerPort: 80, count: 1 }],
  },
  { ipMasq: true, guardDirect: false, ports: [] },
  {
    ipMasq: false,
    guardDirect: true,
    ports: [{ protocol: 'udp', hostPort: 53, containerPort: 5353, count: 9 }],
  },
].map((rest, i) => ({
  owner: `000000000000000${i}`,
  bridge: 'br0',
  addresses: [`10.1.0.${i + 2}/24` as Cidr],
  ...(rest as Pick<NatIntent, 'ipMasq' | 'guardDirect' | 'ports'>),
}))

function tablesFor(intent: NatIntent): Table[] {
  const rules = planRules(intent)
  return rules.families.flatMap(part => tablesOf(rules, part))
}

const flat = intents.map(tablesFor)
/** As the legacy variant has them, and as the nft variant. */
const layouts = {
  'in our chains': flat,
  'in buckets': intents.map((intent, i) => intoBuckets(flat[i] ?? [], intent.owner)),
}
const FOREIGN = `*filter
-A FORWARD -s 10.9.0.0/16 -m comment --comment "tsnet" -j ACCEPT
COMMIT
*nat
-A PREROUTING -p tcp -m tcp --dport 80 -j RETURN
COMMIT
`

const listing = (model: IptModel) => readListing(model.save())
const ownRules = (table: Table[]): string[] =>
  table.flatMap(({ name, rules }) => rules.map(rule => `${name} ${rule}`))

/** A table's jumps and what is shared in its chains. */
const shared = (table: Table[]): string[] =>
  table.flatMap(({ name, chains }) =>
    chains.flatMap(({ jumps, rules }) => [...jumps, ...rules].map(rule => `${name} ${rule}`)),
  )

/** Something that happens to the rules before we look. */
const mishap = fc.oneof(
  fc.record({ kind: fc.constant('install' as const), who: fc.nat(2) }),
  // Only some tables of an attachment were changed before its maker died.
  fc.record({ kind: fc.constant('half' as const), who: fc.nat(2), count: fc.nat(3) }),
  fc.record({
    kind: fc.constant('flush' as const),
    chain: fc.constantFrom(
      'raw PREROUTING',
      'filter FORWARD',
      'nat OUTPUT',
      'nat POSTROUTING',
      'nat TSNET-DNAT',
      'nat TSNET-DNAT-50',
      'raw TSNET-RAW',
    ),
  }),
  // Two repaired the same loss.
  fc.record({
    kind: fc.constant('twice' as const),
    rule: fc.constantFrom('filter FORWARD -j TSNET-FORWARD', 'raw PREROUTING -j TSNET-RAW'),
  }),
)

const anyLayout = fc.constantFrom(...(Object.keys(layouts) as (keyof typeof layouts)[]))

function install(model: IptModel, who: number, part: Table[]): void {
  const owner = intents[who]?.owner ?? ''
  if (model.restore(steadyFile(part))) return
  model.restore(completion(part, listing(model), owner))
}

type Mishap = typeof mishap extends fc.Arbitrary<infer T> ? T : never

function happen(model: IptModel, event: Mishap, tables: Table[][]): void {
  if (event.kind === 'flush') {
    const [table = '', chain = ''] = event.chain.split(' ')
    if (model.chains().includes(event.chain)) model.flush(table, chain)
  } else if (event.kind === 'twice') {
    const [table = '', ...rule] = event.rule.split(' ')
    model.restore(`*${table}\n-A ${rule.join(' ')}\nCOMMIT\n`)
  } else {
    const owner = intents[event.who]?.owner ?? ''
    if (ownersIn(listing(model)).includes(owner)) return
    install(model, event.who, (tables[event.who] ?? []).slice(0, event.kind === 'half' ? event.count : 9))
  }
}

t.test(
  'whatever happened before, an attachment is completed with its rules once and every jump once',
  async t => {
    fc.assert(
      fc.property(fc.array(mishap, { maxLength: 8 }), fc.nat(2), anyLayout, (events, who, layout) => {
        const tables = layouts[layout]
        const model = new IptModel()
        model.restore(FOREIGN)
        for (const event of events) happen(model, event, tables)
        const others = model.rules().filter(rule => !rule.includes('TSNET'))
        const wanted = tables[who] ?? []
        const owner = intents[who]?.owner ?? ''
        // Rules that were flushed from under an owner are another matter: it has some, so none are added.
        const had = new Set(model.rules())
        const whole = wanted.every(
          ({ name, rules }) =>
            !rules.some(rule => had.has(`${name} ${rule}`)) ||
            rules.every(rule => had.has(`${name} ${rule}`)),
        )
        const file = completion(wanted, listing(model), owner)
        if (!model.restore(file)) throw new Error(`refused:\n${file}\nby\n${model.save()}`)
        for (const repeated of repeatedJumps(wanted, listing(model))) {
          while (model.restore(oneLess(repeated)));
        }
        const now = model.rules()
        for (const rule of [...shared(wanted), ...(whole ? ownRules(wanted) : [])]) {
          const count = now.filter(other => other === rule).length
          if (count !== 1) throw new Error(`${count} times: ${rule}\n${model.save()}`)
        }
        if (whole && missingRules(wanted, listing(model)).length > 0) throw new Error('missing')
        if (whole && excessRules(wanted, listing(model), owner).length > 0) throw new Error('excess')
        if (now.filter(rule => !rule.includes('TSNET')).join() !== others.join())
          throw new Error('others changed')
        if (completion(wanted, listing(model), owner).includes('-A')) throw new Error('not complete yet')
      }),
      { numRuns: 300 },
    )
    t.pass()
  },
)

t.test(
  'whatever happened before, an owner goes with all it has, and what is shared goes with the last',
  async t => {
    fc.assert(
      fc.property(
        // Earlier builds had no buckets.
        fc.array(fc.tuple(mishap, anyLayout), { maxLength: 8 }),
        fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
        (events, order) => {
          const model = new IptModel()
          model.restore(FOREIGN)
          const chainsBefore = model.chains()
          for (const [event, layout] of events) happen(model, event, layouts[layout])
          const before = model.rules().filter(rule => !rule.includes('TSNET'))
          for (const who of order) {
            const owner = intents[who]?.owner ?? ''
            const others = model
              .rules()
              .filter(rule => !rule.includes(`tsnet:${owner}`) && rule.includes('"tsnet:'))
            const file = removal(4, listing(model), owner, true)
            if (!model.restore(file)) throw new Error(`refused:\n${file}\nby\n${model.save()}`)
            const now = model.rules()
            if (now.some(rule => rule.includes(owner))) throw new Error(`left of ${owner}:\n${model.save()}`)
            if (others.some(rule => !now.includes(rule))) throw new Error('others changed')
            if (removal(4, listing(model), owner, true) !== '') throw new Error('not idempotent')
          }
          if (model.rules().join() !== before.join()) throw new Error(`left at the end:\n${model.save()}`)
          if (model.chains().join() !== chainsBefore.join())
            throw new Error(`left at the end:\n${model.save()}`)
        },
      ),
      { numRuns: 300 },
    )
    t.pass()
  },
)

t.test(
  'a rule is looked for where it stands, in a bucket or not, and missed where it stands nowhere',
  async t => {
    fc.assert(
      fc.property(fc.nat(2), fc.infiniteStream(fc.boolean()), fc.boolean(), (who, coins, inBuckets) => {
        const [tables, owner] = [flat[who] ?? [], intents[who]?.owner ?? '']
        const model = new IptModel()
        // An earlier build's, of which some were put back since.
        const mixed = tables.map(table => {
          const parts = [true, false].map(isFlat => ({ isFlat, rules: [] as string[] }))
          for (const rule of table.rules) parts[coins.next().value ? 0 : 1]?.rules.push(rule)
          const [own, others] = parts.map(({ rules }) => ({ ...table, rules }))
          const [bucketed = table] = intoBuckets([others ?? table], owner)
          return { ...bucketed, rules: [...(own?.rules ?? []), ...bucketed.rules] }
        })
        if (!model.restore(freshFile(mixed))) throw new Error(freshFile(mixed))
        const seen = () => asTheyStand(tables, listing(model), owner, inBuckets)
        if (missingRules(seen(), listing(model)).length > 0) throw new Error('nothing is missing')
        if (excessRules(seen(), listing(model), owner).length > 0) throw new Error('nothing is too much')
        const gone = mixed.flatMap(({ name, rules }) => rules.slice(0, 1).map(rule => ({ name, rule })))[0]
        if (gone === undefined) return
        model.restore(`*${gone.name}\n-D ${gone.rule}\nCOMMIT\n`)
        const missing = missingRules(seen(), listing(model)).map(({ rule }) => flatRule(rule))
        if (!missing.includes(flatRule(gone.rule))) throw new Error(`${gone.rule} is missing`)
      }),
      { numRuns: 200 },
    )
    t.pass()
  },
)

t.test('the text that adds rules removes them, and only where all are there', async t => {
  const [first = [], second = []] = flat
  const model = new IptModel()
  t.ok(model.restore(freshFile(first)))
  t.notOk(model.restore(freshFile(second)), 'the chains are there already')
  t.notOk(model.restore(removalFile(second)))
  t.ok(model.restore(removalFile(first)))
  t.notOk(model.restore(removalFile(first)))
  t.strictSame(ownersIn(listing(model)), [])
})

t.test("FORWARD's policy changes in the transaction of the rules", async t => {
  const [first = []] = flat
  const filter = (file: string) => /^\*filter\n[\s\S]*?^COMMIT$/m.exec(file)?.[0] ?? ''
  const closed = withPolicy(first, 'DROP')
  for (const file of [freshFile(closed), steadyFile(closed)]) t.match(filter(file), /^-P FORWARD DROP$/m)
  t.match(filter(freshFile(withPolicy([], 'DROP'))), /^-P FORWARD DROP$/m, 'also without rules there')
  t.notMatch(freshFile(first), /-P /)
})

t.test('policies, foreign rules and loopback bridges are read from what iptables-save prints', async t => {
  const seen = readListing(`# Generated by iptables-save v1.8.9
*filter
:FORWARD DROP [12:3456]
:DOCKER - [0:0]
:TSNET-FORWARD - [0:0]
-A FORWARD -j DOCKER
-A FORWARD -j TSNET-FORWARD
COMMIT
*nat
:TSNET-POSTROUTING - [0:0]
-A TSNET-POSTROUTING -s 127.0.0.0/8 -d 10.1.0.2/32 -o br-1.x -m conntrack --ctstate DNAT -m comment --comment "tsnet:0123456789abcdef" -j MASQUERADE
-A TSNET-POSTROUTING -s 10.1.0.0/24 -d 10.1.0.2/32 -o br2 -m comment --comment tsnet:fedcba9876543210 -j MASQUERADE
COMMIT
`)
  t.equal(seen.policies.get('filter FORWARD'), 'DROP')
  t.strictSame(seen.foreignForward, ['FORWARD -j DOCKER'])
  t.strictSame([...loopbackBridges(seen)], ['br-1.x'])
  t.strictSame(ownersIn(seen), ['0123456789abcdef', 'fedcba9876543210'])
})

t.test('no text is taken for a listing of ours by accident', async t => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc
          .array(fc.constantFrom('*nat', ':TSNET-X', '-A', '-A x', '-A TSNET- -j', ':'))
          .map(a => a.join('\n')),
      ),
      text => {
        const seen = readListing(text)
        for (const unused of [true, false]) removal(4, seen, '0123456789abcdef', unused)
        completion(flat[0] ?? [], seen, '0000000000000000')
      },
    ),
    { numRuns: 500 },
  )
  t.pass()
})
