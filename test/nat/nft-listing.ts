/** What nft prints, read: its own, that of other versions, and nonsense. */

import fc from 'fast-check'
import t from 'tap'
import {
  elementsOfOwner,
  listedChains,
  listedKeys,
  listedOwners,
  listedRules,
  listedTables,
} from '../../src/nat/nft-listing.ts'

const result = (value: unknown) => ({ ok: true, output: JSON.stringify(value), error: '' })

const OWNER = '0123456789abcdef'
const comment = `tsnet:${OWNER}`

/** As nft 1.0.6 prints them. */
const listing = result({
  nftables: [
    { metainfo: { version: '1.0.6', json_schema_version: 1 } },
    { table: { family: 'inet', name: 'tsnet', handle: 1 } },
    {
      map: {
        family: 'inet',
        name: 'ports4',
        table: 'tsnet',
        type: ['inet_proto', 'inet_service'],
        map: 'ipv4_addr . inet_service',
        elem: [
          [{ elem: { val: { concat: ['tcp', 8080] }, comment } }, { concat: ['10.1.0.2', 80] }],
          [
            { elem: { val: { concat: ['udp', 53] }, comment: 'tsnet:fedcba9876543210' } },
            { concat: ['10.1.0.3', 53] },
          ],
          [{ concat: ['udp', 54] }, { concat: ['10.1.0.3', 53] }],
        ],
      },
    },
    {
      set: {
        family: 'inet',
        name: 'home6',
        table: 'tsnet',
        type: ['ipv6_addr', 'ifname'],
        elem: [{ elem: { val: { concat: ['fd00::2', 'br0'] }, comment } }],
      },
    },
    {
      map: {
        name: 'masquerade4',
        type: 'ipv4_addr',
        map: 'verdict',
        elem: [[{ elem: { val: '10.1.0.2', comment } }, { jump: { target: 'm' } }]],
      },
    },
    { chain: { family: 'ip', table: 'filter', name: 'FORWARD', hook: 'forward', prio: 0, policy: 'drop' } },
    {
      rule: {
        family: 'ip',
        table: 'filter',
        chain: 'FORWARD',
        handle: 7,
        comment,
        expr: [{ match: {} }, { counter: {} }, { jump: { target: 'TSNET-FORWARD' } }],
      },
    },
    {
      rule: {
        family: 'ip',
        table: 'filter',
        chain: 'FORWARD',
        handle: 8,
        expr: [{ xt: null }, { drop: null }],
      },
    },
  ],
})

t.test('an owner has the elements that carry its comment, named as nft reads them', async t => {
  t.strictSame(elementsOfOwner(listing, OWNER), [
    { set: 'ports4', key: 'tcp . 8080' },
    { set: 'home6', key: 'fd00::2 . "br0"' },
    { set: 'masquerade4', key: '10.1.0.2' },
  ])
  t.strictSame(listedOwners(listing), [OWNER, 'fedcba9876543210'])
  t.ok(listedKeys(listing).includes('udp . 54'), 'one without a comment is there as well')
})

t.test('chains and rules, with where they lead', async t => {
  t.strictSame(listedChains(listing), [{ family: 'ip', table: 'filter', name: 'FORWARD', hook: 'forward' }])
  t.strictSame(listedTables(listing), [{ family: 'inet', name: 'tsnet' }])
  const rules = listedRules(listing)
  t.match(JSON.parse(rules[0]?.words ?? ''), [
    { match: {} },
    { counter: {} },
    { jump: { target: 'TSNET-FORWARD' } },
  ])
  t.strictSame(
    rules.map(({ words: _, ...rule }) => rule),
    [
      {
        family: 'ip',
        table: 'filter',
        chain: 'FORWARD',
        handle: 7,
        comment,
        expressions: ['match', 'counter', 'jump'],
        target: 'TSNET-FORWARD',
      },
      { family: 'ip', table: 'filter', chain: 'FORWARD', handle: 8, expressions: ['xt', 'drop'] },
    ],
  )
})

t.test('an element that we would not have made is not named', async t => {
  const forged = result({
    nftables: [
      {
        set: {
          name: 'home4',
          type: 'ipv4_addr',
          elem: [
            { elem: { val: '10.0.0.1 }; flush ruleset', comment } },
            { elem: { val: { prefix: {} }, comment } },
          ],
        },
      },
    ],
  })
  t.strictSame(elementsOfOwner(forged, OWNER), [])
})

t.test('nonsense is nothing', async t => {
  const words = ['nftables', 'set', 'map', 'elem', 'val', 'concat', 'rule', 'expr', 'jump', 'chain', 'table']
  const json = fc.letrec(tie => ({
    any: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(null, 1, true, '', comment, ...words),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...words, 'type', 'name', 'comment'), tie('any'), { maxKeys: 4 }),
    ),
  })).any
  const reads = [listedChains, listedRules, listedTables, listedOwners, listedKeys]
  fc.assert(
    fc.property(json, fc.array(json, { maxLength: 4 }), (whole, items) => {
      for (const value of [whole, { nftables: items }]) {
        for (const read of reads) read(result(value))
        elementsOfOwner(result(value), OWNER)
      }
    }),
    { numRuns: 1000 },
  )
  t.strictSame(listedKeys({ ok: false, output: '', error: 'Error: …' }), [])
})
