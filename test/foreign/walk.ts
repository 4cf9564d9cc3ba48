/** What can become of a packet on its way through chains, as plain values. */

import t from 'tap'
import { inward, type Peer, type PublishedPort } from '../../src/foreign/journey.ts'
import { findObstacle, type Obstacle } from '../../src/foreign/judge.ts'
import type {
  BaseChain,
  Hook,
  MapEntry,
  Range,
  Rule,
  Ruleset,
  Test,
  Verdict,
} from '../../src/foreign/rule.ts'
import type { Own } from '../../src/foreign/walk.ts'
import { bytesOf, type Cidr, type Ip } from '../../src/model/address/address.ts'

const port: PublishedPort = {
  family: 4,
  protocol: 'tcp',
  hostPort: 8080,
  container: '10.5.0.2' as Ip,
  containerPort: 80,
  network: '10.5.0.0/24' as Cidr,
  bridge: { name: 'br0', index: () => 7 },
}

const base = (chain: string, hook: Hook, priority = 0, drops = false): BaseChain => ({
  dialect: 'iptables',
  family: 'ip',
  table: 'filter',
  chain,
  hook,
  priority,
  drops,
})

const rule = (verdict: Verdict, ...tests: Test[]): Omit<Rule, 'number'> => ({ tests, verdict })
const drop: Verdict = { kind: 'drop', text: 'DROP' }
const jump = (chain: string): Verdict => ({ kind: 'jump', chain })
const from = (ip: string): Test => {
  const value = bytesOf(ip as Ip)
  const key = [{ source: { of: 'network', offset: 12, length: 4 } }]
  return { kind: 'among', key, values: [{ from: value, to: value }], not: false }
}
const open: Test = { kind: 'open', text: '-m mystery' }

function rulesetOf(
  bases: BaseChain[],
  chains: Record<string, Omit<Rule, 'number'>[]>,
  sets: Record<string, (Range | MapEntry)[]> = {},
): Ruleset & { read: string[] } {
  const read: string[] = []
  return {
    read,
    baseChains: hook => bases.filter(each => each.hook === hook).sort((a, b) => a.priority - b.priority),
    rules({ chain }) {
      read.push(chain)
      return (chains[chain] ?? []).map((each, i) => ({ ...each, number: i + 1 }))
    },
    set: (_, name) => {
      const all = sets[name] ?? []
      return {
        isNamed: false,
        all: () => all,
        find: key => all.find(each => Buffer.compare(each.from, key) === 0),
      }
    },
  }
}

const judge = (ruleset: Ruleset, own: Own = {}): Obstacle | undefined =>
  findObstacle([(peer: Peer) => inward(port, peer)], {
    ruleset,
    own,
    bridge: port.bridge,
    uplinks: () => [{ name: 'eth0', index: () => 2, ip: '192.0.2.1' as Ip }],
  })

t.test('an accept in one base chain does not overrule a drop in the next', async t => {
  const bases = [base('early', 'forward', -10), base('late', 'forward', 10)]
  const found = judge(rulesetOf(bases, { early: [rule({ kind: 'accept' })], late: [rule(drop)] }))
  t.equal(found?.certainty, 'all')
  t.equal(found?.place.chain, 'late')
})

t.test('rules come in their order, and what is behind a drop is not read', async t => {
  const accept = rule({ kind: 'accept' })
  t.equal(judge(rulesetOf([base('f', 'forward')], { f: [accept, rule(drop)] })), undefined)
  const ruleset = rulesetOf([base('f', 'forward')], {
    f: [rule(jump('a')), rule(jump('b'))],
    a: [rule(drop)],
  })
  t.equal(judge(ruleset)?.place.chain, 'a')
  t.notOk(ruleset.read.includes('b'))
})

t.test('a return ends a chain, and a goto does not come back', async t => {
  const bases = [base('f', 'forward', 0, true)]
  t.equal(
    judge(rulesetOf(bases, { f: [rule({ kind: 'return' }), rule({ kind: 'accept' })] }))?.place.rule,
    undefined,
  )
  const gone = { f: [rule({ kind: 'goto', chain: 'a' }), rule({ kind: 'accept' })], a: [] }
  t.equal(judge(rulesetOf(bases, gone))?.certainty, 'all', 'the policy decides')
  const jumped = { f: [rule(jump('a')), rule({ kind: 'accept' })], a: [rule({ kind: 'return' })] }
  t.equal(judge(rulesetOf(bases, jumped)), undefined)
})

t.test('what is not understood may match, and what comes after it counts as well', async t => {
  t.equal(judge(rulesetOf([base('f', 'forward')], { f: [rule(drop, open)] }))?.certainty, 'perhaps')
  const found = judge(rulesetOf([base('f', 'forward')], { f: [rule(drop, open), rule(drop)] }))
  t.equal(found?.certainty, 'all')
  t.equal(found?.place.rule?.number, 2, 'the rule that lets nobody pass is named')
})

t.test('a list of barred addresses is no obstacle, and a list of allowed ones leaves one', async t => {
  t.equal(judge(rulesetOf([base('f', 'forward')], { f: [rule(drop, from('203.0.113.7'))] })), undefined)
  const listed = { f: [rule({ kind: 'accept' }, from('203.0.113.7')), rule(drop)] }
  t.equal(judge(rulesetOf([base('f', 'forward')], listed))?.certainty, 'outside')
})

t.test(
  'an entry of a map that surely fits is the only one, and one that may fit is one of several',
  async t => {
    const bytes = (name: string) => Buffer.from(name.padEnd(16, '\0'))
    const entry = (name: string, verdict: Verdict): MapEntry => ({
      from: bytes(name),
      to: bytes(name),
      verdict,
    })
    const map = (field: string): Verdict => ({
      kind: 'map',
      key: [{ source: { of: field, offset: 0, length: 16 } }],
      set: 'm',
    })
    const zones = [entry('eth0', drop), entry('br0', { kind: 'accept' })]
    const by = (field: string) => rulesetOf([base('f', 'forward')], { f: [rule(map(field))] }, { m: zones })
    t.equal(judge(by('meta iifname'))?.certainty, 'all', 'clients come by eth0')
    t.equal(judge(by('meta oifname')), undefined)
  },
)

t.test('our accepts stand where they are told to stand', async t => {
  const dropping = rulesetOf([base('f', 'forward', 0, true)], {})
  t.equal(judge(dropping)?.certainty, 'all')
  t.equal(judge(dropping, { accepts: () => 'last' }), undefined)
  const ruled = rulesetOf([base('f', 'forward')], { f: [rule(drop)] })
  t.equal(judge(ruled, { accepts: () => 'last' })?.certainty, 'all')
  t.equal(judge(ruled, { accepts: () => 'first' }), undefined)
  const jumping = rulesetOf([base('f', 'forward')], { f: [rule(jump('OURS')), rule(drop)] })
  t.equal(judge(jumping, { jump: (_, chain) => (chain === 'OURS' ? 'accept' : undefined) }), undefined)
  t.equal(judge(jumping, { jump: () => 'pass' })?.certainty, 'all')
})

t.test('chains that lead to each other twice are gone through once', async t => {
  const depth = 40
  const chains = Object.fromEntries(
    Array.from({ length: depth }, (_, i) => [`c${i}`, [rule(jump(`c${i + 1}`)), rule(jump(`c${i + 1}`))]]),
  )
  const ruleset = rulesetOf([base('c0', 'forward')], chains)
  t.equal(judge(ruleset), undefined)
  t.equal(ruleset.read.length, depth + 1)
})
