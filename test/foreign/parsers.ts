/** What the kernel says of rules is read or refused, whatever it says; what is said of rules is always a text. */

import fc from 'fast-check'
import t from 'tap'
import { ruleText } from '../../src/foreign/describe.ts'
import { readRule } from '../../src/foreign/nft/rule.ts'
import type { ChainName, Rule } from '../../src/foreign/rule.ts'
import { readMatch } from '../../src/foreign/xtables/match.ts'
import { readTable } from '../../src/foreign/xtables/table.ts'
import { readTarget } from '../../src/foreign/xtables/target.ts'
import { readRule as readListed } from '../../src/netfilter/list.ts'
import { encodeAttribute } from '../../src/netlink/attributes.ts'
import { concatenate, MalformedError, zstr } from '../../src/netlink/codecs.ts'

const family = fc.constantFrom(4 as const, 6 as const)
const bytes = (maxLength: number) => fc.uint8Array({ maxLength })
const names = [
  ...[
    'tcp',
    'udp',
    'sctp',
    'multiport',
    'conntrack',
    'state',
    'addrtype',
    'iprange',
    'set',
    'mark',
    'recent',
  ],
  ...['policy', 'physdev', 'hashlimit', 'connlimit', 'owner', 'pkttype', 'rpfilter', 'mac', 'nobody-knows'],
]
const chain = (dialect: 'nft' | 'iptables'): ChainName => ({ dialect, family: 'ip', table: 't', chain: 'c' })

const isTold = (rule: Omit<Rule, 'number'>): boolean =>
  (['nft', 'iptables'] as const).every(dialect => ruleText({ ...rule, number: 1 }, chain(dialect)).length > 0)

t.test('a struct of any bytes and length is a match that can be told', async () => {
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.nat(4), bytes(400), family, (name, revision, info, of) =>
      isTold({ tests: readMatch({ name, revision, info }, of), verdict: { kind: 'accept' } }),
    ),
  )
  fc.assert(
    fc.property(fc.constantFrom('REJECT', 'MARK', 'DROP', 'X'), bytes(20), family, (name, info, of) =>
      isTold({ tests: [], ...readTarget({ name, revision: 0, info }, of) }),
    ),
  )
})

t.test('a table of legacy iptables is read, or malformed', async () => {
  const hooks = [{ number: 2, start: 0, policy: 0 }]
  fc.assert(
    fc.property(bytes(600), family, (entries, of) => {
      try {
        readTable({ hooks, entries }, of)
        return true
      } catch (thrown) {
        return thrown instanceof MalformedError
      }
    }),
  )
})

const expressions = [
  'immediate',
  'payload',
  'meta',
  'ct',
  'fib',
  'bitwise',
  'byteorder',
  'cmp',
  'range',
  'lookup',
]
const others = [
  'limit',
  'connlimit',
  'quota',
  'dynset',
  'objref',
  'reject',
  'match',
  'target',
  'exthdr',
  'numgen',
]

t.test('an expression of any bytes is a test that can be told, or malformed', async () => {
  const attribute = fc.tuple(fc.nat(10), bytes(24)).map(([type, payload]) => encodeAttribute(type, payload))
  const expression = fc
    .tuple(fc.constantFrom(...expressions, ...others), fc.array(attribute, { maxLength: 8 }))
    .map(([name, data]) =>
      concatenate([encodeAttribute(1, zstr.encode(name)), encodeAttribute(2, concatenate(data))]),
    )
  const listed = fc.array(expression, { maxLength: 6 }).map(all => {
    const list = concatenate(all.map(each => encodeAttribute(1, each)))
    return concatenate([Uint8Array.of(2, 0, 0, 0), encodeAttribute(4, list)])
  })
  fc.assert(
    fc.property(listed, family, (payload, of) => {
      try {
        const rule = readListed(payload)
        return rule === undefined || isTold(readRule(rule, 1, of))
      } catch (thrown) {
        return thrown instanceof MalformedError
      }
    }),
  )
})
