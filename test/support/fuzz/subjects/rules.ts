/** Rules of others: nf_tables' messages, iptables' blobs in either variant, and what iptables-save prints. */

import { ok } from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { ruleText } from '../../../../src/foreign/describe.ts'
import { rangesOf } from '../../../../src/foreign/nft/nft.ts'
import { readRule as readForeign } from '../../../../src/foreign/nft/rule.ts'
import type { ChainName, Rule } from '../../../../src/foreign/rule.ts'
import { readMatch } from '../../../../src/foreign/xtables/match.ts'
import { readTable } from '../../../../src/foreign/xtables/table.ts'
import { readTarget } from '../../../../src/foreign/xtables/target.ts'
import { readListing, removal } from '../../../../src/nat/iptables/listing.ts'
import { completionOf, readTable as readSaved } from '../../../../src/nat/reference/reference.ts'
import { transactionOf } from '../../../../src/netfilter/commands.ts'
import { readChain, readElements, readRule, readSet } from '../../../../src/netfilter/list.ts'
import { elementsMessage } from '../../../../src/netfilter/tables.ts'
import { commentIn } from '../../../../src/netfilter/userdata.ts'
import { encodeAttribute } from '../../../../src/netlink/attributes.ts'
import { concatenate, MalformedError, zstr } from '../../../../src/netlink/codecs.ts'
import { eachMessage } from '../../../../src/netlink/message.ts'
import { ofBytes } from '../bytes.ts'
import { type Subject, subjects } from '../fuzz.ts'
import { ofText } from '../texts.ts'

const refusals = [MalformedError]
const GOLDEN = 'test/golden/nat'
const pages = (ending: string) =>
  readdirSync(GOLDEN)
    .filter(name => name.endsWith(ending))
    .map(name => readFileSync(`${GOLDEN}/${name}`, 'utf8'))

/** Rules of ours as the kernel gets them, which lists them in the same form. */
const commands = (pages('.nft')[0] ?? '').split('\n').filter(line => !line.startsWith('create element'))
const messages = [...eachMessage(transactionOf(commands).messages.bytes)]
/** By the low byte of the type: enum nf_tables_msg_types. */
const sentAs = (type: number) =>
  messages.filter(each => (each.type & 0xff) === type).map(({ payload }) => payload)
const [chains, rules, sets] = [sentAs(3), sentAs(6), sentAs(9)]

const elements = elementsMessage.encode({
  header: { family: 'inet' },
  attributes: {
    table: 't',
    set: 's',
    elements: {
      all: [
        { key: { value: Uint8Array.of(10, 0, 0, 1) }, data: { value: Uint8Array.of(0, 0, 0, 80) } },
        { key: { value: Uint8Array.of(10, 0, 0, 9) }, flags: 1 },
      ],
    },
  },
})

const chain = (dialect: 'nft' | 'iptables'): ChainName => ({ dialect, family: 'ip', table: 't', chain: 'c' })

/** Whatever was read of a rule, there are words for it. */
const tell = (rule: Omit<Rule, 'number'>): void => {
  for (const dialect of ['nft', 'iptables'] as const)
    ok(ruleText({ ...rule, number: 1 }, chain(dialect)).length > 0)
}

const bytes = (maxLength: number) => fc.uint8Array({ maxLength })

const EXPRESSIONS = [
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

/** A rule of expressions with any attributes. */
const ruleLike = fc
  .array(
    fc.tuple(
      fc.constantFrom(...EXPRESSIONS),
      fc.array(
        fc.tuple(fc.nat(10), bytes(24)).map(([type, payload]) => encodeAttribute(type, payload)),
        { maxLength: 8 },
      ),
    ),
    { maxLength: 6 },
  )
  .map(all => {
    const list = all.map(([name, data]) =>
      encodeAttribute(
        1,
        concatenate([encodeAttribute(1, zstr.encode(name)), encodeAttribute(2, concatenate(data))]),
      ),
    )
    return concatenate([
      Uint8Array.of(2, 0, 0, 0),
      encodeAttribute(1, zstr.encode('t')),
      encodeAttribute(4, concatenate(list)),
    ])
  })

function readAndTell(message: Uint8Array): unknown {
  const rule = readRule(message)
  if (rule === undefined) return undefined
  return ([4, 6] as const).map(family => {
    const foreign = readForeign(rule, 1, family)
    tell(foreign)
    return ruleText(foreign, chain('nft'))
  })
}

const MATCHES = [
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
  'policy',
  'physdev',
  'hashlimit',
  'connlimit',
  'owner',
  'pkttype',
  'rpfilter',
  'mac',
  'comment',
  'nobody-knows',
]

interface Extension {
  name: string
  revision: number
  info: Uint8Array
}

const extensions = (names: readonly string[]) =>
  fc.record({ name: fc.constantFrom(...names), revision: fc.nat(4), info: bytes(400) })

const longExtensions =
  (names: readonly string[]) =>
  (length: number): Extension[] =>
    names.flatMap(name =>
      [0, 1, 3].map(revision => ({ name, revision, info: new Uint8Array(length).fill(revision) })),
    )

const xtablesMatch: Subject<Extension> = {
  name: 'foreign/xtables-match',
  weight: 1,
  inputs: extensions(MATCHES),
  long: longExtensions(MATCHES),
  holds(match) {
    for (const family of [4, 6] as const)
      tell({ tests: readMatch(match, family), verdict: { kind: 'accept' } })
  },
}

const TARGETS = ['REJECT', 'MARK', 'DROP', 'X', '', 'ERROR', 'DNAT']

const xtablesTarget: Subject<Extension> = {
  name: 'foreign/xtables-target',
  weight: 1,
  inputs: extensions(TARGETS),
  long: longExtensions(TARGETS),
  holds(target) {
    for (const family of [4, 6] as const) tell({ tests: [], ...readTarget(target, family) })
  },
}

/** struct ipt_entry of one rule that accepts (112 bytes and a standard target), and one that names a chain. */
const entry = (target: readonly number[], name = ''): number[] => {
  const head = new Array<number>(112).fill(0)
  head[88] = 112
  head[90] = 112 + target.length
  head[89] = 0
  head[91] = (112 + target.length) >> 8
  const text = [...Buffer.from(name)]
  return [...head, ...target.slice(0, 2), ...text, ...target.slice(2 + text.length)]
}
const standard = [
  40,
  0,
  ...new Array<number>(30).fill(0),
  0xfe,
  0xff,
  0xff,
  0xff,
  ...new Array<number>(4).fill(0),
]
const error = [64, 0, ...new Array<number>(62).fill(0)]
const blob = Uint8Array.from([...entry(standard), ...entry(error, 'ERROR'), ...entry(standard)])
const hooks = [
  { number: 2, start: 0, policy: 152 },
  { number: 9, start: 4, policy: 0 },
]

const xtablesTable = ([4, 6] as const).map(family =>
  ofBytes(`foreign/xtables-table-${family}`, {
    samples: [blob],
    refusals,
    more: bytes(600),
    read: entries => {
      const table = readTable({ hooks, entries }, family)
      for (const list of table.chains.values()) for (const rule of list) tell(rule)
      return table
    },
  }),
)

const saved = pages('.ipt')
const SAVED = [
  ...saved,
  '*nat\n:PREROUTING ACCEPT [0:0]\n:TSNET-POSTROUTING - [0:0]\n-A POSTROUTING -j TSNET-POSTROUTING\n-A TSNET-POSTROUTING -s 127.0.0.0/8 -m comment --comment "tsnet:00112233445566aa" -o br0 -j MASQUERADE\nCOMMIT\n',
]
const WORDS = [
  '*nat\n',
  '*filter\n',
  ':FORWARD DROP [0:0]\n',
  '-A ',
  '-A FORWARD -j TSNET-FORWARD\n',
  ' -j ',
  ' -g ',
  'tsnet:00112233445566aa',
  'COMMIT\n',
]

export const ofRules = subjects(
  ofBytes('netfilter/chain', { samples: chains, refusals, read: readChain }),
  ofBytes('netfilter/rule', { samples: rules, refusals, read: readRule, more: ruleLike }),
  ofBytes('netfilter/set', { samples: sets, refusals, read: readSet }),
  ofBytes('netfilter/elements', {
    samples: [elements],
    refusals,
    read: message => rangesOf(readElements(message)),
  }),
  ofBytes('netfilter/comment', { samples: [Uint8Array.of(0, 4, 97, 98, 99, 0)], refusals, read: commentIn }),
  ofBytes('foreign/nft-rule', { samples: rules, refusals, read: readAndTell, more: ruleLike }),
  xtablesMatch,
  xtablesTarget,
  ...xtablesTable,
  ofText('nat/iptables-listing', {
    samples: SAVED,
    tokens: WORDS,
    refusals: [],
    read: readListing,
    check: listing => ok(typeof removal(4, listing, '00112233445566aa', true) === 'string'),
    weight: 0.3,
  }),
  ofText('nat/reference-listing', {
    samples: SAVED,
    tokens: WORDS,
    refusals: [],
    read: readSaved,
    check: there => {
      const sheet = {
        table: 'nat' as const,
        chains: ['C'],
        shared: [{ rule: 'POSTROUTING -j C' }],
        own: ['O'],
        rules: ['C -j O', 'O -j ACCEPT'],
      }
      ok(Array.isArray(completionOf(sheet, there)))
    },
  }),
)
