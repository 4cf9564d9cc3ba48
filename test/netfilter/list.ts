/** What is read of tables, chains, rules, sets and elements, ours and others'. */

import { deepEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { readElement } from '../../src/netfilter/elements.ts'
import { expressionList } from '../../src/netfilter/expression-tables.ts'
import { consistently } from '../../src/netfilter/generations.ts'
import {
  findChain,
  findElement,
  listElements,
  listRules,
  listTables,
  readChain,
  readElements,
  readRule,
  readSet,
} from '../../src/netfilter/list.ts'
import { keyBytes, keyText, keyType } from '../../src/netfilter/set-types.ts'
import {
  chainMessage,
  element,
  elementsMessage,
  generationMessage,
  ruleMessage,
  setMessage,
  tableMessage,
} from '../../src/netfilter/tables.ts'
import { commentData, commentIn } from '../../src/netfilter/userdata.ts'
import { encodeAttribute } from '../../src/netlink/attributes.ts'
import { concatenate, MalformedError, u8, zstr } from '../../src/netlink/codecs.ts'
import { NLM_F_DUMP_INTR } from '../../src/netlink/constants.ts'
import { Netlink } from '../../src/netlink/netlink.ts'
import { ack, done, object, part, refusal, ScriptedKernel, type Turn } from '../support/scripted-kernel.ts'

const table = { family: 'inet', name: 'tsnet' } as const
const empty = new Uint8Array()

const rule = (chain: string): Uint8Array =>
  ruleMessage.encode({
    header: { family: 'ip' },
    attributes: {
      table: 'filter',
      chain,
      handle: 7n,
      compat: { protocol: 6, flags: 0 },
      expressions: {
        all: [
          { name: 'match', match: { name: 'tcp', revision: 0, info: Uint8Array.of(1, 2, 3) } },
          { name: 'counter', counter: { bytes: 5n, packets: 1n } },
          { name: 'flow_offload', other: encodeAttribute(1, zstr.encode('f')) },
          { name: 'target', target: { name: 'MASQUERADE', revision: 1, info: u8.encode(9) } },
        ],
      },
      userdata: commentData('theirs'),
    },
  })

t.test('a rule of iptables reads with its extensions, and what is unknown with its bytes', async t => {
  const kernel = new ScriptedKernel(request => [part(request, rule('FORWARD')), done(request)])
  const [read] = listRules(new Netlink(kernel), { table: { family: 'ip', name: 'filter' }, chain: 'FORWARD' })
  t.match(read, {
    table: { family: 'ip', name: 'filter' },
    chain: 'FORWARD',
    handle: 7n,
    compat: { protocol: 6 },
    comment: 'theirs',
  })
  const [tcp, , offload, target] = read?.expressions ?? []
  t.strictSame(tcp, { name: 'match', match: { name: 'tcp', revision: 0, info: Uint8Array.of(1, 2, 3) } })
  t.strictSame(offload, { name: 'flow_offload', other: encodeAttribute(1, zstr.encode('f')) })
  t.equal(target?.target?.name, 'MASQUERADE')
  const asked = ruleMessage.decode(kernel.requests[0]?.payload ?? empty).attributes
  t.strictSame(asked, { table: 'filter', chain: 'FORWARD' })
})

t.test('what is not there is nothing', async t => {
  const missing: Turn = request => [refusal(request, 'ENOENT')]
  const nl = new Netlink(new ScriptedKernel(missing, missing, missing, missing))
  t.strictSame(listElements(nl, table, 'owners'), [])
  t.strictSame(listRules(nl, { table }), [])
  t.equal(findChain(nl, table, 'x'), undefined)
  t.equal(findElement(nl, table, 'owners', empty), undefined)
  const refused = new Netlink(new ScriptedKernel(request => [refusal(request, 'EPERM')]))
  t.throws(() => findChain(refused, table, 'x'), { code: 'EPERM' })
})

t.test('a list that changed while it was read is read again', async t => {
  const named = (name: string) => tableMessage.encode({ header: { family: 'inet' }, attributes: { name } })
  const kernel = new ScriptedKernel(
    request => [part(request, named('old'), NLM_F_DUMP_INTR), done(request)],
    request => [part(request, named('new')), done(request)],
  )
  t.strictSame(listTables(new Netlink(kernel)), [{ family: 'inet', name: 'new' }])
})

t.test('several lists are one picture, or taken again', async t => {
  const at =
    (id: number): Turn =>
    request => [object(request, generationMessage.encode({ header: {}, attributes: { id } })), ack(request)]
  let taken = 0
  const picture = (...ids: number[]) =>
    consistently(new Netlink(new ScriptedKernel(...ids.map(at))), () => ++taken)
  t.equal(picture(5, 5), 1)
  t.equal(picture(5, 6, 6, 6), 3)
  t.throws(() => picture(...Array.from({ length: 40 }, (_, i) => i)), { code: 'EINTR' })
})

t.test('a base chain says where it stands, in words of its family', async t => {
  const chain = (family: 'netdev' | 'inet' | 'arp', number: number) =>
    readChain(
      chainMessage.encode({
        header: { family },
        attributes: {
          table: 't',
          name: 'c',
          hook: { number, priority: -300, device: 'eth0' },
          policy: 'drop',
          type: 'filter',
        },
      }),
    )
  t.match(chain('netdev', 0), { hook: { at: 'ingress', priority: -300, devices: ['eth0'] }, policy: 'drop' })
  t.match(chain('inet', 2), { hook: { at: 'forward' } })
  t.match(chain('arp', 1), { hook: { at: 'output' } })
  t.equal(chain('inet', 9)?.hook?.at, undefined)
})

t.test('keys are as the kernel holds them', async t => {
  const hex = (type: string, text: string) => Buffer.from(keyBytes(type, text)).toString('hex')
  t.equal(hex('inet_proto . inet_service', 'tcp . 8080'), '060000001f900000')
  t.equal(hex('mark . mark', '0x01234567 . 0x89abcdef'), '67452301efcdab89')
  t.equal(hex('ipv4_addr', '10.1.0.2'), '0a010002')
  t.equal(hex('ipv4_addr . ifname', '10.1.0.2 . "br0"'), `0a010002${'627230'.padEnd(32, '0')}`)
  t.equal(hex('nf_proto', 'ipv6'), '0a')
  t.equal(keyType('ipv4_addr . inet_proto . inet_service').id, (7 << 12) | (12 << 6) | 13)
  t.match(keyType('inet_service'), { id: 13, size: 2, order: 'network' })
  t.equal(keyType('ipv4_addr . inet_service').size, 8)
  t.equal(
    keyText('ipv4_addr . ifname . mark', keyBytes('ipv4_addr . ifname . mark', '10.1.0.2 . "br0" . 5')),
    '10.1.0.2 . "br0" . 0x00000005',
  )
  t.throws(() => keyBytes('mark', 'x'), RangeError)
  t.throws(() => keyBytes('mark . mark', '1'), RangeError)
  t.throws(() => keyType('colour'), RangeError)
})

t.test('comments of others are read as far as they make sense', async t => {
  t.equal(commentIn(undefined), undefined)
  t.equal(commentIn(Uint8Array.of(0)), undefined)
  t.equal(commentIn(Uint8Array.of(0, 200, 65)), undefined)
  t.equal(commentIn(Uint8Array.of(7, 1, 65, 0, 2, 66, 0)), 'B')
  t.doesNotThrow(() =>
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), bytes => void commentIn(bytes))),
  )
})

const parsers: Record<string, (bytes: Uint8Array) => unknown> = {
  chain: readChain,
  rule: readRule,
  set: readSet,
  elements: readElements,
  table: bytes => tableMessage.decode(bytes),
  expressions: bytes => expressionList.decode(bytes),
  element: bytes => readElement(element.decode(bytes)),
}

const originals: Uint8Array[] = [
  rule('FORWARD'),
  chainMessage.encode({
    header: { family: 'netdev' },
    attributes: { table: 't', name: 'c', hook: { number: 0, priority: 0, devices: { names: ['a', 'b'] } } },
  }),
  setMessage.encode({
    header: { family: 'inet' },
    attributes: { table: 't', name: 's', keyType: 7, description: { fields: { all: [{ length: 4 }] } } },
  }),
  elementsMessage.encode({
    header: { family: 'inet' },
    attributes: {
      table: 't',
      set: 's',
      elements: {
        all: [{ key: { value: Uint8Array.of(1, 2) }, data: { verdict: { code: 'jump', chain: 'x' } } }],
      },
    },
  }),
]

/** Real messages with some bytes changed and some cut off. */
const damaged = fc
  .record({
    original: fc.constantFrom(...originals),
    changes: fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 4, 0x7f, 0x80, 0xff)))),
    keep: fc.option(fc.nat()),
  })
  .map(({ original, changes, keep }) => {
    const bytes = original.slice()
    for (const [at, value] of changes) bytes[at % bytes.length] = value
    return keep === null ? bytes : bytes.slice(0, keep % (bytes.length + 1))
  })

for (const [name, parse] of Object.entries(parsers)) {
  t.test(`the parser of ${name} gives a value or MalformedError, and stays within its bytes`, async t => {
    const outcome = (bytes: Uint8Array): unknown => {
      try {
        return parse(bytes)
      } catch (thrown) {
        if (thrown instanceof MalformedError) return thrown.message
        throw thrown
      }
    }
    const within = fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), bytes => {
      const alone = outcome(bytes.slice())
      for (const filling of [0, 0xff]) {
        const amid = concatenate([new Uint8Array(32).fill(filling), bytes, new Uint8Array(32).fill(filling)])
        deepEqual(outcome(amid.subarray(32, 32 + bytes.length)), alone)
      }
    })
    t.doesNotThrow(() => fc.assert(within, { numRuns: 400 }))
  })
}
