/** Transactions: what is sent, and what is made of the kernel's refusals. */

import type { constants } from 'node:os'
import t from 'tap'
import { NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, NFT_MSG_NEWRULE } from '../../src/netfilter/constants.ts'
import type { SetElement } from '../../src/netfilter/elements.ts'
import { ct, fibDestinationType, lookup, masquerade, meta, verdict } from '../../src/netfilter/expressions.ts'
import { denied, isBusy, isMissing, isTaken } from '../../src/netfilter/refusal.ts'
import { elementsMessage, ruleMessage, setMessage } from '../../src/netfilter/tables.ts'
import { Transaction } from '../../src/netfilter/transaction.ts'
import { commentIn } from '../../src/netfilter/userdata.ts'
import { be16, u32 } from '../../src/netlink/codecs.ts'
import type { Message } from '../../src/netlink/message.ts'
import { Netlink } from '../../src/netlink/netlink.ts'
import { part, refusalAt, ScriptedKernel, systemError, type Turn } from '../support/scripted-kernel.ts'

const table = { family: 'inet', name: 'tsnet' } as const
const silence: Turn = () => []

/** The kernel gets a datagram of `count` messages and answers the one with that index. */
const answering = (count: number, index: number, turn: Turn): Turn[] =>
  Array.from({ length: count }, (_, i) => (i === index ? turn : silence))

const no =
  (code: keyof typeof constants.errno, offset?: number, text?: string): Turn =>
  request => [refusalAt(request, code, offset, text)]

const ports = (count: number): SetElement[] =>
  Array.from({ length: count }, (_, i) => ({
    key: be16.encode(i + 1),
    data: be16.encode(count - i),
    comment: 'tsnet:0123456789abcdef',
  }))

t.test(
  'a transaction is one datagram, numbered, between the messages that open and close a batch',
  async t => {
    const kernel = new ScriptedKernel(...answering(5, -1, silence))
    const result = new Transaction()
      .addTable(table)
      .addChain(table, { name: 'x', hook: { type: 'filter', at: 'forward', priority: -5 } })
      .addRule(table, 'x', { expressions: [meta('iifname'), verdict('drop')], comment: 'mine' })
      .commit(new Netlink(kernel))
    t.equal(result, undefined)
    t.equal(kernel.datagrams, 1)
    const types = kernel.requests.map(({ type }) => type)
    t.equal(types[0], NFNL_MSG_BATCH_BEGIN)
    t.equal(types.at(-1), NFNL_MSG_BATCH_END)
    t.strictSame(
      kernel.requests.map(({ sequence }) => sequence),
      [1, 2, 3, 4, 5],
    )
    t.ok(
      kernel.requests.every(({ flags }) => (flags & 4) === 0),
      'nothing is acknowledged unless it fails',
    )
    const { attributes } = ruleMessage.decode(kernel.requests[3]?.payload ?? new Uint8Array())
    t.strictSame(
      attributes.expressions?.all?.map(({ name }) => name),
      ['meta', 'immediate'],
    )
    t.equal(commentIn(attributes.userdata), 'mine')
  },
)

t.test('an empty transaction says nothing', async t => {
  const kernel = new ScriptedKernel()
  t.equal(new Transaction().commit(new Netlink(kernel)), undefined)
  t.equal(kernel.datagrams, 0)
})

t.test('many elements are several messages below 64 KiB, and each is as it would be alone', async t => {
  const elements = ports(10_000)
  const { requests } = await sent(tx => tx.createElements(table, 'ports', elements))
  t.ok(requests.length > 5)
  const read = requests.flatMap(
    ({ payload }) => elementsMessage.decode(payload).attributes.elements?.all ?? [],
  )
  t.equal(read.length, elements.length)
  for (const [i, { key, data, userdata }] of read.entries()) {
    if (Buffer.compare(key?.value ?? new Uint8Array(), elements[i]?.key ?? new Uint8Array()) !== 0)
      t.fail(`key ${i}`)
    if (Buffer.compare(data?.value ?? new Uint8Array(), elements[i]?.data ?? new Uint8Array()) !== 0)
      t.fail(`data ${i}`)
    if (commentIn(userdata) !== 'tsnet:0123456789abcdef') t.fail(`comment ${i}`)
  }
})

/** A port as the last field of a key. */
const tcpPort = (port: number): Uint8Array => Uint8Array.from([6, 0, 0, 0, ...be16.encode(port), 0, 0])

t.test('a range of ports is sent as its elements would be one by one', async t => {
  const comment = 'tsnet:0123456789abcdef'
  const range = { key: tcpPort(20_000), data: tcpPort(250), comment }
  const each = (count: number): SetElement[] =>
    Array.from({ length: count }, (_, i) => ({ key: tcpPort(20_000 + i), data: tcpPort(250 + i), comment }))
  const other = { key: tcpPort(80), data: tcpPort(80), comment }
  // Within one message, and over several of them.
  for (const count of [1, 300, 3_000]) {
    for (const what of ['createElements', 'deleteElements'] as const) {
      const ranges = await sent(tx => tx[what](table, 'ports', [other, { ...range, count }, other]))
      const single = await sent(tx => tx[what](table, 'ports', [other, ...each(count), other]))
      t.same(ranges, single, `${what}, ${count}`)
    }
  }
  await t.rejects(
    sent(tx => tx.createElements(table, 'ports', [{ ...range, key: tcpPort(65_535), count: 2 }])),
    RangeError,
  )
})

t.test('of a range the element that is there already is named', async t => {
  const range = { key: tcpPort(20_000), data: tcpPort(250), count: 3000 }
  const { requests } = await sent(tx => tx.createElements(table, 'ports', [range]))
  const before = elementsOf(requests[0])?.length ?? 0
  for (const [index, at] of [0, 7, before + 70].entries()) {
    const [message, place] = at < before ? [1, at] : [2, at - before]
    const turn = no('EEXIST', offsetOf(requests[message - 1], place))
    const kernel = new ScriptedKernel(...answering(requests.length + 2, message, turn))
    const denial = new Transaction().createElements(table, 'ports', [range]).commit(new Netlink(kernel))
    t.strictSame(denial?.element, { key: tcpPort(20_000 + at), data: tcpPort(250 + at) }, `the ${index}th`)
  }
})

t.test('elements of several shapes stand side by side', async t => {
  const key = be16.encode(1)
  const elements: SetElement[] = [
    { key },
    { key: u32.encode(5), data: key },
    { key: be16.encode(2), isEnd: true },
    { key: be16.encode(3), verdict: { code: 'jump', chain: 'a' } },
    { key: be16.encode(4), verdict: { code: 'jump', chain: 'b' } },
    { key: be16.encode(5), keyEnd: be16.encode(9) },
    { key: be16.encode(6), comment: 'c' },
  ]
  const { requests } = await sent(tx => tx.addElements(table, 's', elements))
  const { attributes } = elementsMessage.decode(requests[0]?.payload ?? new Uint8Array())
  t.strictSame(
    attributes.elements?.all?.map(({ key, data, flags, userdata, keyEnd }) => [
      Buffer.from(key?.value ?? []).toString('hex'),
      data?.verdict?.chain,
      flags,
      commentIn(userdata),
      keyEnd && Buffer.from(keyEnd.value ?? []).toString('hex'),
    ]),
    [
      ['0001', undefined, undefined, undefined, undefined],
      ['05000000', undefined, undefined, undefined, undefined],
      ['0002', undefined, 1, undefined, undefined],
      ['0003', 'a', undefined, undefined, undefined],
      ['0004', 'b', undefined, undefined, undefined],
      ['0005', undefined, undefined, undefined, '0009'],
      ['0006', undefined, undefined, 'c', undefined],
    ],
  )
})

t.test('a set without a name is made before the rule that looks into it', async t => {
  const states = { type: 'ct_state', elements: [{ key: u32.encode(2) }, { key: u32.encode(4) }] }
  const { requests } = await sent(tx =>
    tx
      .addRule(table, 'x', { expressions: [ct('state'), lookup(states, { not: true }), verdict('drop')] })
      .addRule(table, 'x', { expressions: [ct('state'), lookup(states), verdict('return')] }),
  )
  const ids = requests.flatMap(({ type, payload }) =>
    type === NFT_MSG_NEWRULE
      ? (ruleMessage.decode(payload).attributes.expressions?.all ?? []).flatMap(
          ({ lookup }) => lookup?.setId ?? [],
        )
      : [],
  )
  t.strictSame(ids, [1, 2])
  t.equal(setMessage.decode(requests[0]?.payload ?? new Uint8Array()).attributes.flags, 3)
})

t.test('a set of ranges of concatenations says how long its fields are', async t => {
  const { requests } = await sent(tx =>
    tx.addSet(table, { name: 's', type: 'ipv6_addr . inet_service', isInterval: true }),
  )
  const { attributes } = setMessage.decode(requests[0]?.payload ?? new Uint8Array())
  t.equal(attributes.flags, 0x84)
  t.equal(attributes.keyLength, 20)
  t.strictSame(attributes.description, { fields: { all: [{ length: 16 }, { length: 2 }] } })
})

t.test('the element that is there already is named', async t => {
  const elements = ports(3000)
  const { requests } = await sent(tx => tx.createElements(table, 'ports', elements))
  const [first, second] = requests
  for (const [index, request, at] of [
    [1, first, 7],
    [2, second, 70],
  ] as const) {
    const place = offsetOf(request, at)
    const count = requests.length + 2
    const kernel = new ScriptedKernel(...answering(count, index, no('EEXIST', place)))
    const denial = new Transaction().createElements(table, 'ports', elements).commit(new Netlink(kernel))
    t.ok(isTaken(denial))
    t.match(denial, { code: 'EEXIST', what: 'nft create element inet tsnet ports' })
    const before = index === 1 ? 0 : (elementsOf(first)?.length ?? 0)
    t.strictSame(denial?.element, elements[before + at])
  }
})

t.test('a kernel without an expression, a chain or nf_tables says which option it lacks', async t => {
  const rule = new Transaction().addRule(table, 'x', {
    expressions: [fibDestinationType(), masquerade, lookup('owners')],
  })
  const [{ payload } = { payload: new Uint8Array() }] = (await sent(() => rule)).requests
  const list = ruleMessage.decode(payload).attributes.expressions?.all ?? []
  t.equal(list.length, 3)
  const cases = [
    { turn: no('ENOENT', expressionAt(payload, 0)), option: 'CONFIG_NFT_FIB_INET' },
    { turn: no('ENOENT', expressionAt(payload, 1)), option: 'CONFIG_NFT_MASQ' },
    { turn: no('ENOENT', expressionAt(payload, 2)), option: undefined },
    { turn: no('EOPNOTSUPP'), index: 0, option: 'CONFIG_NF_TABLES' },
  ]
  for (const { turn, index = 1, option } of cases) {
    const denial = rule.commit(new Netlink(new ScriptedKernel(...answering(3, index, turn))))
    t.equal(denial?.option, option)
    t.equal(isMissing(denial), option === undefined)
    if (denial === undefined) continue
    const error = denied('rules of tsnet:…', denial)
    t.equal(error.code, option === undefined ? 'kernel' : 'missing')
    if (option !== undefined) t.match(error.details, option)
  }
  const guard = new Transaction()
    .addTable({ family: 'netdev', name: 'g' })
    .addChain(
      { family: 'netdev', name: 'g' },
      { name: 'c', hook: { type: 'filter', at: 'ingress', priority: 0 } },
    )
  const refused = (index: number) =>
    guard.commit(new Netlink(new ScriptedKernel(...answering(4, index, no('EOPNOTSUPP')))))
  t.equal(refused(1)?.option, 'CONFIG_NF_TABLES_NETDEV')
  t.equal(refused(2)?.option, 'CONFIG_NETFILTER_INGRESS')
  const nat = new Transaction().addChain(table, {
    name: 'n',
    hook: { type: 'nat', at: 'output', priority: 0 },
  })
  t.equal(
    nat.commit(new Netlink(new ScriptedKernel(...answering(3, 1, no('ENOENT', 60)))))?.option,
    undefined,
  )
})

t.test('without permission the error says whose rules these are', async t => {
  const denial = new Transaction()
    .addTable(table)
    .commit(new Netlink(new ScriptedKernel(...answering(3, 0, no('EPERM')))))
  t.equal(denial?.code, 'EPERM')
  if (denial !== undefined) t.match(denied('a table', denial), { code: 'kernel', details: /CAP_NET_ADMIN/ })
})

t.test('of several refusals the first is the reason', async t => {
  const turns: Turn[] = [silence, no('EBUSY'), no('ENOENT'), silence]
  const denial = new Transaction()
    .deleteChain(table, 'x')
    .deleteTable(table)
    .commit(new Netlink(new ScriptedKernel(...turns)))
  t.ok(isBusy(denial))
  t.equal(denial?.what, 'nft delete chain inet tsnet x')
})

t.test('a refusal that was lost is an error, one that arrived is told all the same', async t => {
  const lost = new ScriptedKernel(() => [systemError('ENOBUFS')], silence, silence)
  t.throws(() => new Transaction().addTable(table).commit(new Netlink(lost)), { code: 'ENOBUFS' })
  const both = new ScriptedKernel(
    silence,
    request => [refusalAt(request, 'EEXIST'), systemError('ENOBUFS')],
    silence,
  )
  t.ok(isTaken(new Transaction().addTable(table).commit(new Netlink(both))))
})

t.test('left-overs of an earlier conversation are not taken for refusals', async t => {
  const kernel = new ScriptedKernel(...answering(3, -1, silence))
  kernel.leave(refusalAt({ type: 0, flags: 0, sequence: 77, port: 0, payload: new Uint8Array() }, 'EEXIST'))
  t.equal(new Transaction().addTable(table).commit(new Netlink(kernel)), undefined)
  const other = new ScriptedKernel(request => [part(request, new Uint8Array())], silence, silence)
  t.equal(new Transaction().addTable(table).commit(new Netlink(other)), undefined)
})

/** What a transaction sends, without what opens and closes it. */
async function sent(fill: (tx: Transaction) => Transaction): Promise<{ requests: Message[] }> {
  const kernel = new ScriptedKernel(...Array.from({ length: 60 }, () => silence))
  fill(new Transaction()).commit(new Netlink(kernel))
  return { requests: kernel.requests.slice(1, -1) }
}

const elementsOf = (request: Message | undefined) =>
  elementsMessage.decode(request?.payload ?? new Uint8Array()).attributes.elements?.all

const MESSAGE_HEADER = 16

/** Where in its message an element begins; all have one length. */
function offsetOf(request: Message | undefined, index: number): number {
  const bytes = Buffer.from(request?.payload ?? [])
  const first = bytes.indexOf(Buffer.from([1, 0x80]), 4 + 12 + 12) - 2
  return MESSAGE_HEADER + first + index * bytes.readUInt16LE(first)
}

/** Where in its message an expression begins. */
function expressionAt(payload: Uint8Array, index: number): number {
  const bytes = Buffer.from(payload)
  let at = bytes.indexOf(Buffer.from([1, 0x80])) - 2
  for (let i = 0; i < index; i++) at += (bytes.readUInt16LE(at) + 3) & ~3
  return MESSAGE_HEADER + at
}
