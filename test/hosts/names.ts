/** What hosts say of their containers, without a network: a model of etcd, whose watch is moved by hand. */

import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import type { Hearing, Store } from '../../src/hosts/etcd/etcd.ts'
import type { Member } from '../../src/hosts/members.ts'
import { type Away, HostNames } from '../../src/hosts/names/names.ts'
import { keyParts, nameKeysOf, nameText, readNameWord } from '../../src/hosts/names/words.ts'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import { EtcdModel } from '../support/etcd-model.ts'

const keys = nameKeysOf('/tsnet/', 'front')
const [one, two, three] = ['0000000000000001', '0000000000000002', '0000000000000003']
const [web, db] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb']
const pools = [
  { subnet: parseCidr('10.200.0.0/16'), hostPrefix: 24 },
  { subnet: parseCidr('fd00:200::/48'), hostPrefix: 64 },
]
const word = (name: string, ...addresses: string[]) => ({
  container: `id-of-${name}`,
  names: [name],
  addresses: addresses.map(each => parseIp(each)),
})
const member = (id: string, number: number): Member => ({
  id,
  name: `host${number}`,
  addresses: [parseIp(`10.0.0.${number}`)],
  mac: '06:00:00:00:00:01',
  number,
})

t.test('keys are of a host and an attachment, and no network has them', t => {
  t.equal(keys.attachment(one, web), `/tsnet/_names/front/${one}/${web}`)
  t.strictSame(keyParts(keys, keys.attachment(one, web)), { host: one, owner: web })
  t.strictSame(keyParts(keys, keys.drained(one)), { host: one, owner: undefined })
  for (const odd of [
    'x',
    `${one}`,
    `${one}/x`,
    `${one}/${web}/x`,
    `../${web}`,
    `${one}/${web.toUpperCase()}`,
  ])
    t.equal(keyParts(keys, `${keys.all}${odd}`), undefined, odd)
  t.end()
})

t.test('what is said is read as it was written, and addresses are printed anew', t => {
  const said = word('web', '10.200.7.5', 'fd00:200::5')
  t.strictSame(readNameWord(nameText(said), 'k'), said)
  t.match(readNameWord('{"container":"c","names":["web"],"addresses":["FD00:0200:0::5"]}', 'k'), {
    addresses: ['fd00:200::5'],
  })
  for (const [value, why] of [
    ['x', /is not JSON/],
    ['{"container":"c","names":["Web"],"addresses":[]}', /names\[0\] is not a name of a host in lower case/],
    ['{"container":"c","names":["a b"],"addresses":[]}', /names\[0\]/],
    [`{"container":"c","names":["${'a'.repeat(64)}"],"addresses":[]}`, /names\[0\]/],
    [JSON.stringify({ container: 'c', names: Array(65).fill('a'), addresses: [] }), /at most 64/],
    ['{"container":"c","names":[],"addresses":["10.0.0.0/8"]}', /addresses\[0\] is not an address/],
    ['{"container":"../x","names":[],"addresses":[]}', /container is not/],
    ['{"format":9,"names":[],"addresses":[]}', /newer tsnet/],
  ] as const)
    t.match(readNameWord(value, 'k'), why, value)
  t.end()
})

interface Site {
  model: EtcdModel
  names: HostNames
  away: Map<string, Away>
  lines: string[]
  hearing: () => Hearing | undefined
  cut: (isCut: boolean) => void
}

function siteOf(t: Test, id = one, model = new EtcdModel(), ttlS = 60): Site {
  let hearing: Hearing | undefined
  let isCut = false
  const store: Store = {
    ...model.store(async () => {
      if (isCut) throw new Error('etcd is away')
    }),
    watch: (_, __, heard) => {
      hearing = heard
      return () => {}
    },
  }
  const [away, lines] = [new Map<string, Away>(), [] as string[]]
  const names = new HostNames({
    store,
    keys,
    id,
    pools,
    ttlS,
    changed: changes => {
      for (const [key, each] of changes) {
        if (each === undefined) away.delete(key)
        else away.set(key, each)
      }
    },
    log: line => lines.push(line),
  })
  names.begin()
  t.teardown(() => names.end())
  return {
    model,
    names,
    away,
    lines,
    hearing: () => hearing,
    cut: cut => {
      isCut = cut
    },
  }
}

const put = (key: string, value: string, revision: number) =>
  ({ kind: 'put', value: { key, value, revision } }) as const

t.test('what a host says is told once it is a member, and only of its own prefixes', async t => {
  const { names, away, lines, hearing } = siteOf(t)
  await waitFor(() => hearing() !== undefined, { what: 'it listens' })
  const key = keys.attachment(two, web)
  hearing()?.events([put(key, nameText(word('web', '10.200.2.5', 'fd00:200:0:2::5')), 9)], 9)
  t.equal(away.size, 0, 'it is nobody yet')
  names.members([member(two, 2)])
  t.match(away.get(key), { host: two, hostName: 'host2', names: ['web'], prefixes: ['10.200.2.0/24'] })
  hearing()?.events([put(key, nameText(word('web', '10.200.2.5', '10.200.3.5')), 10)], 10)
  t.equal(away.size, 0, 'an address of another host')
  t.match(lines, [/speaks of 10\.200\.3\.5, which is none of the addresses of host2, and is ignored/])
  hearing()?.events([put(key, nameText(word('www', '10.200.2.5')), 11)], 11)
  t.match(away.get(key), { names: ['www'] })
  hearing()?.events([put(`${keys.all}what`, 'ever', 12), put(keys.attachment(two, db), '{}', 12)], 12)
  t.match(lines.slice(1), [/what is none of the keys of names, and is ignored/, /container is missing/])
  names.members([member(two, 7)])
  t.equal(away.size, 0, 'it has another prefix now')
  names.members([member(two, 2)])
  hearing()?.events([{ kind: 'delete', key, revision: 13 }], 13)
  t.equal(away.size, 0)
  t.notOk(names.drained.has(two))
  hearing()?.events([put(keys.drained(two), '{}', 14)], 14)
  t.ok(names.drained.has(two))
  hearing()?.events([{ kind: 'delete', key: keys.drained(two), revision: 15 }], 15)
  t.notOk(names.drained.has(two))
})

t.test(
  'what this host says is written under a lease, taken away, and written again if others take it',
  async t => {
    const { names, model, hearing } = siteOf(t)
    const there = () => [...model.entries.keys()]
    const said = new Map([
      [web, word('web', '10.200.1.5')],
      [db, word('db', '10.200.1.6')],
    ])
    names.say(said)
    await waitFor(() => hearing() !== undefined, { what: 'it listens' })
    t.strictSame(there(), [], 'a host without a prefix says nothing')
    names.claimed([parseCidr('10.200.1.0/24')])
    await waitFor(() => model.entries.size === 2, { what: 'both are written' })
    t.ok([...model.entries.values()].every(({ lease }) => lease !== undefined))
    names.say(new Map([[db, word('db', '10.200.1.6')]]))
    await waitFor(() => model.entries.size === 1, { what: 'one is taken away' })
    const key = keys.attachment(one, db)
    model.entries.delete(key)
    hearing()?.events([{ kind: 'delete', key, revision: ++model.revision }], model.revision)
    await waitFor(() => model.entries.has(key), { what: 'it is written again' })
    names.say(new Map([[db, word('db', '10.9.9.9')]]))
    await waitFor(() => model.entries.size === 0, { what: 'what is outside of its prefixes is not said' })
  },
)

t.test('while etcd is away what is known stays, and what was to be said is said afterwards', async t => {
  const { names, model, away, lines, hearing, cut } = siteOf(t)
  names.claimed([parseCidr('10.200.1.0/24')])
  names.members([member(two, 2)])
  await waitFor(() => hearing() !== undefined, { what: 'it listens' })
  hearing()?.events([put(keys.attachment(two, web), nameText(word('web', '10.200.2.5')), 9)], 9)
  cut(true)
  names.say(new Map([[db, word('db', '10.200.1.6')]]))
  hearing()?.ended('the connection was closed')
  await waitFor(() => lines.length >= 2, { what: 'it is said' })
  t.match(lines.toSorted(), [/^others' names of .*the connection was closed/, /^own names of .*etcd is away/])
  t.equal(away.size, 1)
  model.revision = 20
  cut(false)
  await waitFor(() => model.entries.has(keys.attachment(one, db)), { what: 'it is written' })
  await waitFor(() => away.size === 0, { what: 'all is read anew: what is not there any more has gone' })
})

t.test('what etcd has lost is told on for a while, unless it is said again', async t => {
  const model = new EtcdModel()
  const { names, away, hearing } = siteOf(t, one, model, 1)
  names.members([member(two, 2), member(three, 3)])
  await waitFor(() => hearing() !== undefined, { what: 'it listens' })
  const [again, gone] = [keys.attachment(two, web), keys.attachment(three, db)]
  hearing()?.events(
    [put(again, nameText(word('web', '10.200.2.5')), 90), put(gone, nameText(word('db', '10.200.3.5')), 91)],
    91,
  )
  const first = hearing()
  first?.ended('it is gone')
  await waitFor(() => hearing() !== first, { what: 'all is read anew' })
  t.equal(away.size, 2, 'etcd knows of neither')
  hearing()?.events([put(again, nameText(word('web', '10.200.2.5')), 3)], 3)
  await waitFor(() => away.size === 1, { what: 'what is not said again goes' })
  t.ok(away.has(again))
})

t.test('a successor takes over what its predecessor said, and no name is gone for a moment', async t => {
  const model = new EtcdModel()
  const first = siteOf(t, one, model)
  first.names.claimed([parseCidr('10.200.1.0/24')])
  first.names.say(new Map([[web, word('web', '10.200.1.5')]]))
  const key = keys.attachment(one, web)
  await waitFor(() => model.entries.has(key), { what: 'it is said' })
  const lease = model.entries.get(key)?.lease
  await first.names.end()
  const next = siteOf(t, one, model)
  next.names.claimed([parseCidr('10.200.1.0/24')])
  next.names.say(new Map([[web, word('web', '10.200.1.5')]]))
  await waitFor(
    () => {
      if (!model.entries.has(key)) throw new Error('it was gone')
      return model.entries.get(key)?.lease !== lease
    },
    { what: 'it has another lease' },
  )
  await next.names.leave()
  t.notOk(model.entries.has(key), 'who leaves takes its names along')
})
