import t from 'tap'
import type { KeyValue } from '../../src/hosts/etcd/etcd.ts'
import { readAge, readGranted, readKeptAlive, readRange, readWatched } from '../../src/hosts/etcd/messages.ts'
import { contradiction, drop, emptyView, keysOf, type Layout, take, type View } from '../../src/hosts/keys.ts'
import { parseCidr } from '../../src/model/address/address.ts'

const pools = [{ subnet: parseCidr('10.200.0.0/16'), hostPrefix: 24 }]
const layout: Layout = { pools, carrier: 'vxlan', port: 4789 }
const keys = keysOf('/tsnet/', 'front')
const one = '0000000000000001'

const at = (key: string, value: string, revision = 5): KeyValue => ({ key, value, revision })

function viewOf(...values: KeyValue[]): View {
  const view = emptyView('1', 5)
  for (const value of values) take(view, keys, value)
  return view
}

t.test('keys stand below the network, however the prefix ends', async t => {
  t.equal(keys.claim(7), '/tsnet/front/claims/7')
  t.equal(keys.host(one), `/tsnet/front/hosts/${one}`)
})

t.test('what others wrote is ignored by name, until it is right or gone', async t => {
  const view = viewOf(
    at(keys.claim(7), 'x'),
    at(`${keys.all}hosts/me`, '{}'),
    at(keys.host(one), '{"format":9}'),
  )
  t.equal(view.ignored.size, 3)
  t.match(view.ignored.get(keys.host(one)), /newer tsnet/)
  take(view, keys, at(keys.claim(7), `{"host":"${one}"}`))
  drop(view, keys, `${keys.all}hosts/me`)
  t.equal(view.ignored.size, 1)
  for (const value of ['{"host":1}', '{"host":"../x"}', '[]', 'null', '"x"', '{']) {
    const odd = viewOf(at(keys.claim(7), value))
    t.equal(odd.claims.size, 0, value)
    t.equal(odd.ignored.size, 1, value)
  }
})

t.test('hosts that see one network differently are told how', async t => {
  t.equal(contradiction(layout, { ...layout }), undefined)
  t.match(contradiction(layout, { ...layout, carrier: 'routes' }), /routes, and here .*vxlan on 4789/)
})

t.test("etcd's numbers are texts, and what is zero is left out", async t => {
  const encode = (text: string) => Buffer.from(text).toString('base64')
  t.strictSame(
    readRange({
      header: { cluster_id: '9', revision: '7' },
      kvs: [
        { key: encode('/a'), value: encode('b'), mod_revision: '6', lease: '7587869876980' },
        { key: encode('/c') },
      ],
    }),
    {
      cluster: '9',
      revision: 7,
      values: [
        { key: '/a', value: 'b', revision: 6, lease: '7587869876980' },
        { key: '/c', value: '', revision: 0 },
      ],
    },
  )
  t.equal(readKeptAlive({ result: { ID: '1' } }), 0, 'a lease that is gone')
  t.strictSame(readAge({ TTL: '-1' }), { ttlS: 0, grantedS: 0 })
  t.strictSame(readGranted({ ID: '2324035716055825670', TTL: '5' }), {
    lease: '2324035716055825670',
    ttlS: 5,
  })
})

t.test('a watch says what happened, and why it says nothing more', async t => {
  const kv = { key: Buffer.from('/a').toString('base64'), mod_revision: '4' }
  t.match(readWatched({ result: { header: { revision: '4' }, events: [{ kv }, { type: 'DELETE', kv }] } }), {
    revision: 4,
    events: [{ kind: 'put' }, { kind: 'delete', key: '/a', revision: 4 }],
  })
  t.match(readWatched({ result: { header: {}, canceled: true, compact_revision: '9' } }), {
    kind: 'ended',
    why: /compacted up to revision 9/,
  })
  t.match(readWatched({ error: { message: 'no leader' } }), { kind: 'ended', why: 'no leader' })
})

t.test('what is no answer of etcd is an error in words', async t => {
  for (const answer of [
    {},
    { header: 1 },
    { header: {}, kvs: 1 },
    { header: {}, kvs: [1] },
    { header: { revision: 'x' } },
  ]) {
    t.throws(() => readRange(answer), { code: 'io', message: /makes no sense/ }, JSON.stringify(answer))
  }
  t.throws(() => readGranted({}), { code: 'io' })
  t.throws(() => readWatched({ result: { header: {}, events: [{}] } }), { code: 'io' })
})
