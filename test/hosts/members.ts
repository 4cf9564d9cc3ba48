/** Who the hosts of a network are, and that looking at what has changed comes to the same as looking at all. */

import fc from 'fast-check'
import t from 'tap'
import {
  claimText,
  drop,
  emptyView,
  hostIn,
  keysOf,
  take,
  type View,
  wordText,
} from '../../src/hosts/keys.ts'
import { type Member, Members } from '../../src/hosts/members.ts'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'

const pools = [{ subnet: parseCidr('10.200.0.0/16'), hostPrefix: 24 }]
const keys = keysOf('/tsnet', 'front')
const [one, two] = ['0000000000000001', '0000000000000002']
const macOf = (n: number): string => `06:00:00:00:00:0${n}`
const wordOf = (number: number, address: string, mac = macOf(1)): string =>
  wordText({ name: 'a', addresses: [parseIp(address)], mac, number, instance: 'x' })

function viewOf(...values: (readonly [key: string, value: string])[]): View {
  const view = emptyView('1', 5)
  for (const [key, value] of values) take(view, keys, { key, value, revision: 5 })
  return view
}

const idsOf = (members: readonly Member[]) => members.map(({ id }) => id).sort()

t.test('a host counts where its word and its claim say the same', async t => {
  const view = viewOf([keys.claim(7), claimText(one)], [keys.host(one), wordOf(7, '10.0.0.1')])
  const members = new Members(pools)
  t.match(members.read(view, 0), { come: [{ id: one, number: 7, addresses: ['10.0.0.1'] }], go: [] })
  t.strictSame(members.odd, [])
  drop(view, keys, keys.claim(7))
  t.match(members.look(view, [one], 0), { come: [], go: [{ id: one }] })
  t.match(members.odd, [/speaks of prefix 7, which is not its own/])
  const outside = new Members(pools)
  t.match(
    outside.read(viewOf([keys.claim(300), claimText(one)], [keys.host(one), wordOf(300, '10.0.0.1')]), 0),
    { come: [] },
  )
  t.match(outside.odd, [/which is not in the network/])
})

t.test('of two hosts at one place the first counts, both are named, and the second follows', async t => {
  for (const [address, mac, where] of [
    ['10.0.0.1', macOf(2), /are both at 10.0.0.1/],
    ['10.0.0.2', macOf(1), /are both at 06:00:00:00:00:01/],
  ] as const) {
    const view = viewOf(
      [keys.claim(0), claimText(one)],
      [keys.host(one), wordOf(0, '10.0.0.1')],
      [keys.claim(1), claimText(two)],
      [keys.host(two), wordOf(1, address, mac)],
    )
    const members = new Members(pools)
    t.match(members.read(view, 0), { come: [{ id: one }], go: [] })
    t.match(members.odd, [where])
    t.match(members.look(view, [one], 0), { come: [], go: [] }, 'who stood stays')
    drop(view, keys, keys.host(one))
    t.match(members.look(view, [one], 0), { come: [{ id: two }], go: [{ id: one }] })
    t.strictSame(members.odd, [])
  }
})

t.test('who is kept goes when the time is over, or when somebody is in its place', async t => {
  const whole = () => viewOf([keys.claim(7), claimText(one)], [keys.host(one), wordOf(7, '10.0.0.1')])
  const lost = (): Members => {
    const members = new Members(pools)
    members.read(whole(), 0)
    members.keep(members.all, 100)
    t.strictSame(members.read(viewOf(), 1), { come: [], go: [] }, 'nobody is gone')
    return members
  }
  t.match(lost().look(viewOf(), [], 99), { go: [] })
  t.match(lost().look(viewOf(), [], 100), { go: [{ id: one }] })
  t.match(lost().look(viewOf([keys.claim(7), claimText(two)]), [two], 2), { go: [{ id: one }] })
  const reinstalled = viewOf(
    [keys.claim(8), claimText(two)],
    [keys.host(two), wordOf(8, '10.0.0.1', macOf(2))],
  )
  t.match(lost().look(reinstalled, [two], 2), { go: [{ id: one }], come: [{ id: two }] })
  const back = lost()
  t.match(back.look(whole(), [one], 2), { go: [{ id: one }], come: [{ id: one }] })
  t.strictSame(back.look(viewOf(), [one], 3).go.length, 1, 'and is an ordinary host again')
})

t.test('who is known from a file goes as soon as all is read', async t => {
  const members = new Members(pools)
  const known = { id: one, name: 'a', addresses: [parseIp('10.0.0.1')], mac: macOf(1), number: 7 }
  members.keep([known])
  t.strictSame(idsOf(members.all), [one])
  t.strictSame(members.look(viewOf(), [], 1_000_000), { go: [], come: [] })
  t.match(members.read(viewOf(), 0), { go: [{ id: one }], come: [] })
  t.strictSame(members.all, [])
})

/** Keys and values of a few hosts, numbers and places, so that they get into each other's way. */
const idOf = (n: number): string => n.toString(16).padStart(16, '0')
const event = fc.record({
  key: fc.oneof(
    fc.nat(3).map(n => keys.claim(n)),
    fc.nat(3).map(n => keys.host(idOf(n))),
  ),
  isGone: fc.boolean(),
  id: fc.nat(3),
  number: fc.nat(3),
  place: fc.nat(3),
})

t.test('looking at what has changed comes to the same as looking at all', async t => {
  fc.assert(
    fc.property(fc.array(fc.array(event, { maxLength: 6 }), { maxLength: 12 }), batches => {
      const view = emptyView('1', 1)
      const members = new Members(pools)
      const there = new Map<string, Member>()
      for (const batch of batches) {
        const ids = new Set<string>()
        const touch = (id: string | undefined) => id !== undefined && ids.add(id)
        for (const { key, isGone, id, number, place } of batch) {
          touch(hostIn(view, keys, key))
          const value = key.includes('/claims/')
            ? claimText(idOf(id))
            : wordOf(number, `10.0.0.${place + 1}`, macOf(place))
          if (isGone) drop(view, keys, key)
          else take(view, keys, { key, value, revision: 1 })
          touch(hostIn(view, keys, key))
        }
        const { go, come } = members.look(view, ids, 0)
        for (const { id } of go) there.delete(id)
        for (const each of come) there.set(each.id, each)
        // What was said of it comes to what there is.
        if (idsOf([...there.values()]).join() !== idsOf(members.all).join()) return false
        // And nobody is missing whose place is free.
        if (members.read(view, 0).come.length > 0) return false
      }
      return true
    }),
    { numRuns: 500 },
  )
  t.pass('held')
})
