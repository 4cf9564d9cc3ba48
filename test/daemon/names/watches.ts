/** Who hears what containers are told of names. */

import t from 'tap'
import type { Event } from '../../../src/control/control.ts'
import type { Told } from '../../../src/daemon/names/known.ts'
import { type NameWatcher, NameWatches, WATCHES_MAX } from '../../../src/daemon/names/watches.ts'
import type { Ip } from '../../../src/model/address/address.ts'

const toldOf = (ip: string): Told => ({
  known: { network: 'front', container: ip, names: [], addresses: [ip as Ip], subnets: [] },
  places: [],
})

class TestWatcher implements NameWatcher {
  readonly heard: Event[] = []
  reads = true
  leave = () => {}
  isDismissed = false
  stays(): void {}
  onGone(work: () => void): void {
    this.leave = work
  }
  tell(event: Event): boolean {
    if (this.reads) this.heard.push(event)
    return this.reads
  }
  dismiss(): void {
    this.isDismissed = true
  }
}

const telling = (ip: string, name: string) => ({
  network: 'front',
  ip: ip as Ip,
  name,
  addresses: ['192.0.2.1' as Ip],
})

const told = (name: string): Event => ({ event: 'told', about: { name, addresses: ['192.0.2.1'] } })

t.test('each hears of those whom he watches, until he goes', async t => {
  const changes: string[] = []
  const all = new Map([
    ['a', toldOf('10.1.0.2')],
    ['b', toldOf('10.1.0.3')],
  ])
  const watches = new NameWatches(all, owner => changes.push(`${owner} ${watches.isWatched(owner)}`))
  const [one, both] = [new TestWatcher(), new TestWatcher()]
  watches.begin(['a', 'nobody'], one)
  watches.begin(['a', 'b'], both)
  watches.heard(telling('10.1.0.2', 'www.example.org'))
  watches.heard(telling('10.1.0.3', 'other.example.org'))
  watches.heard({ ...telling('10.1.0.2', 'far.example.org'), network: 'back' })
  t.strictSame(one.heard, [told('www.example.org')])
  t.strictSame(both.heard, [told('www.example.org'), told('other.example.org')])
  one.leave()
  t.ok(watches.isWatched('a'), 'another does')
  both.leave()
  t.strictSame(changes, ['a true', 'a true', 'b true', 'a true', 'a false', 'b false'])
})

t.test('who reads too slowly is told how much he has missed', async t => {
  const watches = new NameWatches(new Map([['a', toldOf('10.1.0.2')]]), () => {})
  const watcher = new TestWatcher()
  watches.begin(['a'], watcher)
  watcher.reads = false
  for (const name of ['a.example.org', 'b.example.org']) watches.heard(telling('10.1.0.2', name))
  watcher.reads = true
  watches.heard(telling('10.1.0.2', 'c.example.org'))
  t.strictSame(watcher.heard, [{ event: 'lost', about: { count: 2 } }, told('c.example.org')])
})

t.test('so many may watch and no more, and all are let go for a successor', async t => {
  const watches = new NameWatches(new Map(), () => {})
  const watchers = Array.from({ length: WATCHES_MAX }, () => new TestWatcher())
  for (const each of watchers) watches.begin(['a'], each)
  t.throws(() => watches.begin(['a'], new TestWatcher()), { code: 'try-again' })
  watches.end()
  t.ok(watchers.every(({ isDismissed }) => isDismissed))
})
